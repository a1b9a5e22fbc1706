import { resolve } from "node:path";
import type { Config } from "../config.ts";
import type { GroupCommit } from "../ingest/group-commit.ts";
import type { CliDependencies, Engine } from "./dependencies.ts";

/** An opened engine with a way into its queue. */
export interface TransferEngine {
  readonly engine: Engine;
  readonly groupCommit: GroupCommit;
  /** Names the engine, to tell whether an import goes on into the one it began with. */
  readonly target: string;
}

/**
 * Opens the engine for the time of `body`. The embedded engine works in one process only, so the workers run here
 * too; a cluster's workers run elsewhere.
 */
export async function withEngine<Result>(
  deps: CliDependencies,
  config: Config,
  body: (opened: TransferEngine) => Promise<Result>,
): Promise<Result> {
  const engine = await deps.openEngine(config);
  const isEmbedded = engine.name === "embedded";
  const workers = isEmbedded ? deps.startWorkers(engine, config) : null;
  const groupCommit = engine.newGroupCommit();
  const target = isEmbedded
    ? `embedded, ${resolve(config.DATA_DIR)}`
    : `${engine.name}, ${engine.queue.stream}`;
  try {
    return await body({ engine, groupCommit, target });
  } finally {
    await groupCommit.drain();
    await workers?.stop();
    await engine.close();
  }
}
