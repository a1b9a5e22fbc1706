import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { getOperationAST, parse, validate } from "graphql";
import { describe, expect, test } from "vitest";
import { buildGraphQLSchema } from "../../src/resolvers/schema.ts";
import { createCompiler } from "../../src/server/compiled-operation.ts";
import { createCompiledQueries } from "../../src/server/compiled-queries.ts";
import {
  COMPILED_BYTES_MAX,
  COMPILED_SELECTION_BYTES,
  COMPILED_SELECTIONS_MAX,
  DOCUMENT_BYTES_A_CHARACTER,
  GOOD_ANSWERS_TO_COMPILE,
} from "../../src/server/limits.ts";

const OPERATIONS = join(import.meta.dirname, "../../schema/operations");
const schema = buildGraphQLSchema();
const compile = createCompiler(schema);

function parsed(text: string) {
  const document = parse(text);
  const operation = getOperationAST(document);
  if (!operation) throw new Error("not one operation");
  return [document, operation] as const;
}

function isCompiled(text: string): boolean {
  const [document, operation] = parsed(text);
  expect(validate(schema, document)).toEqual([]);
  return compile(document, operation) !== null;
}

describe("compiled is", () => {
  const documented = readdirSync(OPERATIONS).filter((name) => name.endsWith(".graphql"));
  test.each(documented)("%s", (name) => {
    expect(isCompiled(readFileSync(join(OPERATIONS, name), "utf8"))).toBe(true);
  });

  const inside = (fields: string) => `{ user(id: "u") { ${fields} } }`;
  test.each([
    ["what clients add", inside("id __typename")],
    ["aliases", inside("a: id toString: id")],
    ["a field twice", `${inside("id")} `.repeat(2).replace("} {", "")],
    ["fragments, one of them twice", `${inside("...F ...F ... on User { id }")} fragment F on User { id }`],
    ["variables in literals", 'query ($p: ID!) { unseenPosts(userId: "u", candidates: [$p]) }'],
  ])("%s", (_name, text) => expect(isCompiled(text)).toBe(true));

  test.each([
    ["a condition on a field", inside("id @skip(if: false)")],
    ["a condition on an inline fragment", inside("... @include(if: true) { id }")],
    ["a condition on a spread", `${inside("...F @include(if: true)")} fragment F on User { id }`],
    ["a condition in a fragment", `${inside("...F")} fragment F on User { id @skip(if: false) }`],
    ["introspection", "{ __schema { queryType { name } } }"],
    ["a type of the schema", '{ __type(name: "User") { name } }'],
    ["a name that would become the answer's prototype", inside("__proto__: id")],
    ["a mutation with more than one field", 'mutation { __typename eraseUser(userId: "u") { id } }'],
  ])("not: %s", (_name, text) => expect(isCompiled(text)).toBe(false));

  test("up to COMPILED_SELECTIONS_MAX selections, fragments spelled out", () => {
    const fields = (count: number) => Array.from({ length: count }, (_, index) => `a${index}: id`).join(" ");
    const fragment = `fragment F on User { ${fields(198)} }`;
    const users = (count: number) =>
      Array.from({ length: count }, (_, index) => `u${index}: user(id: "u") { ...F }`).join(" ");
    expect(5 * 200).toBe(COMPILED_SELECTIONS_MAX);
    expect(isCompiled(`{ ${users(5)} } ${fragment}`)).toBe(true);
    expect(isCompiled(`{ ${users(5)} __typename } ${fragment}`)).toBe(false);
  });
});

describe("the compiled operations that are kept", () => {
  const answeredWell = (queries: ReturnType<typeof createCompiledQueries>, text: string, times: number) => {
    const [document, operation] = parsed(text);
    for (let time = 0; time < times; time++) queries.answeredWell(document, operation);
    return () => queries.find(operation) !== null;
  };

  test("were answered well, several times", () => {
    const queries = createCompiledQueries(schema);
    expect(answeredWell(queries, "{ __typename }", GOOD_ANSWERS_TO_COMPILE - 1)()).toBe(false);
    expect(answeredWell(queries, "{ __typename }", GOOD_ANSWERS_TO_COMPILE)()).toBe(true);
    expect(answeredWell(queries, "{ __typename @skip(if: false) }", 9)()).toBe(false);
  });

  test("are those that were used last, within their bytes", () => {
    const queries = createCompiledQueries(schema);
    const characters = 16_000;
    const text = (name: string) => `query ${name} { __typename } #`.padEnd(characters);
    const fitting = Math.floor(
      COMPILED_BYTES_MAX / (characters * DOCUMENT_BYTES_A_CHARACTER + COMPILED_SELECTION_BYTES),
    );
    const keep = (name: string) => answeredWell(queries, text(name), GOOD_ANSWERS_TO_COMPILE);
    const used = keep("Used");
    const kept = Array.from({ length: fitting - 1 }, (_, index) => keep(`Q${index}`));
    expect([used, ...kept].map((isKept) => isKept())).toEqual(Array(fitting).fill(true));
    used();
    const another = keep("Another");
    expect([another(), used(), kept[0]?.(), kept[1]?.()]).toEqual([true, true, false, true]);
  });

  test("count for their selections", () => {
    const queries = createCompiledQueries(schema);
    const first = answeredWell(queries, "{ __typename }", GOOD_ANSWERS_TO_COMPILE);
    const selections = COMPILED_SELECTIONS_MAX - 1;
    const many = Math.ceil(COMPILED_BYTES_MAX / (selections * COMPILED_SELECTION_BYTES));
    for (let index = 0; index < many; index++)
      answeredWell(
        queries,
        `query Q${index} { ${"__typename ".repeat(selections)} }`,
        GOOD_ANSWERS_TO_COMPILE,
      );
    expect(first()).toBe(false);
  });
});
