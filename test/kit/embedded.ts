import { DAY_MS, systemClock } from "../../src/domain/time.ts";
import {
  type EmbeddedEngine,
  type EmbeddedEngineOptions,
  openEmbeddedEngine,
} from "../../src/embedded/open.ts";
import { createTemporaryDirectory } from "./directory.ts";

const MIB = 1_024 * 1_024;

/** Options that most tests take as they are. */
export function engineOptions(
  given: Pick<EmbeddedEngineOptions, "dataDir"> & Partial<EmbeddedEngineOptions>,
): EmbeddedEngineOptions {
  return {
    queueMaxBytes: 64 * MIB,
    deadLetterMaxBytes: 64 * MIB,
    deadLetterDays: 30,
    retentionMs: 90 * DAY_MS,
    clock: systemClock,
    ...given,
  };
}

/** An embedded engine in a directory of its own. */
export interface TemporaryEngine {
  readonly dataDir: string;
  current(): EmbeddedEngine;
  /** Closes the engine and opens another on the same files. */
  reopen(changed?: Partial<EmbeddedEngineOptions>): Promise<EmbeddedEngine>;
  dispose(): Promise<void>;
}

export async function openTemporaryEngine(
  options: Partial<EmbeddedEngineOptions> = {},
): Promise<TemporaryEngine> {
  const directory = createTemporaryDirectory();
  const dataDir = directory.path;
  const base = engineOptions({ dataDir, ...options });
  let engine = await openEmbeddedEngine(base);
  return {
    dataDir,
    current: () => engine,
    async reopen(changed = {}) {
      await engine.close();
      engine = await openEmbeddedEngine({ ...base, ...changed });
      return engine;
    },
    async dispose() {
      await engine.close();
      directory.remove();
    },
  };
}
