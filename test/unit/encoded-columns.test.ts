import fc from "fast-check";
import { expect, test } from "vitest";
import { StoreRefusedError } from "../../src/ports/errors.ts";
import { encoded } from "../../src/scylla/rows.ts";

test("integers of 64 bits are written as two's complement, highest byte first", () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), (value) => {
      expect(encoded.bigint(value).readBigInt64BE()).toBe(BigInt(value));
    }),
  );
  for (const value of [
    0,
    -1,
    2 ** 32 - 1,
    2 ** 32,
    -(2 ** 32),
    Number.MIN_SAFE_INTEGER,
    Number.MAX_SAFE_INTEGER,
  ])
    expect(encoded.bigint(value).readBigInt64BE()).toBe(BigInt(value));
});

test("integers of 32 bits and texts are as long as they are", () => {
  expect([...encoded.int(-2)]).toEqual([255, 255, 255, 254]);
  expect(encoded.text("é漢")).toHaveLength(5);
});

test("a number that a column cannot hold is refused, and not written as another", () => {
  for (const value of [2 ** 31, -(2 ** 31) - 1, 0.5, Number.NaN])
    expect(() => encoded.int(value)).toThrow(StoreRefusedError);
  for (const value of [2 ** 53, 0.5, Number.NaN])
    expect(() => encoded.bigint(value)).toThrow(StoreRefusedError);
});
