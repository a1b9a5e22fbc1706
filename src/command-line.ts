import { existsSync, readFileSync } from "node:fs";
import { openLocalApi, openLocalEraser } from "./app/local-api.ts";
import { diagnoseEngine, migrate, openEngine } from "./app/open-engine.ts";
import { startService } from "./app/serve.ts";
import { startEngineWorkers } from "./app/start-workers.ts";
import { localAdminApi } from "./cli/admin-api.ts";
import type { CliDependencies } from "./cli/dependencies.ts";
import { explainFailure } from "./cli/failure.ts";
import { createProgram } from "./cli/program.ts";
import { type Config, logSettingsOf, readConfig } from "./config.ts";
import { createGuardedClock } from "./domain/guarded-clock.ts";
import { systemClock } from "./domain/time.ts";
import { refuseMisreadSecrets } from "./env-file.ts";
import { createLogger } from "./telemetry/logger.ts";

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  version: string;
};

/** main.ts has loaded it. */
const ENV_FILE = ".env";

/** For all that the process does. */
const clock = createGuardedClock(systemClock);

/** Commands speak to a person: only what needs attention is logged beside their output. */
const loggerOf = (config: Config) => createLogger("warn", logSettingsOf(config));

/** The doctor says by itself what it meets. */
const silentLogger = createLogger("silent");

const dependencies: CliDependencies = {
  clock,
  loadConfig() {
    if (existsSync(ENV_FILE)) refuseMisreadSecrets(readFileSync(ENV_FILE, "utf8"), process.env);
    return readConfig(process.env);
  },
  openEngine: (config) => openEngine(config, loggerOf(config), { waitForStore: true, clock }),
  startWorkers: (engine, config) => startEngineWorkers(engine, config, loggerOf(config), clock),
  startService: (role, config, logger) => startService(role, config, logger, version, clock),
  openLocalAdmin: async (config) => localAdminApi(await openLocalApi(config, loggerOf(config), clock)),
  openLocalEraser: async (config) => localAdminApi(await openLocalEraser(config, loggerOf(config), clock)),
  diagnoseEngine: (config, isServed) => diagnoseEngine(config, silentLogger, { isServed, clock }),
  migrate: (config, options) => migrate(config, loggerOf(config), { ...options, clock }),
};

try {
  await createProgram(dependencies, version).parseAsync();
} catch (error) {
  process.stderr.write(`${explainFailure(error)}\n`);
  // Not only the exit code: a driver that failed to connect may keep a timer or a socket that would keep us alive.
  process.exit(1);
}
