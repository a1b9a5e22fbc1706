import { getIntrospectionQuery, parse, validate } from "graphql";
import { describe, expect, test } from "vitest";
import { QueryTooComplexError } from "../../src/errors.ts";
import { checkDocument, DOCUMENT_LIMITS } from "../../src/resolvers/document-limits.ts";
import { buildGraphQLSchema } from "../../src/resolvers/schema.ts";

/** The counts of a document before it is parsed: exactly up to each limit, and the parts that must not count. */

const times = (count: number, text: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => text(index)).join(" ");

/** One document for each limit, with so many of what it limits. */
const DOCUMENTS: Readonly<Record<keyof typeof DOCUMENT_LIMITS, (count: number) => string>> = {
  characters: (count) => `{ a }${" ".repeat(count - 5)}`,
  lines: (count) => `{ a }${"\n".repeat(count - 1)}`,
  // query ( $a : [ Int ] = [ 1 1 ... ] ) { b }: 15 around the values.
  tokens: (count) => `query ($a: [Int] = [${"1 ".repeat(count - 15)}]) { b }`,
  brackets: (count) => `${"{ a ".repeat(count)}${"}".repeat(count)}`,
  selections: (count) => `{ ${times(count - 3, (index) => `f${index}`)} ...F ... on Query { x } }`,
  aliases: (count) => `{ ${times(count, (index) => `a${index}: b(c: 1)`)} }`,
  directives: (count) => `query @a { ${times(count - 1, (index) => `b${index} @skip(if: true)`)} }`,
  fragments: (count) => `{ a } ${times(count, (index) => `fragment F${index} on Query { f${index} }`)}`,
  // 100 times the same field, with all its tokens in the last one's arguments.
  comparedTokens: (count) => `{ ${"a ".repeat(99)} a(b: [${"1 ".repeat(count / 100 - 105)}]) }`,
};

describe("checkDocument", () => {
  test.each(Object.entries(DOCUMENT_LIMITS))("%s: %d and not one more", (what, limit) => {
    const documentOf = DOCUMENTS[what as keyof typeof DOCUMENT_LIMITS];
    expect(() => checkDocument(documentOf(limit))).not.toThrow();
    const step = what === "comparedTokens" ? 100 : 1;
    expect(() => checkDocument(documentOf(limit + step))).toThrow(QueryTooComplexError);
    expect(() => checkDocument(documentOf(limit + step))).toThrow(
      new RegExp(`^The document has more than ${limit} `),
    );
  });

  test("lines are counted wherever they stand", () => {
    const lines = "\r\n".repeat(DOCUMENT_LIMITS.lines);
    for (const text of [
      `${lines}{ a }`,
      `{ a(b: """${lines}""") }`,
      `{ a # ${"\n#".repeat(DOCUMENT_LIMITS.lines)}\n }`,
    ])
      expect(() => checkDocument(text)).toThrow(/more than 10000 lines/);
  });

  test("characters in texts, comments and values are no structure", () => {
    expect(() => checkDocument(`{ a(b: "${"{[(".repeat(500)}") # ${"{".repeat(500)}\n}`)).not.toThrow();
    const values = times(200, (index) => `{ k${index}: [$v, ENUM, "@:..."] }`);
    expect(() => checkDocument(`query ($v: Int = 1) { a(b: [${values}]) }`)).not.toThrow();
  });

  test("a name that only says what another one is does not count", () => {
    const inlineFragments = times(DOCUMENT_LIMITS.selections / 2, (index) => `... on T { f${index} }`);
    expect(() => checkDocument(`{ ${inlineFragments} }`)).not.toThrow();
    // A field may be called on or fragment.
    expect(() => checkDocument("{ on fragment @on ... @on(fragment: 1) { on: on } }")).not.toThrow();
  });

  test("tools can ask for the schema", () => {
    for (const query of [
      getIntrospectionQuery(),
      getIntrospectionQuery({ inputValueDeprecation: true, oneOf: true }),
    ]) {
      expect(() => checkDocument(query)).not.toThrow();
    }
  });

  test("broken syntax is left to the parser", () => {
    for (const text of ['{ a(b: "', "}}}}", "...:@(", "{ a: : @ ... on", ""]) {
      expect(() => checkDocument(text), text).not.toThrow();
    }
  });

  test("the tokens that validation compares stay under the limit: the same field as often as allowed", () => {
    const query = `{ ${"__typename ".repeat(DOCUMENT_LIMITS.selections)} }`;
    checkDocument(query);
    expect(validate(buildGraphQLSchema(), parse(query))).toEqual([]);
  });
});
