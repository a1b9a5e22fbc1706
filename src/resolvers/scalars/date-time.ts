import { GraphQLError, GraphQLScalarType, Kind, type ValueNode } from "graphql";
import { formatInstant, parseInstant, whyNoInstant } from "../../domain/instant.ts";

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
