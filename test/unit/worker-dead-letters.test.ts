import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isCutOff } from "../../src/domain/dead-letter.ts";
import { ID_CODE_POINTS_MAX, SURFACE_CODE_POINTS_MAX } from "../../src/domain/limits.ts";
import { joinSubmissions } from "../../src/domain/queue-message.ts";
import { DAY_MS } from "../../src/domain/time.ts";
import type { Delivery } from "../../src/ports/impression-queue.ts";
import { DEAD_LETTER_BYTES_MAX } from "../../src/workers/dead-letters.ts";
import { createPlanner } from "../../src/workers/planner.ts";

const NOW_MS = 1_790_000_000_000;
const RULES = { stream: "IMPRESSIONS", retentionMs: 90 * DAY_MS, nowMs: NOW_MS, expiryMs: NOW_MS };

interface Submitted {
  readonly userId: unknown;
  readonly impression: Record<string, unknown>;
}

/** The dead letters of one message that holds one impression. */
function lettersOf({ userId, impression }: Submitted) {
  const submission = JSON.stringify({ userId, receivedAtUs: NOW_MS * 1_000, impressions: [impression] });
  const body = Buffer.from(joinSubmissions([submission]));
  const delivery: Delivery = { sequence: 2 ** 53 - 1, body, deliveries: 1e6, publishedAtMs: NOW_MS };
  const planner = createPlanner(RULES);
  planner.add(delivery);
  return planner.finish().deadLetters.map(({ letter }) => letter);
}

/** Texts whose JSON is as long as can be: control characters and halves of pairs take six bytes each. */
const texts = (codePointsMax: number) =>
  fc.string({
    unit: fc.constantFrom("\u0001", "\ud800", "\u{1f600}", '"', "é", "a"),
    minLength: codePointsMax,
    maxLength: codePointsMax,
  });
const values = fc.oneof(
  texts(512),
  texts(ID_CODE_POINTS_MAX),
  texts(1),
  fc.integer(),
  fc.constant(null),
  fc.array(texts(100), { maxLength: 50 }),
  fc.dictionary(texts(20), texts(200), { maxKeys: 40 }),
);
const fields = ["postId", "viewedAtMs", "surface", "position", "dwellMs"] as const;
const junk = fc.record({
  userId: fc.oneof(fc.constant("u"), values),
  impression: fc.oneof(
    fc.record(Object.fromEntries(fields.map((field) => [field, values]))),
    fc.dictionary(texts(100), values, { maxKeys: 30 }),
  ),
});

describe("the dead letter of a bad impression", () => {
  test("has a bounded size, whatever was sent, and is not replayed where something was cut", () => {
    fc.assert(
      fc.property(junk, (submitted) => {
        for (const letter of lettersOf(submitted)) {
          expect(Buffer.byteLength(JSON.stringify(letter))).toBeLessThanOrEqual(DEAD_LETTER_BYTES_MAX);
          const { payload } = letter;
          const isWhole =
            "impression" in payload &&
            JSON.stringify([payload.userId, payload.impression]) ===
              JSON.stringify([submitted.userId, submitted.impression]);
          expect(isCutOff(letter)).toBe(!isWhole);
        }
      }),
    );
  });

  test("keeps fields that could be valid as they are: only what breaks the rules for its length is cut", () => {
    const longest = {
      userId: "\u{1f600}".repeat(ID_CODE_POINTS_MAX),
      impression: {
        postId: "\u{10ffff}".repeat(ID_CODE_POINTS_MAX),
        viewedAtMs: NOW_MS,
        surface: "\u0001".repeat(SURFACE_CODE_POINTS_MAX),
        position: 1,
        dwellMs: -1,
      },
    };
    const [letter] = lettersOf(longest);
    expect(letter).toMatchObject({ reason: "INVALID_FIELD", userId: longest.userId });
    expect(letter?.payload).toMatchObject(longest);
  });

  test("says what was cut, and how long it was", () => {
    const [letter] = lettersOf({ userId: "u", impression: { postId: "x".repeat(512), viewedAtMs: NOW_MS } });
    // 512 bytes could be an id of four bytes a character: kept.
    expect(letter?.payload).toMatchObject({ impression: { postId: "x".repeat(512) } });
    const [cut] = lettersOf({
      userId: "u",
      impression: { postId: "\u0001".repeat(512), viewedAtMs: NOW_MS },
    });
    expect(cut?.payload).toMatchObject({
      userId: "u",
      impression: { postId: `${"\u0001".repeat(48)}... (cut: 3074 bytes)`, viewedAtMs: NOW_MS },
    });
    expect(cut?.detail).toMatch(/^postId must have at most 128 characters \(/);
  });

  test("cuts between characters, never inside one", () => {
    const [cut] = lettersOf({
      userId: "u",
      impression: { postId: `a${"\u{1f600}".repeat(300)}`, viewedAtMs: NOW_MS },
    });
    // As a text of JSON, half of a character would stand as an escape.
    expect(JSON.stringify(cut?.payload)).toMatch(/"a\p{Emoji_Presentation}+\.\.\. \(cut: /u);
  });
});
