import {
  type DocumentNode,
  execute,
  type GraphQLSchema,
  Kind,
  type OperationDefinitionNode,
  parse,
} from "graphql";
import { ANYBODY } from "../../src/domain/caller.ts";
import type { RequestContext, Sender } from "../../src/resolvers/context.ts";
import { printEnvironment } from "../support/environment.ts";
import { median } from "../support/statistics.ts";

/**
 * What executing an operation costs, compiled against interpreted: the same resolvers over a store that answers at once,
 * no HTTP. Run by `npm run bench:execution`.
 */

const ROUNDS = 9;
const ROUND_MS = 400;
const NOW_MS = Date.now();

// The built code: Node does not run decorators from TypeScript.
const dist = (path: string) => import(new URL(`../../dist/${path}`, import.meta.url).href);
const { buildGraphQLSchema } = (await dist("resolvers/schema.js")) as {
  buildGraphQLSchema: () => GraphQLSchema;
};
const { createContextFactory } = (await dist("resolvers/context.js")) as {
  createContextFactory: (deps: object) => (sender: Sender) => RequestContext;
};
const { createCompiler } = (await dist("server/compiled-operation.js")) as Pick<
  typeof import("../../src/server/compiled-operation.ts"),
  "createCompiler"
>;
const { runCompiled } = (await dist("server/compiled-run.js")) as Pick<
  typeof import("../../src/server/compiled-run.ts"),
  "runCompiled"
>;
const { priceOperation } = (await dist("resolvers/query-cost.js")) as {
  priceOperation: typeof import("../../src/resolvers/query-cost.ts")["priceOperation"];
};

const schema = buildGraphQLSchema();
const contextOf = createContextFactory({
  clock: { nowMs: () => NOW_MS },
  retentionMs: 90 * 86_400_000,
  impressionLimit: null,
  recorder: {
    record: async ({ impressions }: { impressions: readonly unknown[] }) => ({
      accepted: impressions.length,
      receivedAt: NOW_MS,
      receivedAtMs: NOW_MS,
      flushAfterMs: 0,
    }),
  },
  store: {
    seenPosts: async ({ limit }: { limit: number }) => ({
      rows: Array.from({ length: limit }, (_, index) => ({
        postId: `post-${index}`,
        lastViewedAtMs: NOW_MS - index,
        views: 1,
        surface: "HOME",
        position: index,
        dwellMs: 1_800,
      })),
      next: null,
      boundMs: NOW_MS,
    }),
  },
});

const compile = createCompiler(schema);
const newContext = () => contextOf({ caller: ANYBODY, address: () => null });

const RECORD =
  "mutation R($input: RecordImpressionsInput!) { recordImpressions(input: $input) { accepted receivedAt flushAfterMs } }";
const PAGE =
  "query P($userId: ID!, $first: Int! = 50) { seenPosts(userId: $userId, first: $first) { nodes { post { id } lastViewedAt views surface position dwellMs } pageInfo { hasNextPage endCursor } } }";
const CASES: readonly (readonly [name: string, query: string, variables: Record<string, unknown>])[] = [
  [
    "recordImpressions of 10",
    RECORD,
    {
      input: {
        userId: "maria",
        sentAt: new Date(NOW_MS).toISOString(),
        impressions: Array.from({ length: 10 }, (_, index) => ({
          postId: `post-${index}`,
          viewedAt: new Date(NOW_MS - index * 1_000).toISOString(),
          surface: "HOME",
          position: index,
          dwellMs: 1_800,
        })),
      },
    },
  ],
  ["a seenPosts page of 50", PAGE, { userId: "maria" }],
  ["a seenPosts page of 100", PAGE, { userId: "maria", first: 100 }],
];

/** Microseconds a run, over ROUND_MS. */
async function usPerRun(run: () => unknown): Promise<number> {
  const startMs = performance.now();
  let runs = 0;
  while (performance.now() - startMs < ROUND_MS) {
    for (let index = 0; index < 20; index++) await run();
    runs += 20;
  }
  return ((performance.now() - startMs) * 1_000) / runs;
}

function operationOf(document: DocumentNode): OperationDefinitionNode {
  const operation = document.definitions.find(({ kind }) => kind === Kind.OPERATION_DEFINITION);
  if (operation?.kind !== Kind.OPERATION_DEFINITION) throw new Error("no operation");
  return operation;
}

await printEnvironment();
console.log(`\nMedians of ${ROUNDS} alternating rounds of ${ROUND_MS} ms; microseconds an execution.\n`);
console.log("| operation | graphql-js | compiled | ratio | price, beside either | compiling it, once |");
console.log("|---|---|---|---|---|---|");
for (const [name, query, variables] of CASES) {
  const document = parse(query);
  const operation = operationOf(document);
  const compiled = compile(document, operation);
  if (compiled === null) throw new Error(`${name} is not compiled`);
  const ways = {
    interpreted: () => execute({ schema, document, contextValue: newContext(), variableValues: variables }),
    compiled: () => {
      const coerced = compiled.coerce(variables);
      if (coerced === null) throw new Error("the variables do not fit");
      return runCompiled(compiled, newContext(), coerced);
    },
    compiling: () => compile(document, operation),
    price: () => priceOperation(schema, document, operation, variables),
  };
  const expected = JSON.stringify(await ways.interpreted());
  if (JSON.stringify(await ways.compiled()) !== expected) throw new Error(`${name}: the answers differ`);
  const figures = { interpreted: [], compiled: [], compiling: [], price: [] } as Record<
    keyof typeof ways,
    number[]
  >;
  for (let round = 0; round <= ROUNDS; round++) {
    for (const way of ["interpreted", "compiled", "compiling", "price"] as const) {
      const us = await usPerRun(ways[way]);
      // The first round warms up.
      if (round > 0) figures[way].push(us);
    }
  }
  const interpretedUs = median(figures.interpreted);
  const compiledUs = median(figures.compiled);
  console.log(
    `| ${name} | ${interpretedUs.toFixed(1)} | ${compiledUs.toFixed(1)} | ${(interpretedUs / compiledUs).toFixed(2)} | ${median(figures.price).toFixed(1)} | ${median(figures.compiling).toFixed(1)} |`,
  );
}
