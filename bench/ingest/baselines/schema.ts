import { readFileSync } from "node:fs";
import { buildSchema, type GraphQLSchema } from "graphql";
import { DateTime } from "../../../src/resolvers/scalars.ts";
import type { Input, Payload } from "./publish-one.ts";

/** The service's own schema with its cheap DateTime, and a resolver that hands the input on as it is. */
export function schemaThat(record: (input: Input) => Promise<Payload>): GraphQLSchema {
  const schema = buildSchema(
    readFileSync(new URL("../../../schema/schema.graphql", import.meta.url), "utf8"),
  );
  const { serialize, parseValue, parseLiteral } = DateTime;
  Object.assign(schema.getType("DateTime") ?? {}, { serialize, parseValue, parseLiteral });
  const field = schema.getMutationType()?.getFields().recordImpressions;
  if (field === undefined) throw new Error("the schema has no recordImpressions");
  field.resolve = (_root: unknown, { input }: { input: Input }) => record(input);
  return schema;
}
