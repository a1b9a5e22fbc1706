import { HeaderMap } from "@apollo/server";
import {
  type DocumentNode,
  type ExecutionResult,
  execute,
  type FormattedExecutionResult,
  type GraphQLSchema,
  getOperationAST,
  type OperationDefinitionNode,
  parse,
  validate,
} from "graphql";
import type { GraphQLServer } from "../../src/server/apollo.ts";
import type { Logger } from "../../src/telemetry/logger.ts";
import { createRandom } from "./random.ts";
import { type RandomRequest, randomRequest } from "./random-queries.ts";
import {
  createRandomWorld,
  dependenciesOn,
  type RandomWorld,
  WORLD_IDS,
  WORLD_NOW_MS,
} from "./random-world.ts";

/** The compared parts of `src/`: a test imports them as they are, a command that Node runs imports the build. */
export type ComparedModules = Pick<typeof import("../../src/domain/caller.ts"), "ANYBODY"> &
  Pick<typeof import("../../src/resolvers/context.ts"), "createContextFactory"> &
  Pick<typeof import("../../src/resolvers/query-cost.ts"), "priceOperation"> &
  Pick<typeof import("../../src/resolvers/request-outcome.ts"), "newRequestOutcome"> &
  Pick<typeof import("../../src/resolvers/schema.ts"), "buildGraphQLSchema"> &
  Pick<typeof import("../../src/server/apollo.ts"), "startApollo"> &
  Pick<typeof import("../../src/server/compiled-operation.ts"), "createCompiler"> &
  Pick<typeof import("../../src/server/compiled-run.ts"), "runCompiled"> &
  Pick<typeof import("../../src/server/graphql-errors.ts"), "concludeAnswer" | "forgetPlaces" | "toPublic">;

export interface Comparison {
  /** Makes a request, its data and its answers of this seed. @returns what differs, in words; null where nothing does. */
  compare(seed: number): Promise<string | null>;
  readonly counts: { compared: number; failing: number; compiled: number };
}

/** Often enough that the last ones run compiled, and past Apollo Server. */
const TIMES = 5;

/**
 * Compares the ways in which one request may be executed, without HTTP: by graphql-js alone, by Apollo Server, by this
 * service time after time, and compiled at once whatever the answer. What is told (status, data, errors and their places)
 * and what is done must be the same, and the price must not depend on the names of variables.
 */
export async function createComparison(modules: ComparedModules): Promise<Comparison> {
  const { buildGraphQLSchema, createContextFactory, newRequestOutcome, ANYBODY } = modules;
  const schema = buildGraphQLSchema();
  const compile = modules.createCompiler(schema);
  const counts = { compared: 0, failing: 0, compiled: 0 };
  let world = createRandomWorld(createRandom(0));
  const newContext = createContextFactory(dependenciesOn(() => world));
  const contextOf = () =>
    newContext({ caller: ANYBODY, address: () => null }, undefined, newRequestOutcome(""));
  const start = (jit: boolean) =>
    modules.startApollo({
      schema,
      introspection: true,
      limits: { costMax: Number.MAX_SAFE_INTEGER, depthMax: Number.MAX_SAFE_INTEGER },
      jit,
      logger: SILENT,
    });
  const service = await start(true);
  const apolloAlone = await start(false);

  async function ask({ apollo, fastPath }: GraphQLServer, body: RandomRequest): Promise<Told> {
    const headers = { "content-type": "application/json" };
    const context = contextOf();
    const { status = 200, body: answer } = await (fastPath({ method: "POST", headers, body }, context) ??
      apollo.executeHTTPGraphQLRequest({
        httpGraphQLRequest: {
          method: "POST",
          headers: new HeaderMap(Object.entries(headers)),
          search: "",
          body,
        },
        context: async () => context,
      }));
    if (answer.kind !== "complete") throw new Error("an answer in parts");
    return { status, ...JSON.parse(answer.string) };
  }

  function interpret(
    { variables, operationName }: RandomRequest,
    document: DocumentNode,
  ): Promise<Told> | Told {
    const executed = execute({
      schema,
      document,
      contextValue: contextOf(),
      variableValues: variables,
      operationName,
      options: { maxCoercionErrors: 20 },
    });
    return executed instanceof Promise ? executed.then(tell) : tell(executed);
  }

  /** Null where the request is none of those that are compiled. */
  async function runCompiled(
    { variables }: RandomRequest,
    document: DocumentNode,
    operation: OperationDefinitionNode,
  ): Promise<Told | null> {
    const compiled = compile(document, operation);
    const coerced = compiled?.coerce(variables) ?? null;
    if (compiled === null || coerced === null) return null;
    counts.compiled++;
    return tell(await modules.runCompiled(compiled, contextOf(), coerced));
  }

  function tell({ data, errors }: ExecutionResult): Told {
    const answer = {
      ...(errors && { errors: errors.map((error) => modules.toPublic(error.toJSON(), error)) }),
      ...(data === undefined ? {} : { data }),
    };
    const { status } = modules.concludeAnswer(answer, newRequestOutcome(""));
    return { status: status === 0 ? 200 : status, ...answer };
  }

  function priceOf({ query, variables, operationName }: RandomRequest): number {
    const document = parse(query);
    return modules.priceOperation(schema, document, operationIn(document, operationName), variables).cost;
  }

  async function compare(seed: number): Promise<string | null> {
    const random = createRandom(seed);
    const request = randomRequest(schema, random, {
      ids: WORLD_IDS,
      nowMs: WORLD_NOW_MS,
      firstMin: random.chance(0.1) ? 0 : 1,
      firstMax: 5,
      mutations: 0.2,
    });
    const document = validated(schema, request.query);
    modules.forgetPlaces(document, request.query);
    const operation = operationIn(document, request.operationName);
    world = createRandomWorld(random);
    const comparable = async (way: Promise<Told | null> | Told) => textOf(await way, world);
    const expected = await comparable(interpret(request, document));
    counts.compared++;
    if (expected?.includes(',"errors":[{')) counts.failing++;
    const ways: [string, () => Promise<Told | null>][] = [
      ["Apollo Server", () => ask(apolloAlone, request)],
      ...Array.from({ length: TIMES }, (_, time): [string, () => Promise<Told>] => [
        `the service, time ${time + 1}`,
        () => ask(service, request),
      ]),
      ["compiled", () => runCompiled(request, document, operation)],
    ];
    for (const [name, way] of ways) {
      const answer = await comparable(way());
      if (answer !== null && answer !== expected)
        return `seed ${seed}: ${textOfRequest(request)}\ngraphql-js: ${expected}\n${name}: ${answer}`;
    }
    const [price, renamed] = [priceOf(request), priceOf(withPlainNames(request))];
    return price === renamed
      ? null
      : `seed ${seed}: ${textOfRequest(request)}\ncosts ${price}, and ${renamed} under other names of variables`;
  }

  return { compare, counts };
}

interface Told extends FormattedExecutionResult {
  readonly status: number;
}

/** Errors in no order, and without what is jittered. */
function textOf(told: Told | null, world: RandomWorld): string | null {
  const done = world.done.splice(0);
  if (told === null) return null;
  const { status, data = null, errors = [] } = told;
  const texts = errors.map(({ message, path, locations, extensions }) =>
    JSON.stringify({ code: extensions?.code, path, message, locations }),
  );
  return `{"status":${status},"data":${JSON.stringify(data)},"errors":[${texts.sort()}],"done":${JSON.stringify(done)}}`;
}

function textOfRequest({ query, variables, operationName }: RandomRequest): string {
  return `${query} ${JSON.stringify(variables)}${operationName === null ? "" : ` ${operationName}`}`;
}

function validated(schema: GraphQLSchema, query: string): DocumentNode {
  const document = parse(query);
  const [error] = validate(schema, document);
  if (error) throw new Error(`the generator made an invalid document: ${error.message} ${query}`);
  return document;
}

function operationIn(document: DocumentNode, name: string | null): OperationDefinitionNode {
  const operation = getOperationAST(document, name);
  if (!operation) throw new Error(`no operation ${name}`);
  return operation;
}

/** The same with variables whose names nothing else has. */
function withPlainNames({ query, variables, operationName }: RandomRequest): RandomRequest {
  return {
    query: query.replaceAll("$", "$plain_"),
    variables: Object.fromEntries(Object.entries(variables).map(([name, value]) => [`plain_${name}`, value])),
    operationName,
  };
}

const ignore = () => undefined;
const SILENT = { debug: ignore, info: ignore, warn: ignore, error: ignore } as unknown as Logger;
