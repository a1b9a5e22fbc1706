import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ATTACKS, NORMAL, send } from "../../bench/attacks/attacks.ts";
import { GOOD_ANSWERS_TO_COMPILE } from "../../src/server/limits.ts";
import { type Api, startApi } from "../support/api.ts";

/** Each attack is refused with the right code before anything is read or enqueued, and a normal query beside it answers. */

let open: Api;
let closed: Api;
/** Calls that reached a port, by the honest query's user or another's. */
const reached: string[] = [];

beforeAll(async () => {
  const override: NonNullable<Parameters<typeof startApi>[0]>["override"] = ({
    store,
    queue,
    recorder,
    erasures,
  }) => ({
    store: counting("store", store),
    queue: counting("queue", queue),
    recorder: counting("recorder", recorder),
    erasures: counting("erasures", erasures),
  });
  open = await startApi({ override });
  closed = await startApi({ override, environment: { INTROSPECTION: "off" } });
  for (const api of [open, closed])
    await api.store([{ userId: "maria", postId: "p1", viewedAtMs: Date.now() - 1_000 }]);
});
afterAll(async () => {
  await open.stop();
  await closed.stop();
});

function counting<Port extends object>(name: string, port: Port): Port {
  return new Proxy(port, {
    get(target, member) {
      const value = Reflect.get(target, member) as unknown;
      if (typeof value !== "function") return value;
      return (...parameters: unknown[]) => {
        const [first] = parameters;
        const owner = typeof first === "object" && first !== null && "ownerId" in first ? first.ownerId : "";
        reached.push(`${name}.${String(member)} ${owner}`);
        return value.apply(target, parameters);
      };
    },
  });
}

describe("an attack", () => {
  test.each(ATTACKS)("$name", async ({ request, status, code, message, introspectionOff }) => {
    const { url, post } = introspectionOff ? closed : open;
    // Again and again, so that it meets stored documents and compiled queries, too.
    for (let time = 0; time < GOOD_ANSWERS_TO_COMPILE + 2; time++) {
      reached.length = 0;
      const [answer, normal] = await Promise.all([send(url, request), post(NORMAL.body)]);
      expect(answer).toEqual({ status, codes: [code], message: expect.stringMatching(message) });
      expect(normal.json).toEqual({
        data: { seenPosts: { nodes: [{ post: { id: "p1" } }], pageInfo: { hasNextPage: false } } },
      });
      expect(reached).toEqual(["store.seenPosts maria"]);
    }
  });
});

describe("honest queries next to them", () => {
  const ids = (count: number) => Array.from({ length: count }, (_, index) => `id${index}`);

  test.each<[string, string, Record<string, unknown>]>([
    [
      "1,000 candidates for 100 users",
      "query ($u: [ID!]!, $p: [ID!]!) { users(ids: $u) { id unseenPosts(candidates: $p) } }",
      { u: ids(100), p: ids(1_000) },
    ],
    [
      "candidates of their own for 100 users",
      `query (${Array.from({ length: 100 }, (_, index) => `$p${index}: [ID!]!`).join(" ")}) { ${Array.from({ length: 100 }, (_, index) => `u${index}: unseenPosts(userId: "u${index}", candidates: $p${index})`).join(" ")} }`,
      Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`p${index}`, ids(200)])),
    ],
    [
      "who else saw what a user saw, and what they saw",
      'query ($n: Int!) { seenPosts(userId: "maria", first: $n) { nodes { post { id viewers(first: $n) { nodes { user { id seenPosts(first: $n) { nodes { post { id } } } } } } } } } }',
      { n: 20 },
    ],
  ])("%s", async (_name, query, variables) => {
    expect(Object.keys(await open.run(query, variables))).not.toEqual([]);
  });
});
