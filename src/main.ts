#!/usr/bin/env node
import { existsSync, readFileSync } from "node:fs";
import { loadEnvFile } from "node:process";
import { openEngine, openLocalApi, startEngineWorkers, startService } from "./app.ts";
import { localAdminApi } from "./cli/admin-api.ts";
import type { CliDependencies } from "./cli/dependencies.ts";
import { explainFailure } from "./cli/failure.ts";
import { createProgram } from "./cli/program.ts";
import { readConfig } from "./config.ts";
import { createLogger } from "./telemetry/logger.ts";

if (existsSync(".env") && process.env.NODE_ENV !== "production") loadEnvFile(".env");

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  version: string;
};

const dependencies: CliDependencies = {
  loadConfig: () => readConfig(process.env),
  openEngine: (config) => openEngine(config),
  startWorkers: (engine, config) => startEngineWorkers(engine, config, createLogger("warn")),
  startService: (config, logger) => startService(config, logger, version),
  openLocalAdmin: async (config) => localAdminApi(await openLocalApi(config)),
};

try {
  await createProgram(dependencies, version).parseAsync();
} catch (error) {
  process.stderr.write(`${explainFailure(error)}\n`);
  process.exitCode = 1;
}
