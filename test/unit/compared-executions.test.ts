import { beforeAll, describe, expect, test } from "vitest";
import { ANYBODY } from "../../src/domain/caller.ts";
import { createContextFactory } from "../../src/resolvers/context.ts";
import { priceOperation } from "../../src/resolvers/query-cost.ts";
import { newRequestOutcome } from "../../src/resolvers/request-outcome.ts";
import { buildGraphQLSchema } from "../../src/resolvers/schema.ts";
import { startApollo } from "../../src/server/apollo.ts";
import { createCompiler } from "../../src/server/compiled-operation.ts";
import { runCompiled } from "../../src/server/compiled-run.ts";
import { concludeAnswer, forgetPlaces, toPublic } from "../../src/server/graphql-errors.ts";
import { type Comparison, createComparison } from "../kit/compared-executions.ts";

/** Many more are compared by `npm run compare:execution`. */
const REQUESTS = 2_000;
const REQUESTS_A_TEST = 100;
/** Work and no waiting: a slow machine takes long, and nothing hangs. */
const TEST_MS_MAX = 120_000;

describe("a random request is answered the same by graphql-js, by Apollo Server, and compiled", () => {
  let comparison: Comparison;
  beforeAll(async () => {
    comparison = await createComparison({
      ANYBODY,
      buildGraphQLSchema,
      concludeAnswer,
      createCompiler,
      createContextFactory,
      forgetPlaces,
      newRequestOutcome,
      priceOperation,
      runCompiled,
      startApollo,
      toPublic,
    });
  });

  const firstSeeds = Array.from(
    { length: REQUESTS / REQUESTS_A_TEST },
    (_, index) => index * REQUESTS_A_TEST,
  );
  test.each(firstSeeds)("from seed %d", { timeout: TEST_MS_MAX }, async (firstSeed) => {
    for (let seed = firstSeed; seed < firstSeed + REQUESTS_A_TEST; seed++)
      expect(await comparison.compare(seed)).toBeNull();
  });

  test("among them are many that fail, and many of those that are compiled", () => {
    const { compared, failing, compiled } = comparison.counts;
    expect(compared).toBe(REQUESTS);
    expect(failing).toBeGreaterThan(REQUESTS / 10);
    expect(failing).toBeLessThan(REQUESTS / 2);
    expect(compiled).toBeGreaterThan(REQUESTS / 4);
  });
});
