import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import type { Engine } from "../app/engine.ts";
import type { Config } from "../config.ts";
import type { Finding } from "../domain/finding.ts";
import type { Clock } from "../domain/time.ts";
import type { Logger } from "../telemetry/logger.ts";

export type { Engine } from "../app/engine.ts";

/** What runs in a process. */
export type Role = "serve" | "api" | "worker";

/** What the composition root hands to the commands, so that none of them names an adapter. */
export interface CliDependencies {
  readonly clock: Clock;
  /** @throws ConfigError */
  loadConfig(): Config;
  /** @throws EngineStartError */
  openEngine(config: Config): Promise<Engine>;
  startWorkers(engine: Engine, config: Config): { stop(): Promise<void> };
  /** @throws EngineStartError, or why the address cannot be listened on. */
  startService(role: Role, config: Config, logger: Logger): Promise<RunningService>;
  /** @returns what was done (or would be), a line each. @throws EngineStartError */
  migrate(
    config: Config,
    options: { readonly dryRun: boolean; readonly replicationFactor: number | null },
  ): Promise<string[]>;
  /** Looks at what the engine stands on. @param isServed whether a running service has the embedded engine. */
  diagnoseEngine(config: Config, isServed: boolean): Promise<Finding[]>;
  /** The admin API without a running service: opens the engine and answers in this process. */
  openLocalAdmin(config: Config): Promise<AdminApi>;
  /** The same, and works off erasures as long as it is open: where no service runs, no other process does. */
  openLocalEraser(config: Config): Promise<AdminApi>;
}

export interface RunningService {
  /** Where the API listens. */
  readonly url: string;
  /** Repeated calls wait for the first. */
  stop(): Promise<void>;
}

/** The GraphQL API as an operator command calls it. */
export interface AdminApi {
  /** @throws CommandError with what the API answered. */
  request<Result, Variables extends Record<string, unknown>>(
    document: TypedDocumentNode<Result, Variables>,
    variables: Variables,
  ): Promise<Result>;
  close(): Promise<void>;
}
