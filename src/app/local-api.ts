import { type DocumentNode, type ExecutionResult, execute } from "graphql";
import type { Config } from "../config.ts";
import { OPERATOR } from "../domain/caller.ts";
import type { Clock } from "../domain/time.ts";
import { createContextFactory } from "../resolvers/context.ts";
import { buildGraphQLSchema } from "../resolvers/schema.ts";
import type { Logger } from "../telemetry/logger.ts";
import { resolverDependencies } from "./api.ts";
import type { Engine } from "./engine.ts";
import { openEngine } from "./open-engine.ts";
import { startEngineWorkers, startErasures } from "./start-workers.ts";

export interface LocalApi {
  execute(document: DocumentNode, variables: Record<string, unknown>): Promise<ExecutionResult>;
  close(): Promise<void>;
}

/** The GraphQL API in this process, without HTTP: what operator commands use where no service runs. */
export async function openLocalApi(config: Config, logger: Logger, clock: Clock): Promise<LocalApi> {
  const engine = await openEngine(config, logger, { waitForStore: true, clock });
  return localApi(engine, config, clock);
}

/**
 * The same, with the erasures running in it. The embedded engine's queue is worked off here, too, since no other process
 * can; a cluster's has workers of its own.
 */
export async function openLocalEraser(config: Config, logger: Logger, clock: Clock): Promise<LocalApi> {
  const engine = await openEngine(config, logger, { waitForStore: true, clock });
  const workers = engine.name === "embedded" ? startEngineWorkers(engine, config, logger, clock) : null;
  const erasures = startErasures(engine, config, logger, clock);
  const api = await localApi(engine, config, clock, erasures.wake);
  return {
    execute: api.execute,
    async close() {
      await erasures.stop();
      await workers?.stop();
      await api.close();
    },
  };
}

/** @param onErasureRequest wakes the erasures of this process. */
async function localApi(
  engine: Engine,
  config: Config,
  clock: Clock,
  onErasureRequest: () => void = () => undefined,
): Promise<LocalApi> {
  const groupCommit = engine.newGroupCommit();
  const dependencies = resolverDependencies(engine, config, { clock, groupCommit, onErasureRequest });
  const schema = await buildGraphQLSchema();
  const newContext = createContextFactory(dependencies);
  return {
    execute: async (document, variableValues) =>
      execute({
        schema,
        document,
        variableValues,
        contextValue: newContext({ caller: OPERATOR, address: () => null }),
      }),
    async close() {
      await groupCommit.drain();
      await engine.close();
    },
  };
}
