import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type CursorScope,
  decodeSequenceCursor,
  decodeWalkCursor,
  encodeSequenceCursor,
  encodeWalkCursor,
} from "../../src/resolvers/cursor.ts";

const SCOPE: CursorScope = { connection: "seenPosts", owner: "u1", arguments: [1_000, null] };
const CURSOR = { position: { viewedAtMs: 1_790_000_000_123, id: "post" }, boundMs: 1_790_000_000_999 };
const BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

describe("walk cursors", () => {
  it("come back as they were, whatever the id", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary", minLength: 1, maxLength: 128 }),
        fc.integer(),
        fc.maxSafeInteger(),
        (id, viewedAtMs, boundMs) => {
          const cursor = { position: { viewedAtMs, id }, boundMs };
          expect(decodeWalkCursor(SCOPE, encodeWalkCursor(SCOPE, cursor))).toEqual(cursor);
        },
      ),
    );
  });

  it.each(["post", "\ufffd", "a\ufffd", "ab\ufffd", "é\u{1f600}\uffff", '"\\'])(
    "are refused with any one character of them changed, taken out or put in (%j)",
    (id) => {
      const whole = encodeWalkCursor(SCOPE, { ...CURSOR, position: { ...CURSOR.position, id } });
      for (let at = 0; at < whole.length; at++) {
        for (const character of `${BASE64URL}=+/ \n"é`) {
          if (character !== whole[at]) {
            const changed = whole.slice(0, at) + character + whole.slice(at + 1);
            expect(decodeWalkCursor(SCOPE, changed), changed).toBeNull();
          }
          const longer = whole.slice(0, at) + character + whole.slice(at);
          // Doubling a character puts in what stands there already, in one of two places: the same text.
          if (longer !== whole) expect(decodeWalkCursor(SCOPE, longer), longer).toBeNull();
        }
        const shorter = whole.slice(0, at) + whole.slice(at + 1);
        expect(decodeWalkCursor(SCOPE, shorter), shorter).toBeNull();
      }
      expect(decodeWalkCursor(SCOPE, `${whole}=`)).toBeNull();
    },
  );

  it.each<[string, CursorScope]>([
    ["another connection", { ...SCOPE, connection: "postViewers" }],
    ["another owner", { ...SCOPE, owner: "u2" }],
    ["another window", { ...SCOPE, arguments: [1_001, null] }],
    ["a window with another end", { ...SCOPE, arguments: [1_000, 5] }],
    ["arguments of another type", { ...SCOPE, arguments: ["1000", null] }],
    ["arguments in another order", { ...SCOPE, arguments: [null, 1_000] }],
  ])("are refused for %s", (_name, scope) => {
    expect(decodeWalkCursor(scope, encodeWalkCursor(SCOPE, CURSOR))).toBeNull();
  });

  it("are refused where they belong to a list by sequence, and the other way round", () => {
    expect(decodeWalkCursor(SCOPE, encodeSequenceCursor(SCOPE, 5))).toBeNull();
    expect(decodeSequenceCursor(SCOPE, encodeWalkCursor(SCOPE, CURSOR))).toBeNull();
  });

  it.each(["", "x", "null", "W10", "e30", "=".repeat(10), "A".repeat(1_024), "A".repeat(100_000)])(
    "are not: %.20s",
    (text) => {
      expect(decodeWalkCursor(SCOPE, text)).toBeNull();
      expect(decodeSequenceCursor(SCOPE, text)).toBeNull();
    },
  );

  it("are refused, never an exception, whatever the text", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary" }), fc.base64String()), (text) => {
        expect(decodeWalkCursor(SCOPE, text)).toBeNull();
      }),
    );
  });

  it("fit the longest id that there is", () => {
    const id = "\u{1f600}".repeat(128);
    const cursor = encodeWalkCursor(SCOPE, { ...CURSOR, position: { ...CURSOR.position, id } });
    expect(decodeWalkCursor(SCOPE, cursor)?.position.id).toBe(id);
  });
});

describe("sequence cursors", () => {
  it.each([0, 1, 42, Number.MAX_SAFE_INTEGER])("come back as they were (%d)", (sequence) => {
    expect(decodeSequenceCursor(SCOPE, encodeSequenceCursor(SCOPE, sequence))).toBe(sequence);
  });

  it("are refused for another list", () => {
    const scope: CursorScope = { connection: "deadLetters", owner: "", arguments: ["INVALID_FIELD"] };
    const cursor = encodeSequenceCursor(scope, 7);
    expect(decodeSequenceCursor({ ...scope, arguments: [null] }, cursor)).toBeNull();
  });
});

describe("the content of a cursor", () => {
  /** A cursor with a right check over any content. */
  const cursorOf = (content: readonly unknown[], scope = SCOPE) => {
    const bound = [1, scope.connection, scope.owner, scope.arguments, content];
    const check = createHash("sha256").update(JSON.stringify(bound)).digest("base64url").slice(0, 12);
    return Buffer.from(JSON.stringify([...content, check])).toString("base64url");
  };

  it("is fixed: a cursor of this release is read by the next", () => {
    expect(encodeWalkCursor(SCOPE, CURSOR)).toBe(cursorOf([1_790_000_000_123, "post", 1_790_000_000_999]));
    expect(encodeSequenceCursor(SCOPE, 7)).toBe(cursorOf([7]));
    expect(encodeSequenceCursor(SCOPE, 7)).toBe("WzcsIkh5UXY3UFNBWEwzMyJd");
  });

  it.each<[string, readonly unknown[]]>([
    ["nothing", []],
    ["too little", [1, "post"]],
    ["too much", [1, "post", 2, 3]],
    ["an instant that is no number", ["1", "post", 2]],
    ["an instant with a fraction", [1.5, "post", 2]],
    ["an id that is no text", [1, 5, 2]],
    ["a bound that is no number", [1, "post", null]],
    ["a bound that no number holds exactly", [1, "post", 2 ** 53]],
  ])("is no more and no less than a walk needs: not %s", (_name, content) => {
    expect(decodeWalkCursor(SCOPE, cursorOf(content))).toBeNull();
    expect(decodeWalkCursor(SCOPE, cursorOf([1, "post", 2]))).toEqual({
      position: { viewedAtMs: 1, id: "post" },
      boundMs: 2,
    });
  });

  it.each<[string, readonly unknown[]]>([
    ["nothing", []],
    ["two numbers", [1, 2]],
    ["a text", ["1"]],
    ["a fraction", [1.5]],
  ])("is one number for a list: not %s", (_name, content) => {
    expect(decodeSequenceCursor(SCOPE, cursorOf(content))).toBeNull();
    expect(decodeSequenceCursor(SCOPE, cursorOf([1]))).toBe(1);
  });

  it("has at most 1,024 characters", () => {
    // Three bytes are four characters, so that a length that is divisible by four is one text alone.
    const idOf = (bytes: number) => "i".repeat(bytes - JSON.stringify([1, "", 2, "x".repeat(12)]).length);
    const longest = cursorOf([1, idOf(768), 2]);
    expect(longest).toHaveLength(1_024);
    expect(decodeWalkCursor(SCOPE, longest)).not.toBeNull();
    expect(decodeWalkCursor(SCOPE, cursorOf([1, idOf(769), 2]))).toBeNull();
  });

  it("is an array", () => {
    for (const text of ["{}", "null", '"text"', "5", "no JSON"])
      expect(decodeWalkCursor(SCOPE, Buffer.from(text).toString("base64url")), text).toBeNull();
  });
});
