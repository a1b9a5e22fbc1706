import { parse } from "graphql";
import { describe, expect, test } from "vitest";
import { createCandidates } from "../../src/resolvers/candidates.ts";
import { createDocumentStore } from "../../src/server/document-store.ts";
import {
  DOCUMENT_CHARACTERS_MAX,
  DOCUMENTS_MAX,
  STORED_DOCUMENT_CHARACTERS_MAX,
} from "../../src/server/limits.ts";

describe("candidates of one request", () => {
  test("equal lists are one list, however they came", () => {
    const candidates = createCandidates();
    const given = ["b", "a", "b"];
    const list = candidates.of(given);
    expect(list.postIds).toEqual(["b", "a"]);
    expect(candidates.of(given)).toBe(list);
    expect(candidates.of(["b", "a"])).toBe(list);
    expect(candidates.of(["a", "b"]).number).not.toBe(list.number);
    expect(candidates.of(["ba"]).number).not.toBe(candidates.of(["b", "a"]).number);
  });
});

describe("the document store", () => {
  const documentOf = (length: number) => parse(`{ a }`.padEnd(length));

  test("keeps the documents that were used last, within its number", async () => {
    const store = createDocumentStore();
    for (let index = 0; index < DOCUMENTS_MAX; index++) await store.set(`d${index}`, documentOf(10));
    expect(await store.get("d0")).toBeDefined();
    await store.set("one more", documentOf(10));
    expect(await store.get("d0")).toBeDefined();
    expect(await store.get("d1")).toBeUndefined();
    expect(await store.get("d2")).toBeDefined();
  });

  test("finds a document by its text as long as it is there, which counts as a use", async () => {
    const store = createDocumentStore();
    const textOf = (index: number) => `{ a${index} }`;
    const put = (index: number) => store.set(`d${index}`, parse(textOf(index)));
    for (let index = 0; index < DOCUMENTS_MAX; index++) await put(index);
    expect(store.ofText(textOf(0))).toBe(await store.get("d0"));
    expect(store.ofText(textOf(1))).toBeDefined();
    expect(store.ofText(`${textOf(0)} `)).toBeUndefined();
    await put(DOCUMENTS_MAX);
    await put(DOCUMENTS_MAX + 1);
    expect([0, 1, 2, 3, 4].map((index) => store.ofText(textOf(index)) !== undefined)).toEqual([
      true,
      true,
      false,
      false,
      true,
    ]);
    await store.delete("d4");
    expect(store.ofText(textOf(4))).toBeUndefined();
  });

  test("keeps within its size, and no giant at all", async () => {
    const store = createDocumentStore();
    await store.set("giant", documentOf(STORED_DOCUMENT_CHARACTERS_MAX + 1));
    expect(await store.get("giant")).toBeUndefined();
    const fitting = DOCUMENT_CHARACTERS_MAX / STORED_DOCUMENT_CHARACTERS_MAX;
    for (let index = 0; index <= fitting; index++) {
      await store.set(`d${index}`, documentOf(STORED_DOCUMENT_CHARACTERS_MAX));
      await store.set(`d${index}`, documentOf(STORED_DOCUMENT_CHARACTERS_MAX));
    }
    expect(await store.get("d0")).toBeUndefined();
    for (let index = 1; index <= fitting; index++)
      expect(await store.get(`d${index}`), `d${index}`).toBeDefined();
    await store.delete("d1");
    expect(await store.get("d1")).toBeUndefined();
  });
});
