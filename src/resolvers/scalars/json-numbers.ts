import { GraphQLError, GraphQLID, GraphQLInt, GraphQLScalarType, Kind } from "graphql";

/**
 * GraphQL's own ID and Int, by the same names, but for how they take the numbers of JSON. The schema has no other ID or Int:
 * two types of one name are refused when it is built.
 */

const intConfig = GraphQLInt.toConfig();

/**
 * Two ids beyond 2^53 - 1 may be one number in JSON, and which of them was meant is lost before anybody can look. As a
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
 * for the worker to judge, and a type error would refuse its neighbours. Whoever reads an Int elsewhere checks
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
