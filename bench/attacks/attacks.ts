import { gzipSync } from "node:zlib";

/**
 * Requests that cost a naive GraphQL server far more than they cost their sender, and how this one must answer: the test
 * in test/e2e/attack-set.test.ts holds the codes, `npm run bench:attacks` prints what each costs.
 */
export interface Attack {
  readonly name: string;
  readonly status: number;
  readonly code: string;
  /** A part of the message, if the code alone does not tell which protection answered. */
  readonly message: RegExp;
  readonly request: AttackRequest;
  /** It needs a server with INTROSPECTION=off. */
  readonly introspectionOff?: true;
}

interface AttackRequest {
  readonly method: string;
  /** JSON, unless the headers say otherwise; undefined for GET. */
  readonly body?: string | Uint8Array;
  /** With its question mark. */
  readonly search?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const times = (count: number, text: (index: number) => string, separator = " ") =>
  Array.from({ length: count }, (_, index) => text(index)).join(separator);
const ids = (count: number) => Array.from({ length: count }, (_, index) => `id${index}`);

function post(query: string, variables: Record<string, unknown> = {}): AttackRequest {
  return { method: "POST", body: JSON.stringify({ query, variables }) };
}

const RECORD = "mutation ($input: RecordImpressionsInput!) { recordImpressions(input: $input) { accepted } }";
const USERS = "query ($u: [ID!]!, $p: [ID!]!) { users(ids: $u) { unseenPosts(candidates: $p) } }";
/** Eight levels of fields each time. */
const DEEPER = (inner: string) =>
  `seenPosts(first: 1) { nodes { post { viewers(first: 1) { nodes { user { ${inner} } } } } } }`;
const nested = (rounds: number): string => (rounds === 0 ? "id" : DEEPER(nested(rounds - 1)));

const tooComplex = (name: string, message: RegExp, request: AttackRequest): Attack => ({
  name,
  status: 400,
  code: "QUERY_TOO_COMPLEX",
  message,
  request,
});
const badInput = (name: string, message: RegExp, request: AttackRequest): Attack => ({
  name,
  status: 400,
  code: "BAD_USER_INPUT",
  message,
  request,
});

export const ATTACKS: readonly Attack[] = [
  tooComplex(
    "brackets nested 40,000 deep",
    /64 levels of nested brackets/,
    post(`${"{a".repeat(40_000)}${"}".repeat(40_000)}`),
  ),
  tooComplex("fields 32 deep", /fields in fields/, post(`{ user(id: "u") { ${nested(5)} } }`)),
  tooComplex("130,000 spaces", /131072 characters/, post(`{ __typename }${" ".repeat(132_000)}`)),
  tooComplex("10,001 lines", /10000 lines/, post(`{ __typename }${"\n".repeat(10_000)}`)),
  badInput(
    "30 unknown fields, far apart",
    /Too many validation errors/,
    post(`{ ${times(30, (index) => `f${index}`, "\n".repeat(10))} }`),
  ),
  badInput(
    "an argument 300 times",
    /There can be only one argument named "id"/,
    post(`{ user(${'id:"u"\n'.repeat(300)}) { id } }`),
  ),
  tooComplex("5,000 aliases", /128 aliases/, post(`{ ${times(5_000, (index) => `a${index}:__typename`)} }`)),
  tooComplex(
    "100 aliases of 1,000 candidates for 100 users",
    /^The query costs \d+, and 250000/,
    post(
      USERS.replace(
        /unseenPosts\S+ \$p\)/,
        times(100, (index) => `a${index}: unseenPosts(candidates: $p)`),
      ),
      {
        u: ids(100),
        p: ids(1_000),
      },
    ),
  ),
  tooComplex(
    "22 MB of answer: 1,000 long candidates for 100 users",
    /^The query costs 4\d\d\d\d\d, and 250000/,
    post(USERS, { u: ids(100), p: ids(1_000).map((id) => id.padStart(128, "x")) }),
  ),
  tooComplex(
    "pages in pages",
    /^The query costs \d+, and 250000/,
    post(
      '{ seenPosts(userId: "u", first: 500) { nodes { post { viewers(first: 500) { nodes { user { seenPosts(first: 500) { nodes { views } } } } } } } } }',
    ),
  ),
  tooComplex(
    "1,000 fragments",
    /50 fragments/,
    post(
      `{ ${times(1_000, (index) => `...F${index}`)} } ${times(1_000, (index) => `fragment F${index} on Query { __typename }`)}`.replace(
        /^\{.*?\}/,
        "{ ...F0 }",
      ),
    ),
  ),
  tooComplex(
    "5,000 fragment spreads",
    /500 fields and fragment spreads/,
    post(`{ ${"...F ".repeat(5_000)} } fragment F on Query { __typename }`),
  ),
  tooComplex(
    "49 fragments that double",
    /^The query costs \d+, and 250000/,
    post(
      `{ ...F0 } ${times(49, (index) => `fragment F${index} on Query { ${index < 48 ? `...F${index + 1} ... { ...F${index + 1} }` : "__typename"} }`)}`,
    ),
  ),
  badInput(
    "circular fragments",
    /Cannot spread fragment/,
    post(
      `{ ...F0 } ${times(49, (index) => `fragment F${index} on Query { ...F${(index + 1) % 49} __typename }`)}`,
    ),
  ),
  tooComplex(
    "3,000 overlapping fields",
    /tokens to compare/,
    post(`{ ${'user(id:"u"){id} '.repeat(3_000)} }`),
  ),
  tooComplex(
    "150 overlapping fields with long arguments",
    /tokens to compare/,
    post(`{ ${`unseenPosts(userId:"u",candidates:[${'"p" '.repeat(50)}]) `.repeat(150)} }`),
  ),
  tooComplex("5,000 directives", /64 directives/, post(`{ __typename ${"@skip(if:false)".repeat(5_000)} }`)),
  tooComplex(
    "a list of 60,000 spelled out",
    /10000 tokens/,
    post(`{ unseenPosts(userId: "u", candidates: [${"1 ".repeat(60_000)}]) }`),
  ),
  badInput(
    "a list of 20,000 in variables",
    /at most 1000 post ids, not 20000/,
    post(USERS, { u: ids(100), p: ids(20_000) }),
  ),
  badInput(
    "80,000 empty impressions",
    /was not provided|Too many errors/,
    post(RECORD, { input: { userId: "u", impressions: Array(80_000).fill({}) } }),
  ),
  badInput(
    "500 impressions, wrong in every field",
    /got invalid value|Too many errors/,
    post(RECORD, {
      input: {
        userId: "u",
        impressions: Array(500).fill({
          postId: {},
          viewedAt: "now",
          surface: 1,
          position: "x",
          dwellMs: 0.5,
        }),
      },
    }),
  ),
  badInput("a list nested 100,000 deep in variables", /got invalid value/, {
    method: "POST",
    body: `{"query":${JSON.stringify(USERS)},"variables":{"p":[],"u":${"[".repeat(100_000)}${"]".repeat(100_000)}}}`,
  }),
  {
    name: "1 MB of variables",
    status: 413,
    code: "BATCH_TOO_LARGE",
    message: /larger than 262144 bytes/,
    request: post(USERS, { u: [], p: ids(100_000) }),
  },
  {
    name: "4 MiB of spaces in 4 KB of gzip",
    status: 413,
    code: "BATCH_TOO_LARGE",
    message: /larger than 262144 bytes/,
    request: {
      method: "POST",
      headers: { "content-encoding": "gzip" },
      body: gzipSync(Buffer.alloc(4 * 1024 * 1024, " ")),
    },
  },
  {
    ...badInput("an accept header of 1,025 characters", /^The header accept is longer than 1024/, {
      ...post("{ __typename }"),
      headers: { accept: "x".repeat(1_025) },
    }),
    status: 431,
  },
  {
    ...badInput("an unusual HTTP method", /^Send GraphQL requests with GET/, { method: "PROPFIND" }),
    status: 405,
  },
  badInput("a batch of 1,000 operations", /^Send one operation in each request/, {
    method: "POST",
    body: JSON.stringify(Array(1_000).fill({ query: '{ seenPosts(userId: "u") { nodes { views } } }' })),
  }),
  badInput(
    "100 mutations in one",
    /exactly one mutation/,
    post(`mutation { ${times(100, (index) => `a${index}: eraseUser(userId: "u${index}") { id }`)} }`),
  ),
  {
    name: "a mutation by GET",
    status: 405,
    code: "BAD_USER_INPUT",
    message: /^GET runs queries only/,
    request: { method: "GET", search: `?query=${encodeURIComponent('mutation{eraseUser(userId:"u"){id}}')}` },
  },
  tooComplex(
    "introspection 40 times over",
    /^The query costs \d+, and 250000/,
    post(
      `{ ${times(40, (index) => `a${index}: __schema { types { fields { args { name type { name ofType { name ofType { name } } } } } } }`)} }`,
    ),
  ),
  {
    ...badInput(
      "introspection where it is off",
      /^Introspection is off here/,
      post("{ __schema { types { name } } }"),
    ),
    introspectionOff: true,
  },
];

export interface AttackAnswer {
  readonly status: number;
  readonly codes: readonly string[];
  readonly message: string;
}

export async function send(
  url: string,
  { method, body, search = "", headers = {} }: AttackRequest,
): Promise<AttackAnswer> {
  const response = await fetch(new URL(`/graphql${search}`, url), {
    method,
    headers: {
      ...(method === "GET" ? { "apollo-require-preflight": "1" } : { "content-type": "application/json" }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: body as string }),
  });
  const { errors = [] } = (await response.json()) as {
    errors?: { message: string; extensions: { code: string } }[];
  };
  return {
    status: response.status,
    codes: [...new Set(errors.map(({ extensions }) => extensions.code))],
    message: errors.map(({ message }) => message).join("\n"),
  };
}

/** The query of an honest client at the same time. */
export const NORMAL: AttackRequest = post(
  '{ seenPosts(userId: "maria") { nodes { post { id } } pageInfo { hasNextPage } } }',
);
