import type { Config } from "../../config.ts";
import type { Clock } from "../../domain/time.ts";
import { diagnoseEmbedded } from "../../embedded/doctor.ts";
import { openEmbeddedEngine } from "../../embedded/open.ts";
import { createInMemoryWorkerRegistry } from "../../embedded/worker-registry.ts";
import type { OnStatement } from "../../ports/impression-store.ts";
import type { Logger } from "../../telemetry/logger.ts";
import type { EngineModule, EnginePorts } from "../engine.ts";

/** Queue and store in files of one process. */
export const embedded: EngineModule = {
  open,

  diagnose: async (config, _logger, { isServed }) =>
    diagnoseEmbedded({
      dataDir: config.DATA_DIR,
      queueMaxBytes: config.QUEUE_MAX_BYTES,
      deadLetterMaxBytes: config.DEAD_LETTER_MAX_BYTES,
      isHeld: isServed,
    }),

  async migrate(config, logger, { dryRun, clock }) {
    if (dryRun) return [];
    const { close } = await open(config, logger, { clock });
    await close();
    return [];
  },
};

async function open(
  config: Config,
  logger: Logger,
  { clock, onStatement }: { readonly clock: Clock; readonly onStatement?: OnStatement },
): Promise<EnginePorts> {
  const { queue, store, close } = await openEmbeddedEngine({
    dataDir: config.DATA_DIR,
    queueMaxBytes: config.QUEUE_MAX_BYTES,
    deadLetterMaxBytes: config.DEAD_LETTER_MAX_BYTES,
    deadLetterDays: config.DEAD_LETTER_DAYS,
    ackWaitMs: config.QUEUE_ACK_WAIT_MS,
    retentionMs: config.retentionMs,
    clock,
    onStatement,
    // It would answer 503 for ever. Nothing is lost that a stop in good order could save: nothing can be written.
    onFatal(reason) {
      logger.fatal({ reason }, "the embedded engine can write no more; this process ends, start it again");
      process.exit(1);
    },
    // Not an end of the process: started again it would go on with the same file, until it meets the damage once more.
    onDamage(reason) {
      logger.fatal(
        { reason },
        "a file of the embedded engine is damaged: nothing of it is answered or stored",
      );
    },
  });
  return {
    queue,
    store,
    workerRegistry: createInMemoryWorkerRegistry(clock),
    database: () => `SQLite ${process.versions.sqlite}`,
    close,
  };
}
