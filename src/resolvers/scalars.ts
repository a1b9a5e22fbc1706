import {
  GraphQLError,
  GraphQLID,
  GraphQLInt,
  GraphQLScalarType,
  Kind,
  type ValueNode,
  valueFromASTUntyped,
} from "graphql";
import { formatInstant, parseInstant, whyNoInstant } from "../domain/instant.ts";

/** As much of a wrong value as an error message repeats. */
const QUOTED_CHARACTERS_MAX = 40;

/** `literal` is where the value stands, if it is written in the document. */
function parse(value: unknown, literal?: ValueNode): number {
  const instantMs = typeof value === "string" ? parseInstant(value) : null;
  if (instantMs !== null) return instantMs;
  const given =
    typeof value === "string"
      ? `"${value.slice(0, QUOTED_CHARACTERS_MAX)}": ${whyNoInstant(value)}`
      : `a ${typeof value}`;
  throw new GraphQLError(
    `DateTime must be an RFC 3339 instant with an offset, such as "2026-11-22T10:15:30.123Z", not ${given}.`,
    literal === undefined ? {} : { nodes: literal },
  );
}

/** RFC 3339 text outside, epoch milliseconds inside. */
export const DateTime = new GraphQLScalarType<number, string>({
  name: "DateTime",
  description:
    "An instant, RFC 3339, UTC, millisecond precision: `2026-11-22T10:15:30.123Z`. On the way in any numeric offset " +
    "and 0 to 9 fraction digits are understood; digits beyond milliseconds are cut. A day or a time that does not exist " +
    "is refused, a leap second too.",
  specifiedByURL: "https://www.rfc-editor.org/rfc/rfc3339",
  serialize(value) {
    return formatInstant(typeof value === "number" ? value : Number.NaN);
  },
  parseValue: (value) => parse(value),
  parseLiteral: (node) => parse(node.kind === Kind.STRING ? node.value : undefined, node),
});

/**
 * GraphQL's own ID and Int, by the same names, but for how they take the numbers of JSON. The schema has no other ID or Int:
 * two types of one name are refused when it is built.
 */

const intConfig = GraphQLInt.toConfig();

/**
 * Two ids beyond 2^53 - 1 may be one number in JSON, and which of them was meant is lost before any code can look. As a
 * text, or as a literal in the document, each is exact.
 */
export const ID = new GraphQLScalarType<string, string>({
  ...GraphQLID.toConfig(),
  parseValue(value) {
    if (typeof value === "number" && !Number.isSafeInteger(value)) {
      throw new GraphQLError(
        Number.isInteger(value)
          ? "ID cannot be a JSON number beyond 2^53 - 1, where numbers are rounded; send it as a string."
          : `ID cannot represent value: ${value}`,
      );
    }
    return GraphQLID.parseValue(value);
  },
});

/**
 * Takes any JSON number, of any size and with any fraction: one impression of a list with such a `position` or `dwellMs` is
 * for the worker to judge, and a type error would refuse its neighbours. Code that reads an Int elsewhere checks
 * that it is whole (resolvers/arguments.ts).
 */
export const Int = new GraphQLScalarType<number, number>({
  ...intConfig,
  parseValue: (value) => (typeof value === "number" ? finite(value) : intConfig.parseValue(value)),
  parseLiteral: (node) =>
    node.kind === Kind.INT || node.kind === Kind.FLOAT
      ? finite(Number(node.value))
      : intConfig.parseLiteral(node),
});

/** What is too large for a double would be null in the queue's JSON, as if the client had not said it. */
function finite(value: number): number {
  // Not by Math.min and Math.max: they make doubles of small integers, which JSON.stringify then writes slowly.
  if (Number.isFinite(value)) return value;
  return value > 0 ? Number.MAX_VALUE : -Number.MAX_VALUE;
}

/** Any JSON value, passed on as it is. */
export const JSONValue = new GraphQLScalarType<unknown, unknown>({
  name: "JSON",
  description: "Any JSON value.",
  specifiedByURL: "https://www.rfc-editor.org/rfc/rfc8259",
  serialize: (value) => value,
  parseValue: (value) => value,
  parseLiteral: (node, variables) => valueFromASTUntyped(node, variables),
});
