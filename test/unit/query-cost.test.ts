import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import {
  type GraphQLNamedType,
  getNamedType,
  isAbstractType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  parse,
  validate,
} from "graphql";
import { describe, expect, test } from "vitest";
import { DOCUMENT_LIMITS } from "../../src/resolvers/document-limits.ts";
import {
  checkPrice,
  createPricer,
  INTROSPECTION_LIST_LENGTH,
  priceOperation,
  READ_COST,
  UNSIZED_LIST_LENGTH,
} from "../../src/resolvers/query-cost.ts";
import { buildGraphQLSchema } from "../../src/resolvers/schema.ts";

const DOCUMENT = readFileSync(join(import.meta.dirname, "../../docs/query-cost.md"), "utf8");
const schema = buildGraphQLSchema();
const ids = (count: number) => Array.from({ length: count }, (_, index) => `id${index}`);

function priceOf(query: string, variables: Record<string, unknown> = {}) {
  const document = parse(query);
  expect(validate(schema, document)).toEqual([]);
  const operation = document.definitions.find(({ kind }) => kind === Kind.OPERATION_DEFINITION);
  return priceOperation(schema, document, operation as OperationDefinitionNode, variables);
}

describe("docs/query-cost.md", () => {
  const rows = [...DOCUMENT.matchAll(/^\| (`.+`|the same) \|(.*)\| (\d+) \|$/gm)].filter(
    ([, query]) => query?.includes("{") || query === "the same",
  );
  let last = "";
  const examples = rows.map(([, query = "", variables = "", cost]) => {
    if (query !== "the same") last = query.slice(1, -1);
    const number = (what: string) => Number(new RegExp(`(\\d+) ${what}`).exec(variables)?.[1] ?? 0);
    return [last, { u: ids(number("users")), p: ids(number("candidates")) }, Number(cost)] as const;
  });

  test("has examples", () => expect(examples).toHaveLength(7));

  test.each(examples)("%s", (query, variables, cost) => {
    expect(priceOf(query, variables).cost).toBe(cost);
  });

  test("names the numbers of the code", () => {
    expect(DOCUMENT).toContain(`| a page: a field with \`first\` | ${READ_COST}, and 1`);
    expect(DOCUMENT).toContain(
      `| ${UNSIZED_LIST_LENGTH} (${INTROSPECTION_LIST_LENGTH} in the schema itself) |`,
    );
    for (const [name, limit] of [
      ["tokens of a document", DOCUMENT_LIMITS.tokens],
      ["nested brackets", DOCUMENT_LIMITS.brackets],
      ["fields and fragment spreads", DOCUMENT_LIMITS.selections],
      ["aliases", DOCUMENT_LIMITS.aliases],
      ["fragments", DOCUMENT_LIMITS.fragments],
      ["directives", DOCUMENT_LIMITS.directives],
      ["tokens to compare", DOCUMENT_LIMITS.comparedTokens],
    ] as const) {
      expect(DOCUMENT).toContain(`| ${name} | ${limit.toLocaleString("en")} |`);
    }
  });
});

describe("the price", () => {
  test.each<[string, string, Record<string, unknown>, number]>([
    ["one field", "{ __typename }", {}, 1],
    ["fields cost where they are written twice", "{ __typename __typename }", {}, 2],
    ["a fragment, spread twice", "{ ...F ...F } fragment F on Query { __typename }", {}, 4],
    ["an inline fragment", "{ ... { __typename } }", {}, 2],
    ["the default page size", '{ seenPosts(userId: "u") { edges { cursor } } }', {}, 1 + 350 + 1 + 50 + 50],
    [
      "a variable without a value falls back to the argument's default",
      'query ($n: Int! = 7) { seenPosts(userId: "u", first: $n) { nodes { views } } }',
      {},
      1 + 307 + 1 + 7 + 7,
    ],
    [
      "a variable wins over its default",
      'query ($n: Int! = 7) { seenPosts(userId: "u", first: $n) { nodes { views } } }',
      { n: 9 },
      1 + 309 + 1 + 9 + 9,
    ],
    [
      "a page size over its limit counts as the limit, one below it as one",
      '{ a: seenPosts(userId: "u", first: 2000000) { nodes { views } } b: seenPosts(userId: "u", first: -3) { nodes { views } } }',
      {},
      1 + 800 + 1 + 500 + 500 + 1 + 301 + 1 + 1 + 1,
    ],
    ["a single id is a list of one", '{ posts(ids: "p") { id } }', {}, 1 + 1 + 1],
    [
      "candidates of 64 bytes",
      'query ($c: [ID!]!) { unseenPosts(userId: "u", candidates: $c) }',
      { c: ["x".repeat(64), "é".repeat(32)] },
      1 + 302 + 2,
    ],
    [
      "candidates of 65 and of 512 bytes",
      'query ($c: [ID!]!) { unseenPosts(userId: "u", candidates: $c) }',
      { c: ["x".repeat(65), "🎁".repeat(128)] },
      1 + 300 + 2 * (2 + 8),
    ],
    [
      "a long candidate by itself, and as one of a list that is spelled out",
      `query ($c: ID!) { a: unseenPosts(userId: "u", candidates: "${"x".repeat(128)}") b: unseenPosts(userId: "u", candidates: [$c, "${"y".repeat(65)}", "z"]) }`,
      { c: "x".repeat(128) },
      1 + 300 + 2 * 2 + 1 + 300 + 2 * 5,
    ],
    ["no candidates", '{ unseenPosts(userId: "u", candidates: []) }', {}, 1 + 300],
    [
      "candidates spelled out with variables among them",
      'query ($a: ID!) { unseenPosts(userId: "u", candidates: [$a, "b", "c"]) }',
      { a: "a" },
      1 + 303 + 3,
    ],
    [
      "the size of a page holds for that page only",
      '{ seenPosts(userId: "u", first: 2) { nodes { post { viewers(first: 3) { nodes { views } } } } } }',
      {},
      1 + 302 + 1 + 2 + 2 * (1 + 1 + 303 + 1 + 3 + 3),
    ],
    [
      "workers are a list that no argument sizes",
      "{ pipeline { workers { id } } }",
      {},
      1 + 300 + 1 + 64 + 64,
    ],
    ["an erasure is read", '{ erasure(id: "e") { id } }', {}, 1 + 300 + 1],
    ["erasures are read and listed", "{ unfinishedErasures { id } }", {}, 1 + 1_300 + 1_000 + 1_000],
    ["the schema is priced too", "{ __schema { types { name } } }", {}, 1 + 1 + 10 + 10],
    ["what is skipped costs the same", "{ __typename @skip(if: true) }", {}, 1],
    ["aliases are fields", '{ a: user(id: "u") { id } b: user(id: "u") { id } }', {}, 4],
  ])("%s", (_name, query, variables, cost) => {
    expect(priceOf(query, variables).cost).toBe(cost);
  });

  test.each(["constructor", "toString", "hasOwnProperty", "valueOf", "__proto__", "length"])(
    "is the same for a variable named %s as for any other",
    (name) => {
      const pages = (variable: string) => [
        `query ($${variable}: Int) { seenPosts(userId: "u", first: $${variable}) { nodes { views } } }`,
        `query ($${variable}: Int = 7) { seenPosts(userId: "u", first: $${variable}) { nodes { views } } }`,
        `query ($${variable}: [ID!]!) { unseenPosts(userId: "u", candidates: $${variable}) }`,
        `query ($${variable}: [ID!]!) { posts(ids: $${variable}) { id } }`,
      ];
      const values = [undefined, null, 9, "p", ids(3)];
      for (const [index, query] of pages(name).entries()) {
        for (const value of values) {
          const given = value === undefined ? [] : [value];
          const under = (variable: string) => Object.fromEntries(given.map((one) => [variable, one]));
          const other = pages("n")[index] ?? "";
          expect(priceOf(query, under(name))).toEqual(priceOf(other, under("n")));
        }
      }
    },
  );

  test("where nothing tells a size, it is the greatest one", () => {
    const [page, posts] = [
      'query ($n: Int!) { seenPosts(userId: "u", first: $n) { nodes { views } } }',
      "query ($n: [ID!]!) { posts(ids: $n) { id } }",
    ] as const;
    for (const n of ["x", {}, true, []]) expect(priceOf(page, { n })).toEqual(priceOf(page, { n: 500 }));
    for (const n of [{}, null, true]) expect(priceOf(posts, { n })).toEqual(priceOf(posts, { n: ids(100) }));
    const literal = (first: string) => `{ seenPosts(userId: "u", first: ${first}) { nodes { views } } }`;
    expect(priceOf(literal("40.0"))).toEqual(priceOf(literal("40")));
  });

  test("a list over its limit is refused before anything is executed", () => {
    const users = "query ($u: [ID!]!, $p: [ID!]!) { users(ids: $u) { unseenPosts(candidates: $p) } }";
    expect(() => priceOf(users, { u: ids(101), p: [] })).toThrow(/^ids must hold at most 100 ids, not 101/);
    expect(() => priceOf(users, { u: [], p: ids(1_001) })).toThrow(
      /^candidates must hold at most 1000 .*not 1001/,
    );
    const letters = "query ($i: [ID!]) { deadLetters(ids: $i) { nodes { id } } }";
    expect(() => priceOf(letters, { i: ids(101) })).not.toThrow();
  });

  test("fragments that double are priced without being spelled out", () => {
    const doubling = (levels: number) =>
      `{ ...F0 } ${Array.from({ length: levels }, (_, level) => `fragment F${level} on Query { ${level + 1 < levels ? `...F${level + 1} ... { ...F${level + 1} }` : "__typename"} }`).join(" ")}`;
    expect(priceOf(doubling(4))).toEqual({ cost: 30, selections: 30, depth: 1 });
    expect(priceOf(doubling(49)).cost).toBeGreaterThan(2 ** 49);
    expect(priceOf(doubling(60)).cost).toBe(Number.MAX_SAFE_INTEGER);
  });

  test("depth is that of the fields, fragments spelled out", () => {
    expect(priceOf("{ __typename }").depth).toBe(1);
    expect(
      priceOf('{ ...A } fragment A on Query { user(id: "u") { ...B } } fragment B on User { ... { id } }')
        .depth,
    ).toBe(2);
  });

  test("every type of the schema can be priced: none is abstract", () => {
    const abstract = Object.values(schema.getTypeMap()).filter((type: GraphQLNamedType) =>
      isAbstractType(type),
    );
    expect(abstract).toEqual([]);
  });

  test("every root field without first, candidates or ids is known to read or not", () => {
    const fields = Object.values(schema.getQueryType()?.getFields() ?? {});
    const bare = fields.filter(
      (field) => !field.args.some(({ name }) => ["first", "candidates", "ids"].includes(name)),
    );
    expect(bare.map(({ name }) => name).sort()).toEqual(
      // user and post answer their id.
      ["erasure", "pipeline", "post", "unfinishedErasures", "user"],
    );
  });

  test("every field that takes first, candidates or ids is one of the formula's", () => {
    const sized = Object.values(schema.getTypeMap()).flatMap((type) =>
      isObjectType(type) && !type.name.startsWith("__")
        ? Object.values(type.getFields())
            .filter((field) => field.args.some(({ name }) => ["first", "candidates", "ids"].includes(name)))
            .map((field) => `${type.name}.${field.name}: ${getNamedType(field.type).name}`)
        : [],
    );
    expect(sized.sort()).toEqual([
      "Mutation.discardDeadLetters: DeadLetterAction",
      "Mutation.replayDeadLetters: DeadLetterAction",
      "Post.viewers: PostViewerConnection",
      "Query.deadLetters: DeadLetterConnection",
      "Query.postViewers: PostViewerConnection",
      "Query.posts: Post",
      "Query.seenPosts: SeenPostConnection",
      "Query.unseenPosts: ID",
      "Query.users: User",
      "User.seenPosts: SeenPostConnection",
      "User.unseenPosts: ID",
    ]);
  });
});

describe("the budget", () => {
  const price = { cost: 101, depth: 5, selections: 9 };

  test("is what may be spent, no more", () => {
    expect(() => checkPrice(price, { costMax: 101, depthMax: 5 })).not.toThrow();
    expect(() => checkPrice(price, { costMax: 100, depthMax: 5 })).toThrow(
      /^The query costs 101, and 100 is allowed/,
    );
    expect(() => checkPrice(price, { costMax: 101, depthMax: 4 })).toThrow(/5 deep; 4 are allowed/);
  });

  test("is told in numbers", () => {
    const thrown = (() => {
      try {
        checkPrice(price, { costMax: 100, depthMax: 5 });
      } catch (error) {
        return error;
      }
      return undefined;
    })();
    expect(thrown).toMatchObject({ price: { cost: 101, costMax: 100 } });
  });
});

describe("any query", () => {
  test("costs what its pages cost, each as often as it can be asked for", () => {
    const sizes = fc.integer({ min: 1, max: 40 });
    fc.assert(
      fc.property(sizes, sizes, sizes, (users, posts, viewers) => {
        const query = `query ($u: [ID!]!) { users(ids: $u) { seenPosts(first: ${posts}) { nodes { post { viewers(first: ${viewers}) { edges { cursor } } } } } } }`;
        let cost = 1;
        for (let user = 0; user < users; user++) {
          cost += 1 + (1 + READ_COST + posts) + 1;
          for (let post = 0; post < posts; post++) {
            cost += 1 + 1 + (1 + READ_COST + viewers) + 1 + 2 * viewers;
          }
        }
        expect(priceOf(query, { u: ids(users) }).cost).toBe(cost);
      }),
      { numRuns: 50 },
    );
  });
});

test("a pricer asks variables anew each time, and forgets nothing else", () => {
  const price = createPricer(schema);
  const priced = (query: string) => {
    const document = parse(query);
    const [operation] = document.definitions as [OperationDefinitionNode];
    return (variables: Record<string, unknown>) => {
      const first = price(document, operation, variables);
      expect(first).toEqual(priceOperation(schema, document, operation, variables));
      return first.cost;
    };
  };
  const page = priced('query ($n: Int = 7) { seenPosts(userId: "u", first: $n) { nodes { views } } }');
  expect(new Set([page({ n: 10 }), page({ n: 90 }), page({}), page({ n: 10 })]).size).toBe(3);
  const fragment = priced(
    'query ($n: Int) { ...Q } fragment Q on Query { seenPosts(userId: "u", first: $n) { nodes { views } } }',
  );
  expect(fragment({ n: 90 })).toBeGreaterThan(fragment({ n: 10 }));
  const fixed = priced(
    "mutation ($i: RecordImpressionsInput!) { recordImpressions(input: $i) { accepted } }",
  );
  expect(fixed({ i: {} })).toBe(fixed({ i: null }));
});
