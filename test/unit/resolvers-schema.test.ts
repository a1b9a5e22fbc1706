import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  buildSchema,
  DangerousChangeType,
  findBreakingChanges,
  findDangerousChanges,
  getVariableValues,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  Kind,
  parse,
  validate,
} from "graphql";
import { describe, expect, test } from "vitest";
import { OneMutationRule } from "../../src/resolvers/one-mutation-rule.ts";
import { buildGraphQLSchema, printGraphQLSchema } from "../../src/resolvers/schema.ts";
import { NOW_PLACEHOLDER, readOperations } from "../../src/server/operations.ts";

const ROOT = join(import.meta.dirname, "../..");
const schema = buildGraphQLSchema();

describe("the emitted schema", () => {
  test("offers all of the contract, by the same names, types and defaults", async () => {
    const contract = buildSchema(await readFile(join(ROOT, "test/support/contract.graphql"), "utf8"));
    expect(findBreakingChanges(contract, schema)).toEqual([]);
    // An optional argument breaks no caller.
    const dangerous = findDangerousChanges(contract, schema).filter(
      ({ type }) => type !== DangerousChangeType.OPTIONAL_ARG_ADDED,
    );
    expect(dangerous).toEqual([]);
    // findBreakingChanges allows a nullable result to become non-null; the contract means what it says.
    for (const type of Object.values(contract.getTypeMap())) {
      if (!isObjectType(type) || type.name.startsWith("__")) continue;
      const ours = schema.getType(type.name);
      if (!isObjectType(ours)) throw new Error(`${type.name} is no object type`);
      for (const field of Object.values(type.getFields())) {
        expect(`${type.name}.${field.name}: ${ours.getFields()[field.name]?.type}`).toBe(
          `${type.name}.${field.name}: ${field.type}`,
        );
      }
    }
  });

  test("is the committed one", async () => {
    expect(printGraphQLSchema()).toBe(await readFile(join(ROOT, "schema/schema.graphql"), "utf8"));
  });

  test("describes every type that a caller meets", () => {
    const bare = Object.values(schema.getTypeMap())
      .filter(
        (type) => isObjectType(type) || isInputObjectType(type) || isEnumType(type) || isInterfaceType(type),
      )
      .filter((type) => !type.name.startsWith("__") && !/Edge$|^Query$|^Mutation$/.test(type.name))
      .filter((type) => !type.description)
      .map((type) => type.name);
    expect(bare).toEqual([]);
  });
});

describe("the documented operations", async () => {
  const operations = await readOperations();

  test("come in the order of their readers, the app first", () => {
    expect(operations.map(({ name }) => name)).toEqual([
      "RecordImpressions",
      "PostViewers",
      "SeenPosts",
      "UnseenPosts",
      "UnseenPostsForUsers",
      "DeadLetters",
      "DiscardDeadLetters",
      "EraseUser",
      "Erasure",
      "Pipeline",
      "ReplayDeadLetters",
      "UnfinishedErasures",
      "UserAndViewers",
    ]);
  });

  test.each(operations)(
    "$name is valid, explained, and so are its variables",
    ({ name, query, variables }) => {
      const document = parse(query);
      expect(validate(schema, document)).toEqual([]);
      expect(validate(schema, document, [OneMutationRule])).toEqual([]);
      const [operation] = document.definitions;
      if (operation?.kind !== Kind.OPERATION_DEFINITION) throw new Error("not an operation");
      expect(operation.name?.value).toBe(name);
      expect(query).toMatch(/^# \S/);
      const values = JSON.parse(variables.replaceAll(NOW_PLACEHOLDER, new Date().toISOString())) as Record<
        string,
        unknown
      >;
      expect(getVariableValues(schema, operation.variableDefinitions ?? [], values).errors).toBeUndefined();
    },
  );

  test("reach every root field but the single-node ones", () => {
    const used = operations.flatMap(({ query }) =>
      parse(query).definitions.flatMap((definition) =>
        definition.kind === Kind.OPERATION_DEFINITION
          ? definition.selectionSet.selections.flatMap((field) =>
              field.kind === Kind.FIELD ? [field.name.value] : [],
            )
          : [],
      ),
    );
    const roots = [schema.getQueryType(), schema.getMutationType()].flatMap((type) =>
      Object.keys(type?.getFields() ?? {}),
    );
    expect(roots.filter((field) => !used.includes(field)).sort()).toEqual(["post", "posts"]);
  });
});
