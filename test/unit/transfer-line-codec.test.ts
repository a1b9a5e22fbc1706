import fc from "fast-check";
import { expect, test } from "vitest";
import type { View } from "../../src/domain/impression.ts";
import {
  DWELL_MS_MAX,
  ID_CODE_POINTS_MAX,
  POSITION_MAX,
  SURFACE_CODE_POINTS_MAX,
} from "../../src/domain/limits.ts";
import { idProblem, judge } from "../../src/domain/validation.ts";
import { decodeLine, encodeLine } from "../../src/transfer/line-codec.ts";

const RETENTION_MS = 90 * 86_400_000;

/** Every code point that an id may hold; ASCII often enough for quotes and backslashes to come up. */
const idCharacter = fc
  .oneof(
    fc.integer({ min: 0x20, max: 0x7e }),
    fc.integer({ min: 0xa0, max: 0xffff }),
    fc.integer({ min: 0x1_0000, max: 0x10_ffff }),
  )
  .filter((codePoint) => codePoint < 0xd800 || codePoint > 0xdfff)
  .map((codePoint) => String.fromCodePoint(codePoint));
const id = fc
  .string({ unit: idCharacter, minLength: 1, maxLength: ID_CODE_POINTS_MAX })
  .filter((text) => idProblem(text) === null);
const surface = fc
  .string({ unit: "binary", maxLength: SURFACE_CODE_POINTS_MAX })
  .filter((text) => text.isWellFormed());

const view: fc.Arbitrary<View> = fc
  .record({
    userId: id,
    postId: id,
    receivedAtUs: fc.integer({ min: 1_500_000_000_000_000, max: 4_000_000_000_000_000 }),
    ageMs: fc.integer({ min: -5 * 60_000, max: RETENTION_MS - 1 }),
    surface: fc.option(surface),
    position: fc.option(fc.integer({ min: 0, max: POSITION_MAX })),
    dwellMs: fc.option(fc.integer({ min: 0, max: DWELL_MS_MAX })),
  })
  .map(({ ageMs, ...rest }) => ({ ...rest, viewedAtMs: Math.floor(rest.receivedAtUs / 1_000) - ageMs }));

test("a written line is read back, to the microsecond and the last code point", () => {
  fc.assert(
    fc.property(view, (original) => {
      const line = encodeLine(original);
      expect(line).not.toMatch(/[\r\n]/);
      const decoded = decodeLine(line);
      if (decoded.kind !== "record") throw new Error(decoded.rejection.detail);
      const { userId, receivedAtUs, impression } = decoded.record;
      expect(receivedAtUs).toBe(original.receivedAtUs);
      expect(judge(userId, original.receivedAtUs, impression, RETENTION_MS)).toEqual({
        kind: "valid",
        view: original,
      });
    }),
    { numRuns: 1_000 },
  );
});

test("a line without its nulls, as exports were before, is read the same", () => {
  fc.assert(
    fc.property(view, (original) => {
      const line = encodeLine(original);
      const fields = Object.entries(JSON.parse(line) as object);
      expect(fields).toHaveLength(7);
      const old = JSON.stringify(Object.fromEntries(fields.filter(([, value]) => value !== null)));
      const [now, before] = [decodeLine(line), decodeLine(old)];
      if (now.kind !== "record" || before.kind !== "record") throw new Error("a line was refused");
      const judged = ({ record }: typeof now) =>
        judge(record.userId, original.receivedAtUs, record.impression, RETENTION_MS);
      expect(judged(before)).toEqual(judged(now));
      expect(before.record.receivedAtUs).toBe(now.record.receivedAtUs);
    }),
  );
});

test("a line has all fields in the documented order; what the client left out is null", () => {
  const bare: View = {
    userId: "u1",
    postId: "p1",
    viewedAtMs: Date.parse("2026-11-22T10:15:30.123Z"),
    receivedAtUs: Date.parse("2026-11-22T10:15:31.123Z") * 1_000 + 456,
    surface: null,
    position: null,
    dwellMs: null,
  };
  expect(encodeLine(bare)).toBe(
    '{"userId":"u1","postId":"p1","viewedAt":"2026-11-22T10:15:30.123Z","surface":null,"position":null,' +
      '"dwellMs":null,"receivedAt":"2026-11-22T10:15:31.123456Z"}',
  );
  expect(encodeLine({ ...bare, surface: "HOME", position: 3, dwellMs: 1_200 })).toBe(
    '{"userId":"u1","postId":"p1","viewedAt":"2026-11-22T10:15:30.123Z","surface":"HOME","position":3,' +
      '"dwellMs":1200,"receivedAt":"2026-11-22T10:15:31.123456Z"}',
  );
});

test.each([
  ['{"userId":"u","postId":"p","viewedAt":1795342530123}', 1_795_342_530_123],
  ['{"userId":"u","postId":"p","viewedAt":"2026-11-22T10:15:30Z"}', Date.UTC(2026, 10, 22, 10, 15, 30)],
  [
    '{"userId":"u","postId":"p","viewedAt":"2026-11-22t10:15:30.1z"}',
    Date.UTC(2026, 10, 22, 10, 15, 30, 100),
  ],
  ['{"userId":"u","postId":"p","viewedAt":"2026-11-22T15:45:30.123999+05:30"}', 1_795_342_530_123],
  ['{"userId":"u","postId":"p","viewedAt":"2026-11-22T02:15:30.123-08:00"}', 1_795_342_530_123],
  ['{"userId":"u","postId":"p","viewedAt":"2028-02-29T00:00:00Z"}', Date.UTC(2028, 1, 29)],
])("viewedAt of %s", (line, viewedAtMs) => {
  const decoded = decodeLine(line);
  expect(decoded).toMatchObject({
    kind: "record",
    record: { receivedAtUs: null, impression: { viewedAtMs } },
  });
});

test.each([
  ["", "UNREADABLE_LINE", "not JSON"],
  ["userId,postId,viewedAt", "UNREADABLE_LINE", "not JSON"],
  ['{"userId":"u"', "UNREADABLE_LINE", "not JSON"],
  ["null", "UNREADABLE_LINE", "not a JSON object"],
  ['["u","p"]', "UNREADABLE_LINE", "not a JSON object"],
  ["42", "UNREADABLE_LINE", "not a JSON object"],
  ['{"userId":"u","postId":"p","viewedAt":1795342530123,"dwelMs":7}', "UNKNOWN_FIELD", '"dwelMs"'],
  ['{"userId":"u","postId":"p","viewedAt":1795342530123,"__proto__":{}}', "UNKNOWN_FIELD", '"__proto__"'],
  ['{"userId":"u","postId":"p"}', "INVALID_FIELD", "viewedAt is missing"],
  ['{"userId":"u","postId":"p","viewedAt":null}', "INVALID_FIELD", "viewedAt is missing"],
  ['{"userId":"u","postId":"p","viewedAt":1795342530}', "INVALID_FIELD", "seconds"],
  ['{"userId":"u","postId":"p","viewedAt":1795342530123.5}', "INVALID_FIELD", "whole milliseconds"],
  ['{"userId":"u","postId":"p","viewedAt":1e300}', "INVALID_FIELD", "whole milliseconds"],
  ['{"userId":"u","postId":"p","viewedAt":"2026-11-22 10:15:30"}', "INVALID_FIELD", "viewedAt must be like"],
  ['{"userId":"u","postId":"p","viewedAt":"2026-11-22T10:15:30"}', "INVALID_FIELD", "viewedAt must be like"],
  ['{"userId":"u","postId":"p","viewedAt":"2026-02-30T10:15:30Z"}', "INVALID_FIELD", "there is no such day"],
  ['{"userId":"u","postId":"p","viewedAt":"2027-02-29T10:15:30Z"}', "INVALID_FIELD", "viewedAt must be like"],
  ['{"userId":"u","postId":"p","viewedAt":"0000-00-00T00:00:00Z"}', "INVALID_FIELD", "viewedAt must be like"],
  ['{"userId":"u","postId":"p","viewedAt":"2026-11-22T24:00:00Z"}', "INVALID_FIELD", "viewedAt must be like"],
  ['{"userId":"u","postId":"p","viewedAt":"2026-11-22T10:15:60Z"}', "INVALID_FIELD", "viewedAt must be like"],
  ['{"userId":"u","postId":"p","viewedAt":true}', "INVALID_FIELD", "viewedAt must be like"],
  [
    '{"userId":"u","postId":"p","viewedAt":1795342530123,"receivedAt":1795342531}',
    "INVALID_FIELD",
    "receivedAt",
  ],
  ['{"userId":"u","postId":"p","viewedAt":1795342530123,"receivedAt":"soon"}', "INVALID_FIELD", "receivedAt"],
  [
    '{"userId":"u","postId":"p","viewedAt":1795342530123,"receivedAt":"9999-01-01T00:00:00Z"}',
    "INVALID_FIELD",
    "receivedAt",
  ],
])("refuses %s", (line, reason, detail) => {
  const decoded = decodeLine(line);
  expect(decoded).toMatchObject({ kind: "rejected", rejection: { reason } });
  if (decoded.kind === "rejected") expect(decoded.rejection.detail).toContain(detail);
});

test("a detail quotes only a few characters of a user's text", () => {
  const decoded = decodeLine(JSON.stringify({ ["x".repeat(10_000)]: 1 }));
  if (decoded.kind !== "rejected") throw new Error("was not refused");
  expect(decoded.rejection.detail.length).toBeLessThan(200);
});
