import {
  type ExecutionResult,
  execute,
  GraphQLInt,
  GraphQLList,
  GraphQLNonNull,
  GraphQLObjectType,
  type GraphQLOutputType,
  GraphQLSchema,
  getOperationAST,
  parse,
} from "graphql";
import { expect, test } from "vitest";
import type { RequestContext } from "../../src/resolvers/context.ts";
import { createCompiler } from "../../src/server/compiled-operation.ts";
import { runCompiled } from "../../src/server/compiled-run.ts";
import { createRandom, type Random } from "../kit/random.ts";

/**
 * What the service's own schema has nearly nothing of: nulls, errors and promises in every place, also where null may be. Held
 * against graphql-js over one type that contains itself in every way.
 */

const NODE: GraphQLObjectType = new GraphQLObjectType({
  name: "Node",
  fields: () => {
    const wraps: ((type: GraphQLOutputType) => GraphQLOutputType)[] = [
      (type) => type,
      (type) => new GraphQLNonNull(type),
      (type) => new GraphQLList(type),
      (type) => new GraphQLNonNull(new GraphQLList(new GraphQLNonNull(type))),
    ];
    return Object.fromEntries(
      wraps.flatMap((wrap, index) => [
        [`node${index}`, { type: wrap(NODE), resolve: (source, _args, context) => context(source, index) }],
        [
          `leaf${index}`,
          { type: wrap(GraphQLInt), resolve: (source, _args, context) => context(source, index) },
        ],
        [`property${index}`, { type: wrap(GraphQLInt) }],
      ]),
    );
  },
});
const schema = new GraphQLSchema({ query: NODE });
const SEEDS_A_PART = 1_000;

function randomSet(random: Random, level: number): string {
  const fields = Array.from({ length: random.integer(1, 4) }, () => {
    const field = `${random.pick(level < 3 ? ["node", "leaf", "property"] : ["leaf", "property"])}${random.integer(0, 3)}`;
    return field.startsWith("node") ? `${field} ${randomSet(random, level + 1)}` : field;
  });
  return `{ ${fields.join(" ")} }`;
}

interface Node {
  /** Of the seed that its fields are made from. */
  readonly place: number;
  /** Stands in a list, or inside something that does. */
  readonly isListed: boolean;
}

/** The answers of the resolvers of one execution: good or bad, soon or late, the same each time for a node and a field. */
function answers(seed: number): (source: Node | undefined, index: number) => unknown {
  return (source = { place: seed, isListed: false }, index) => {
    const random = createRandom(source.place * 4 + index);
    const isList = index > 1;
    // Where a list is given up at once for one item, graphql-js 16 lets go of what others have promised.
    const isLate = source.isListed || random.chance(0.5);
    if (random.chance(0.04)) return isLate ? later(new Error("late"), 2) : throwing();
    const one = (isListed: boolean) => randomValue(random, isListed, isLate || isListed);
    return isList && (source.isListed || random.chance(0.95))
      ? Array.from({ length: random.integer(0, 3) }, () => one(true))
      : one(source.isListed);
  };
}

function randomValue(random: Random, isListed: boolean, isBadLate: boolean): unknown {
  const value = random.pick<unknown>([null, new Error("bad"), Number.NaN, ...Array<number>(17).fill(7)]);
  const isBad = value !== 7;
  const node = {
    place: random.integer(0, 2 ** 28),
    isListed,
    // An Int is made of it.
    valueOf: () => (isBad ? Number.NaN : 7),
    property0: value,
    property1: random.chance(0.5) ? () => 8 : 7,
    property2: [value, 7],
    property3: [7],
  };
  const result = value === null || value instanceof Error ? value : node;
  const turns = random.integer(isBad && isBadLate ? 1 : -5, 5);
  return turns <= 0 ? result : later(result, turns);
}

async function later(value: unknown, turns: number): Promise<unknown> {
  for (let turn = 0; turn < turns; turn++) await null;
  if (value instanceof Error) throw value;
  return value;
}

function throwing(): never {
  throw new Error("thrown");
}

test.each([0, 1, 2])("errors, nulls and promises come out as graphql-js has them, part %d", async (part) => {
  const compile = createCompiler(schema);
  const textOf = ({ data, errors }: ExecutionResult) => JSON.stringify({ data, errors });
  let withErrors = 0;
  let withoutData = 0;
  for (let seed = part * SEEDS_A_PART; seed < (part + 1) * SEEDS_A_PART; seed++) {
    const document = parse(randomSet(createRandom(seed), 0));
    const operation = getOperationAST(document);
    const compiled = operation && compile(document, operation);
    if (!compiled) throw new Error("everything of this schema is compiled");
    const context = answers(seed);
    const expected = await execute({ schema, document, contextValue: context });
    const found = await runCompiled(compiled, context as unknown as RequestContext, {});
    expect(textOf(found), `seed ${seed}`).toBe(textOf(expected));
    if (expected.errors !== undefined) withErrors++;
    if (expected.data === null) withoutData++;
  }
  expect(withErrors).toBeGreaterThan(SEEDS_A_PART / 6);
  expect(withErrors - withoutData).toBeGreaterThan(SEEDS_A_PART / 15);
});
