import type { FastifyInstance } from "fastify";
import { type GraphQLSchema, introspectionFromSchema } from "graphql";
import { type CompressedAsset, createCompressedAsset } from "./compressed-asset.ts";
import { readOperations } from "./operations.ts";
import { PLAYGROUND_POLICY, playgroundPage, startScript } from "./playground-page.ts";
import type { TrustedMode } from "./trusted-documents.ts";

const JSON_TYPE = "application/json; charset=utf-8";
const JAVASCRIPT = "text/javascript; charset=utf-8";

/**
 * `/playground`: GraphiQL from files of a package, no other origin. Its scripts (9 MB) are loaded and compressed when
 * the page is first opened.
 */
export function registerPlayground(
  fastify: FastifyInstance,
  options: {
    readonly mode: TrustedMode;
    /** Null where it is not to be read. */
    readonly schema: GraphQLSchema | null;
  },
): void {
  const page = createCompressedAsset("text/html; charset=utf-8", playgroundPage(options.mode));
  fastify.get("/playground", async (request, reply) => {
    reply.header("content-security-policy", PLAYGROUND_POLICY);
    return page.send(request, reply);
  });

  let assets: Promise<ReadonlyMap<string, CompressedAsset>> | undefined;
  fastify.get<{ Params: { file: string } }>("/playground/:file", async (request, reply) => {
    assets ??= loadAssets(options);
    const asset = (await assets).get(request.params.file);
    if (asset === undefined) return reply.callNotFound();
    // A worker has the policy that comes with its own script.
    reply.header("content-security-policy", PLAYGROUND_POLICY);
    return asset.send(request, reply);
  });
}

function schemaAnswer(schema: GraphQLSchema): string {
  return JSON.stringify({ data: introspectionFromSchema(schema) });
}

async function loadAssets({
  mode,
  schema,
}: {
  readonly mode: TrustedMode;
  readonly schema: GraphQLSchema | null;
}): Promise<ReadonlyMap<string, CompressedAsset>> {
  const [graphiql, operations] = await Promise.all([
    import("@graphql-yoga/render-graphiql/graphiql"),
    readOperations(),
  ]);
  return new Map([
    ["graphiql.js", createCompressedAsset(JAVASCRIPT, graphiql.js)],
    ["graphiql.css", createCompressedAsset("text/css; charset=utf-8", graphiql.css)],
    ["editor.worker.js", createCompressedAsset(JAVASCRIPT, graphiql.editorWorkerService)],
    ["json.worker.js", createCompressedAsset(JAVASCRIPT, graphiql.jsonWorker)],
    ["graphql.worker.js", createCompressedAsset(JAVASCRIPT, graphiql.graphqlWorker)],
    ["start.js", createCompressedAsset(JAVASCRIPT, startScript(operations, mode))],
    // Where only trusted documents run, GraphiQL's question for the schema is none of them.
    ...(schema === null
      ? []
      : [["schema.json", createCompressedAsset(JSON_TYPE, schemaAnswer(schema))] as const]),
  ]);
}
