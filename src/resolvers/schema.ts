import "reflect-metadata";
import { type GraphQLSchema, lexicographicSortSchema, printSchema } from "graphql";
import { buildSchemaSync } from "type-graphql";
import type { RequestContext } from "./context.ts";
import { DeadLetterResolver } from "./dead-letters.ts";
import { ErasureResolver } from "./erasures.ts";
import { checkAuthorized } from "./guard.ts";
import { PipelineResolver } from "./pipeline.ts";
import { PostResolver, SeenPostResolver } from "./posts.ts";
import { type RecordImpressionsInput, RecordResolver, recordImpressions } from "./record.ts";
import { PostViewerResolver, UserResolver } from "./users.ts";

/** The executable schema. Resolvers get a RequestContext (see context.ts) as their context. */
export function buildGraphQLSchema(): GraphQLSchema {
  const schema = buildSchemaSync({
    resolvers: [
      RecordResolver,
      UserResolver,
      PostViewerResolver,
      PostResolver,
      SeenPostResolver,
      DeadLetterResolver,
      ErasureResolver,
      PipelineResolver,
    ],
    validate: false,
    authChecker: checkAuthorized,
  });
  takeShortcut(schema);
  return schema;
}

/** The schema in SDL, as committed in schema/schema.graphql; sorted, so that the order of decorators changes nothing. */
export function printGraphQLSchema(): string {
  return `${printSchema(lexicographicSortSchema(buildGraphQLSchema()))}\n`;
}

/** The hot mutation's field calls its function without the argument-to-class conversion and the guard; see record.ts. */
function takeShortcut(schema: GraphQLSchema): void {
  const field = schema.getMutationType()?.getFields().recordImpressions;
  if (field === undefined) throw new Error("the schema has no recordImpressions");
  field.resolve = (_root, args: { input: RecordImpressionsInput }, context: RequestContext) =>
    recordImpressions(args.input, context);
}
