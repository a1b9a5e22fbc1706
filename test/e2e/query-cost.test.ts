import { getOperationAST, type OperationDefinitionNode, parse } from "graphql";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { priceOperation, READ_COST } from "../../src/resolvers/query-cost.ts";
import { buildGraphQLSchema } from "../../src/resolvers/schema.ts";
import { createRandom } from "../kit/random.ts";
import { randomRequest } from "../kit/random-queries.ts";
import { type Api, startApi } from "../support/api.ts";

/** The price is an upper bound of what a query really does, and the budget is the one that is configured. */

const NOW_MS = Date.now();
/** `seenPosts(first: 10) { nodes { views } }` */
const PAGE_COST = 1 + 310 + 1 + 10 + 10;

const schema = buildGraphQLSchema();
let api: Api;
let reads = 0;
beforeAll(async () => {
  api = await startApi({
    override: ({ store }) => ({
      store: new Proxy(store, {
        get(target, member) {
          const value = Reflect.get(target, member) as unknown;
          if (typeof value !== "function") return value;
          return (...parameters: unknown[]) => {
            reads++;
            return value.apply(target, parameters);
          };
        },
      }),
    }),
  });
  // Every user saw every post: pages are full, as the price assumes.
  await api.store(
    Array.from({ length: 64 }, (_, index) => ({
      userId: `u${index % 8}`,
      postId: `p${index >> 3}`,
      viewedAtMs: NOW_MS - index * 1_000,
    })),
  );
});
afterAll(() => api.stop());

/** Fields and list items of an answer. */
function valuesIn(data: unknown): number {
  if (Array.isArray(data)) return data.reduce((sum: number, item) => sum + 1 + valuesIn(item), 0);
  if (typeof data !== "object" || data === null) return 0;
  return Object.values(data).reduce((sum: number, value) => sum + 1 + valuesIn(value), 0);
}

function priceOf(
  query: string,
  variables: Readonly<Record<string, unknown>>,
  operationName: string | null = null,
): number {
  const document = parse(query);
  const operation = getOperationAST(document, operationName) as OperationDefinitionNode;
  return priceOperation(schema, document, operation, variables).cost;
}

describe("the price", () => {
  test("of any query is at least what it answers and reads", async () => {
    let dearest = 0;
    for (let seed = 0; seed < 100; seed++) {
      const { query, variables, operationName } = randomRequest(schema, createRandom(seed), {
        ids: ["u0", "u1", "u2"],
        firstMin: 1,
        firstMax: 6,
        nowMs: NOW_MS,
        mutations: 0,
      });
      reads = 0;
      const { json } = await api.post({ query, variables, operationName });
      const cost = priceOf(query, variables, operationName);
      expect(cost, `seed ${seed}`).toBeGreaterThanOrEqual(valuesIn(json.data) + READ_COST * reads);
      dearest = Math.max(dearest, reads);
    }
    expect(dearest, "no query read anything: the bound was not tried").toBeGreaterThan(3);
  });

  test("is exact where every page is full and every read another one", async () => {
    const query =
      '{ seenPosts(userId: "u1", first: 8) { nodes { post { id viewers(first: 8) { nodes { lastViewedAt } } } } } }';
    reads = 0;
    const values = valuesIn(await api.run(query));
    expect(reads).toBe(9);
    // The price counts the requested rows: one for each of `first`.
    expect(priceOf(query, {})).toBe(values + READ_COST * reads + 8 + 8 * 8);
  });

  test("counts candidates, whether they were seen or not", async () => {
    const query = "query ($u: [ID!]!, $p: [ID!]!) { users(ids: $u) { unseenPosts(candidates: $p) } }";
    const variables = { u: ["u1", "u2", "u3"], p: Array.from({ length: 50 }, (_, index) => `x${index}`) };
    reads = 0;
    const values = valuesIn(await api.run(query, variables));
    expect(priceOf(query, variables)).toBe(values + READ_COST * 3 + 3 * 50);
    expect(reads).toBeLessThanOrEqual(3);
  });
});

describe("the budget", () => {
  test("is QUERY_COST_MAX: that much passes, one more is refused with both numbers", async () => {
    const tight = await startApi({ environment: { QUERY_COST_MAX: "1000" } });
    try {
      const pages = ["a", "b", "c"].map(
        (name) => `${name}: seenPosts(userId: "u1", first: 10) { nodes { views } }`,
      );
      const rest = 1_000 - pages.length * PAGE_COST;
      const three = (more: number) =>
        `{ ${pages.join(" ")} ${Array.from({ length: more }, (_, index) => `f${index}: __typename`).join(" ")} }`;
      expect((await tight.post({ query: three(rest) })).status).toBe(200);
      const refused = await tight.post({ query: three(rest + 1) });
      expect(refused.status).toBe(400);
      expect(refused.json.errors).toEqual([
        {
          message: expect.stringMatching(/^The query costs 1001, and 1000 is allowed\. /),
          extensions: { code: "QUERY_TOO_COMPLEX", cost: 1_001, costMax: 1_000 },
        },
      ]);
    } finally {
      await tight.stop();
    }
  });

  test("of depth is QUERY_DEPTH_MAX", async () => {
    const shallow = await startApi({ environment: { QUERY_DEPTH_MAX: "5" } });
    try {
      const five = '{ seenPosts(userId: "u") { nodes { post { viewers { __typename } } } } }';
      expect((await shallow.post({ query: five })).status).toBe(200);
      const six = five.replace("__typename", "pageInfo { endCursor }");
      const refused = await shallow.post({ query: six });
      expect(refused.json.errors?.[0]).toMatchObject({
        message: expect.stringMatching(/6 deep; 5 are allowed/),
        extensions: { code: "QUERY_TOO_COMPLEX" },
      });
    } finally {
      await shallow.stop();
    }
  });
});
