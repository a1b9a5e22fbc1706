import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TransferError } from "../../src/transfer/errors.ts";
import { createLineSplitter, LINE_BYTES_MAX, type Line } from "../../src/transfer/line-reader.ts";

const START = { offset: 0, line: 0 };

function split(chunks: readonly Buffer[], start = START): Line[] {
  const splitter = createLineSplitter(start);
  return [...chunks.flatMap((chunk) => splitter.push(chunk)), ...splitter.end()];
}

/** The bytes cut at the given places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const edges = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return edges.slice(1).map((end, index) => bytes.subarray(edges[index], end));
}

const textLine = fc
  .string({ unit: "binary", maxLength: 40 })
  .filter((text) => !/[\r\n\ufeff]/.test(text) && text.trim() !== "");

test("chunks may end anywhere, inside a character or between CR and LF", () => {
  const file = fc.record({
    lines: fc.array(textLine, { minLength: 1, maxLength: 20 }),
    lineEnd: fc.constantFrom("\n", "\r\n"),
    hasLastLineEnd: fc.boolean(),
    hasBom: fc.boolean(),
    places: fc.array(fc.nat(), { maxLength: 30 }),
  });
  fc.assert(
    fc.property(file, ({ lines, lineEnd, hasLastLineEnd, hasBom, places }) => {
      const text = `${hasBom ? "\ufeff" : ""}${lines.join(lineEnd)}${hasLastLineEnd ? lineEnd : ""}`;
      const bytes = Buffer.from(text);
      const read = split(cut(bytes, places));
      expect(read.map((line) => line.text)).toEqual(lines);
      expect(read.map((line) => line.number)).toEqual(lines.map((_, index) => index + 1));
      expect(read.at(-1)?.endOffset).toBe(bytes.length);
    }),
    { numRuns: 500 },
  );
});

test("reading on from any line's end gives the rest, with the same numbers and offsets", () => {
  const bytes = Buffer.from("\ufeffé1\r\n\n😀2\n3\n\n\n4\n5");
  const whole = split([bytes]);
  expect(whole.map(({ number, endOffset, text }) => [number, endOffset, text])).toEqual([
    [1, 8, "é1"],
    [3, 15, "😀2"],
    [4, 17, "3"],
    [7, 21, "4"],
    [8, 22, "5"],
  ]);
  whole.forEach((line, index) => {
    const start = { offset: line.endOffset, line: line.number };
    expect(split([bytes.subarray(line.endOffset)], start)).toEqual(whole.slice(index + 1));
  });
});

describe("long lines", () => {
  const longest = "x".repeat(LINE_BYTES_MAX);

  test.each(["\n", "\r\n"])("the longest line is read (line end %j)", (lineEnd) => {
    expect(split([Buffer.from(`${longest}${lineEnd}next`)]).map((line) => line.text)).toEqual([
      longest,
      "next",
    ]);
  });

  test("a longer one is one broken line, and the next line is read", () => {
    const bytes = Buffer.from(`first\n${longest}x\nnext\n`);
    for (const chunks of [[bytes], cut(bytes, [1_000, 40_000, bytes.length - 7])]) {
      const [first, broken, next] = split(chunks);
      expect([first?.text, next?.text, next?.number]).toEqual(["first", "next", 3]);
      expect(broken).toMatchObject({ number: 2, rejection: { reason: "LINE_TOO_LONG" }, isWhole: false });
    }
  });

  test("a file without a line feed is held only in part", () => {
    const splitter = createLineSplitter(START);
    const chunk = Buffer.alloc(1024 * 1024, "x");
    for (let count = 0; count < 64; count++) expect(splitter.push(chunk)).toEqual([]);
    const [line, ...others] = splitter.end();
    expect(others).toEqual([]);
    expect(line).toMatchObject({
      number: 1,
      endOffset: 64 * 1024 * 1024,
      rejection: { reason: "LINE_TOO_LONG" },
    });
    if (line?.text === null) expect(line.bytes.buffer.byteLength).toBeLessThanOrEqual(64 * 1024);
  });
});

test("bytes that are not UTF-8 break their line only", () => {
  const lines = split([Buffer.from([0x61, 0x0a, 0x62, 0xff, 0x0a, 0xc3, 0x0a, 0x63])]);
  expect(lines.map((line) => line.text ?? line.rejection.reason)).toEqual([
    "a",
    "UNREADABLE_LINE",
    "UNREADABLE_LINE",
    "c",
  ]);
});

test.each([
  ["nothing", Buffer.alloc(0)],
  ["a byte order mark alone", Buffer.from("\ufeff")],
  ["blank lines", Buffer.from("\n\r\n  \n\t\r\n")],
])("%s holds no lines", (_, bytes) => {
  expect(split([bytes])).toEqual([]);
  expect(split(cut(bytes, [1, 2]))).toEqual([]);
});

test.each([
  ["gzip", Buffer.from([0x1f, 0x8b, 0x08, 0x00])],
  ["UTF-16 (little end first)", Buffer.from("\ufeff{}\n", "utf16le")],
  ["UTF-16 (big end first)", Buffer.from([0xfe, 0xff, 0x00, 0x7b])],
])("says what to do about %s", (_, bytes) => {
  expect(() => split([bytes])).toThrow(TransferError);
  expect(() => split(cut(bytes, [1]))).toThrow(TransferError);
});
