import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { codePointLength, compareUtf8, exceedsCodePoints } from "../../src/domain/utf8-order.ts";

/** Well-formed text, with the characters at the seams of UTF-8 and UTF-16 far more often than chance would have them. */
const text = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        "a",
        "\u007f",
        "\u0080",
        "\u07ff",
        "\u0800",
        "\ud7ff",
        "\ue000",
        "\uffff",
        "\u{10000}",
        "\u{10ffff}",
      ),
      fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
    ),
    { maxLength: 6 },
  )
  .map((characters) => characters.join(""));

describe("compareUtf8", () => {
  it("agrees with comparing the bytes", () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(Math.sign(compareUtf8(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
      { numRuns: 5_000 },
    );
  });

  it("puts astral characters above U+FFFF, where < does not", () => {
    expect(compareUtf8("\uff61", "\u{1f600}")).toBeLessThan(0);
    expect("\uff61" < "\u{1f600}").toBe(false);
  });

  it("puts a text before what it begins", () => {
    expect(compareUtf8("", "a")).toBeLessThan(0);
    expect(compareUtf8("ab", "a")).toBeGreaterThan(0);
    expect(compareUtf8("ab", "ab")).toBe(0);
  });
});

describe("code points", () => {
  it("are counted, astral ones once", () => {
    fc.assert(
      fc.property(text, fc.integer({ min: 0, max: 8 }), (value, max) => {
        const length = Array.from(value).length;
        expect(codePointLength(value)).toBe(length);
        expect(exceedsCodePoints(value, max)).toBe(length > max);
      }),
    );
  });
});
