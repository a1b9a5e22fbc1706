import { GraphQLError, Kind, parseValue } from "graphql";
import { describe, expect, test } from "vitest";
import { DateTime } from "../../src/resolvers/scalars.ts";

describe("the scalar", () => {
  test.each([5, true, null, { at: "2026-11-22T10:15:30Z" }, "yesterday"])(
    "refuses %j with a sentence",
    (value) => {
      expect(() => DateTime.parseValue(value)).toThrow(
        /^DateTime must be an RFC 3339 instant with an offset, such as "2026-11-22T10:15:30.123Z", not .+\.$/,
      );
    },
  );

  test("says of a day that does not exist that there is none, and of other texts that they are written wrongly", () => {
    const parse = (value: string) => () => DateTime.parseLiteral({ kind: Kind.STRING, value }, {});
    expect(parse("2026-02-31T00:00:00Z")).toThrow(
      /"2026-02-31T00:00:00Z": there is no such day, time or offset/,
    );
    expect(parse("2026-02-31")).toThrow(/"2026-02-31": it is not written like that\.$/);
  });

  test("says where in the document a wrong literal stands", () => {
    const literal = parseValue('  "yesterday"');
    let error: unknown;
    try {
      DateTime.parseLiteral(literal, {});
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(GraphQLError);
    expect(error).toMatchObject({ locations: [{ line: 1, column: 3 }] });
  });

  test.each([Number.NaN, 253_402_300_800_000, "2026"])("does not print %j", (value) => {
    expect(() => DateTime.serialize(value)).toThrow(RangeError);
  });
});
