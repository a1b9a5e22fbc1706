import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, print } from "graphql";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readOperations } from "../../src/server/operations.ts";
import { TrustedDocumentsError } from "../../src/server/trusted-documents.ts";
import { type Api, type HttpAnswer, readAnswer, startApi } from "../support/api.ts";

/** Documents by id in every mode, and nothing but the list where only that is trusted. */

const OWN = "query Mine($user: ID!) { user(id: $user) { id seenPosts(first: 1) { nodes { views } } } }";
const LIST = join(import.meta.dirname, "../../schema/trusted-documents.json");
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

let directory: string;
let any: Api;
let only: Api;
let list: Record<string, string>;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "impressions-trusted-"));
  const file = join(directory, "documents.json");
  await writeFile(file, JSON.stringify({ mine: OWN }));
  any = await startApi({ environment: { TRUSTED_DOCUMENTS_FILE: file } });
  only = await startApi({ environment: { TRUSTED_DOCUMENTS: "only", TRUSTED_DOCUMENTS_FILE: file } });
  list = JSON.parse(await readFile(LIST, "utf8")) as Record<string, string>;
});
afterAll(async () => {
  await any.stop();
  await only.stop();
  await rm(directory, { recursive: true, force: true });
});

function idOf(operation: string): string {
  const id = Object.keys(list).find((key) => list[key]?.includes(` ${operation}(`));
  if (id === undefined) throw new Error(`no ${operation} on the list`);
  return id;
}

const VARIABLES = { userId: "u1", candidates: ["a", "b"] };
const ANSWER = { data: { unseenPosts: ["a", "b"] } };
const persisted = (sha256Hash: unknown) => ({ persistedQuery: { version: 1, sha256Hash } });

function get(api: Api, parameters: Record<string, string>): Promise<HttpAnswer> {
  const url = new URL(`/graphql?${new URLSearchParams(parameters)}`, api.url);
  return fetch(url, { headers: { "apollo-require-preflight": "1" } }).then(readAnswer);
}

function expectRefused(answer: HttpAnswer, message: RegExp): void {
  expect(answer.status, answer.text).toBe(400);
  expect(answer.json).toEqual({
    errors: [
      expect.objectContaining({
        message: expect.stringMatching(message),
        extensions: { code: "BAD_USER_INPUT" },
      }),
    ],
  });
}

describe("the list of this package", () => {
  test("has every documented operation, each under the hash of its text", async () => {
    expect(Object.entries(list).map(([id, text]) => id === sha256(text))).not.toContain(false);
    const operations = await readOperations();
    expect(Object.values(list).sort()).toEqual(operations.map(({ query }) => print(parse(query))).sort());
  });
});

describe.each(["any", "only"] as const)("TRUSTED_DOCUMENTS=%s: an id stands for its text", (mode) => {
  const api = () => (mode === "any" ? any : only);

  test("as documentId", async () => {
    const id = idOf("UnseenPosts");
    for (const documentId of [id, `sha256:${id}`]) {
      expect((await api().post({ documentId, variables: VARIABLES })).json).toEqual(ANSWER);
      const answer = await get(api(), { documentId, variables: JSON.stringify(VARIABLES) });
      expect(answer.json).toEqual(ANSWER);
    }
  });

  test("as Apollo's clients send it", async () => {
    const extensions = persisted(idOf("UnseenPosts"));
    expect((await api().post({ extensions, variables: VARIABLES })).json).toEqual(ANSWER);
    const answer = await get(api(), {
      extensions: JSON.stringify(extensions),
      variables: JSON.stringify(VARIABLES),
    });
    expect(answer.json).toEqual(ANSWER);
  });

  test("of the operator's own list", async () => {
    const answer = await api().post({ documentId: "mine", variables: { user: "u1" } });
    expect(answer.json).toEqual({ data: { user: { id: "u1", seenPosts: { nodes: [] } } } });
  });

  test("a mutation by its id is not for GET either", async () => {
    const answer = await get(api(), { documentId: idOf("EraseUser"), variables: '{"userId":"u"}' });
    expect(answer.status).toBe(405);
    expect(await api().engine.store.unfinishedErasures()).toEqual([]);
  });

  test("an unknown documentId, one that is no text, and one beside a text", async () => {
    expectRefused(await api().post({ documentId: "sha256:00" }), /^documentId is not on this server's list/);
    expectRefused(await api().post({ documentId: "__proto__" }), /^documentId is not on this server's list/);
    expectRefused(await api().post({ documentId: 5 }), /^documentId must be a string/);
    expectRefused(
      await api().post({ documentId: "mine", query: "{ __typename }" }),
      /^Send query or documentId, not both/,
    );
  });

  test("the text of a listed document runs", async () => {
    const id = idOf("UnseenPosts");
    const query = list[id] ?? "";
    expect((await api().post({ query, variables: VARIABLES })).json).toEqual(ANSWER);
    // Both, as Apollo's clients do when they register a hash.
    expect((await api().post({ query, variables: VARIABLES, extensions: persisted(id) })).json).toEqual(
      ANSWER,
    );
  });
});

describe("TRUSTED_DOCUMENTS=any", () => {
  test("any document runs, and hashes are registered as ever", async () => {
    const query = "{ __typename }";
    const extensions = persisted(sha256(query));
    expect((await any.post({ extensions })).json.errors?.[0]?.extensions.code).toBe(
      "PERSISTED_QUERY_NOT_FOUND",
    );
    expect((await any.post({ query, extensions })).status).toBe(200);
    expect((await any.post({ extensions })).json).toEqual({ data: { __typename: "Query" } });
  });
});

describe("TRUSTED_DOCUMENTS=only", () => {
  const REFUSAL = /^Only trusted documents run here \(TRUSTED_DOCUMENTS=only\)/;

  test.each([
    ["a document of a caller", { query: "{ __typename }" }],
    ["introspection", { query: "{ __schema { queryType { name } } }" }],
    ["what does not parse", { query: "{ {{ {" }],
    ["text that is no document at all", { query: '"""' }],
    ["an unknown hash", { extensions: persisted(sha256("{ __typename }")) }],
    ["a foreign text under a trusted hash", { query: "{ __typename }", extensions: persisted("mine") }],
  ])("refuses %s", async (_name, request) => {
    expectRefused(await only.post(request), REFUSAL);
  });

  test("refuses them by GET too", async () => {
    expectRefused(await get(only, { query: "{ __typename }" }), REFUSAL);
    expectRefused(
      await get(only, { extensions: JSON.stringify(persisted(sha256("{ __typename }"))) }),
      REFUSAL,
    );
  });

  test("refuses a trusted text with anything added", async () => {
    const query = list[idOf("UnseenPosts")] ?? "";
    expectRefused(await only.post({ query: `${query} query Other { __typename }` }), REFUSAL);
    expectRefused(await only.post({ query: query.replace("unseenPosts", "a: unseenPosts") }), REFUSAL);
  });

  test("a hash cannot be registered for a text that is not trusted", async () => {
    const query = "{ __typename }";
    const extensions = persisted(sha256(query));
    expectRefused(await only.post({ query, extensions }), REFUSAL);
    expectRefused(await only.post({ extensions }), REFUSAL);
  });

  test("white space and comments change nothing: the files of schema/operations run as they are", async () => {
    for (const { name, query } of await readOperations()) {
      const answer = await only.post({ query, variables: {} });
      // Its variables are missing, but the document was let through.
      expect(answer.text, name).not.toMatch(REFUSAL.source);
    }
    const query = `#!\n${list[idOf("UnseenPosts")]?.replaceAll("\n", "\n\n  ,") ?? ""} # end`;
    expect((await only.post({ query, variables: VARIABLES })).json).toEqual(ANSWER);
  });

  test("a document over the limits is not even compared", async () => {
    const answer = await only.post({ query: `{ ${"a ".repeat(600)} }` });
    expect(answer.json.errors?.[0]?.extensions.code).toBe("QUERY_TOO_COMPLEX");
  });

  test("a request that names no document is told so", async () => {
    for (const body of [{}, { query: 5 }, { extensions: 5 }, [], "null"]) {
      const answer = await only.post(body);
      expect(answer.status, answer.text).toBe(400);
    }
  });
});

describe("the operator's list", () => {
  test.each([
    ["is missing", null, /ENOENT/],
    ["is no JSON", "{", /must hold a JSON object from ids to documents/],
    ["is a list", "[]", /must hold a JSON object/],
    ["holds something else than texts", '{"a":1}', /must hold a JSON object/],
    ["holds broken syntax", '{"a":"{"}', /document a: Syntax Error/],
    ["does not fit the schema", '{"a":"{ nothing }"}', /document a: Cannot query field "nothing"/],
    [
      "holds a document over the limits",
      `{"a":"{ ${"b ".repeat(600)} }"}`,
      /document a: .*more than 500 fields/,
    ],
  ])("that %s stops the start with what is wrong", async (_name, content, message) => {
    const file = join(directory, "other.json");
    await rm(file, { force: true });
    if (content !== null) await writeFile(file, content);
    const starting = startApi({ environment: { TRUSTED_DOCUMENTS_FILE: file } }).then((api) => api.stop());
    await expect(starting).rejects.toThrow(TrustedDocumentsError);
    await expect(starting).rejects.toThrow(message);
  });
});
