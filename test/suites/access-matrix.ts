import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Scope } from "../../src/domain/caller.ts";
import { buildGraphQLSchema } from "../../src/resolvers/schema.ts";
import { GOOD_ANSWERS_TO_COMPILE } from "../../src/server/limits.ts";
import {
  AUDIENCE,
  createTokenIssuer,
  ISSUER,
  seconds,
  signWith,
  type TokenIssuer,
  unsignedToken,
} from "../kit/tokens.ts";
import type { Api, HttpAnswer } from "../support/api.ts";

/**
 * Access: every root field of the schema, requested with every kind of token. The same table on both engines, with
 * operations compiled and interpreted.
 */

const WRITE = "impressions:write";
const READ = "impressions:read";
const ADMIN = "impressions:admin";

/** The user whose views the mutation records. */
const USER = "maria";
const PAGE = "{ nodes { __typename } pageInfo { hasNextPage } }";
const NOTHING = '(filter: { ids: ["none"] }, dryRun: true) { matched }';

const OPERATIONS: Readonly<Record<string, { readonly query: string; readonly scope: Scope }>> = {
  recordImpressions: {
    query: `mutation { recordImpressions(input: { userId: "${USER}", impressions: [{ postId: "p", viewedAt: "2026-01-01T00:00:00Z" }] }) { accepted } }`,
    scope: WRITE,
  },
  seenPosts: { query: `{ seenPosts(userId: "${USER}") ${PAGE} }`, scope: READ },
  unseenPosts: { query: `{ unseenPosts(userId: "${USER}", candidates: ["p"]) }`, scope: READ },
  user: { query: `{ user(id: "${USER}") { id unseenPosts(candidates: ["p"]) } }`, scope: READ },
  users: { query: `{ users(ids: ["${USER}"]) { seenPosts ${PAGE} } }`, scope: READ },
  post: { query: `{ post(id: "p") { viewers ${PAGE} } }`, scope: READ },
  posts: { query: `{ posts(ids: ["p"]) { id } }`, scope: READ },
  postViewers: { query: `{ postViewers(postId: "p") ${PAGE} }`, scope: READ },
  deadLetters: { query: `{ deadLetters ${PAGE} }`, scope: ADMIN },
  replayDeadLetters: { query: `mutation { replayDeadLetters${NOTHING} }`, scope: ADMIN },
  discardDeadLetters: { query: `mutation { discardDeadLetters${NOTHING} }`, scope: ADMIN },
  pipeline: { query: "{ pipeline { engine pending workers { id } } }", scope: ADMIN },
  eraseUser: { query: `mutation { eraseUser(userId: "nobody") { status } }`, scope: ADMIN },
  erasure: { query: `{ erasure(id: "none") { status } }`, scope: ADMIN },
  unfinishedErasures: { query: "{ unfinishedErasures { id } }", scope: ADMIN },
};

interface Sender {
  readonly name: string;
  /** Undefined sends no Authorization header. */
  readonly authorization: (issuer: TokenIssuer, stranger: TokenIssuer) => Promise<string | undefined>;
  /** The scopes that it grants; "nothing at all" is 401 for every request. */
  readonly may: readonly Scope[] | "nothing at all";
}

const ALL = `${WRITE} ${READ} ${ADMIN}`;
const refused = (
  name: string,
  make: (issuer: TokenIssuer, stranger: TokenIssuer) => string | Promise<string>,
): Sender => ({
  name,
  authorization: async (issuer, stranger) => `Bearer ${await make(issuer, stranger)}`,
  may: "nothing at all",
});
const granted = (name: string, claims: Record<string, unknown>, may: readonly Scope[]): Sender => ({
  name,
  authorization: async (issuer) => `Bearer ${await issuer.sign(claims)}`,
  may,
});

const SENDERS: readonly Sender[] = [
  { name: "no token", authorization: async () => undefined, may: "nothing at all" },
  { name: "a password", authorization: async () => `Basic ${btoa("maria:secret")}`, may: "nothing at all" },
  refused("garbage", () => "garbage"),
  refused("garbage with dots", () => "eyJhbGciOiJSUzI1NiJ9.e30.AAAA"),
  refused("a token that has expired", (issuer) => issuer.sign({ sub: USER, scope: ALL, exp: seconds(-120) })),
  refused("a token without an end", (issuer) => issuer.sign({ sub: USER, scope: ALL, exp: undefined })),
  refused("a token that is not valid yet", (issuer) =>
    issuer.sign({ sub: USER, scope: ALL, nbf: seconds(600) }),
  ),
  refused("another issuer's token", (issuer) =>
    issuer.sign({ sub: USER, scope: ALL, iss: "https://else.example" }),
  ),
  refused("a token for another audience", (issuer) => issuer.sign({ sub: USER, scope: ALL, aud: "billing" })),
  refused("a token of another key", (_, stranger) => stranger.sign({ sub: USER, scope: ALL })),
  refused("alg: none", () => unsignedToken({ sub: USER, scope: ALL })),
  refused("HS256 with the public key as its secret", ({ publicPem }) =>
    signWith(publicPem, "HS256", { sub: USER, scope: ALL }),
  ),
  refused("a token whose claims were changed", async (issuer) => {
    const [header, , signature] = (await issuer.sign({ sub: "josef", scope: READ })).split(".");
    const [, claims] = (await issuer.sign({ sub: USER, scope: ALL })).split(".");
    return [header, claims, signature].join(".");
  }),
  granted("no scope", { sub: USER }, []),
  granted(
    "scopes of another service",
    { sub: USER, scope: "openid impressions:writer IMPRESSIONS:ADMIN" },
    [],
  ),
  granted("write", { sub: USER, scope: WRITE }, [WRITE]),
  granted("write, as another user", { sub: "josef", scope: WRITE }, []),
  granted("write, as nobody", { scope: WRITE }, []),
  granted("read", { sub: USER, scope: READ }, [READ]),
  granted("write and read, as a list", { sub: USER, scp: [WRITE, READ] }, [WRITE, READ]),
  granted("admin", { sub: "importer", scope: ADMIN }, [WRITE, READ, ADMIN]),
  granted("admin, as nobody", { scope: `openid ${ADMIN}` }, [WRITE, READ, ADMIN]),
];

/** The outcome of one request as the table has it. */
function outcomeOf({ status, headers, json }: HttpAnswer): string {
  const code = json.errors?.[0]?.extensions.code;
  const challenge = headers.has("www-authenticate") ? " with a challenge" : "";
  return `${status} ${code ?? "data"}${challenge}`;
}

function expectedFor(may: Sender["may"], scope: Scope): string {
  if (may === "nothing at all") return "401 UNAUTHENTICATED with a challenge";
  return may.includes(scope) ? "200 data" : "403 FORBIDDEN";
}

/** @param start starts an API with the settings, on the engine that the matrix is for. */
export function describeAccessMatrix(start: (environment: Record<string, string>) => Promise<Api>): void {
  describe.each(["on", "off"])("what each token may do, with GRAPHQL_JIT=%s", (jit) => {
    let api: Api;
    let issuer: TokenIssuer;
    let stranger: TokenIssuer;

    beforeAll(async () => {
      [issuer, stranger] = await Promise.all([createTokenIssuer(), createTokenIssuer()]);
      api = await start({
        AUTH: "jwt",
        JWT_PUBLIC_KEY: issuer.publicPem,
        JWT_ISSUER: ISSUER,
        JWT_AUDIENCE: AUDIENCE,
        GRAPHQL_JIT: jit,
      });
      const authorization = `Bearer ${await issuer.sign({ scope: ADMIN })}`;
      // From here on each of them runs compiled, where anything does.
      for (const { query } of Object.values(OPERATIONS)) {
        for (let answers = 0; answers < GOOD_ANSWERS_TO_COMPILE; answers++)
          await api.post({ query }, { authorization });
      }
    });
    afterAll(() => api?.stop());

    test("the table has every root field of the schema", () => {
      const schema = buildGraphQLSchema();
      const fields = [schema.getQueryType(), schema.getMutationType()].flatMap((type) =>
        Object.keys(type?.getFields() ?? {}),
      );
      expect(Object.keys(OPERATIONS).sort()).toEqual(fields.sort());
    });

    test.each(SENDERS)("$name", async ({ authorization, may }) => {
      const header = await authorization(issuer, stranger);
      const outcomes: Record<string, string> = {};
      const expected: Record<string, string> = {};
      for (const [field, { query, scope }] of Object.entries(OPERATIONS)) {
        const answer = await api.post({ query }, header === undefined ? {} : { authorization: header });
        outcomes[field] = outcomeOf(answer);
        expected[field] = expectedFor(may, scope);
      }
      expect(outcomes).toEqual(expected);
    });
  });
}
