import type { Command } from "commander";
import { type Config, logSettingsOf } from "../config.ts";
import { createLogger, type Logger } from "../telemetry/logger.ts";
import type { CliDependencies, Role, RunningService } from "./dependencies.ts";
import { CommandError } from "./failure.ts";
import { onShutdownSignal } from "./shutdown-signals.ts";

export function registerServe(program: Command, deps: CliDependencies): void {
  program
    .command("serve", { isDefault: true })
    .description("run the API and the workers in one process (what `npm start` does)")
    .allowExcessArguments() // the default command gets every unknown one as an argument
    .action((_options: unknown, { args: [unknown] }: Command) => {
      if (unknown !== undefined) program.error(`error: unknown command '${unknown}'`);
      return run("serve", deps);
    });
  program
    .command("api")
    .description("run the API alone, beside workers in other processes (needs ENGINE=cluster)")
    .action(() => run("api", deps));
  program
    .command("worker")
    .description("run the workers alone; /healthz and /readyz on HOST and PORT (needs ENGINE=cluster)")
    .action(() => run("worker", deps));
}

async function run(role: Role, { clock, loadConfig, startService }: CliDependencies): Promise<void> {
  const config = loadConfig();
  if (role !== "serve" && config.ENGINE === "embedded") {
    throw new CommandError(
      `\`impressions ${role}\` shares its queue with other processes, so it needs ENGINE=cluster; ` +
        "the embedded engine runs everything in one process: use `impressions serve`",
    );
  }
  const logger = createLogger(config.LOG_LEVEL, logSettingsOf(config));
  let service: RunningService | undefined;
  // First: a start may wait for NATS for long, and process 1 of a container ignores signals that it does not handle. A start
  // that is interrupted has nothing to finish.
  onShutdownSignal({
    stop: async () => service?.stop(),
    timeoutMs: config.SHUTDOWN_DELAY_MS + config.SHUTDOWN_TIMEOUT_MS,
    clock,
    logger,
  });
  service = await startService(role, config, logger);
  announce(role, service.url, config, logger);
}

function announce(role: Role, url: string, config: Config, logger: Logger): void {
  logger.info({ role, url, engine: config.ENGINE }, "ready");
  if (!process.stdout.isTTY || role === "worker") return;
  process.stdout.write(`\n  Impressions is ready.\n\n  GraphQL     ${url}/graphql\n`);
  if (config.PLAYGROUND) process.stdout.write(`  Playground  ${url}/playground\n`);
  if (config.ENGINE === "embedded") process.stdout.write(`  Data        ${config.DATA_DIR}\n`);
  process.stdout.write("\n  Ctrl-C stops it; nothing acknowledged is lost.\n\n");
}
