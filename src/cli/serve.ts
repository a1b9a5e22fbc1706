import type { Command } from "commander";
import type { Config } from "../config.ts";
import { createLogger, type Logger } from "../telemetry/logger.ts";
import type { CliDependencies } from "./dependencies.ts";
import { CommandError } from "./failure.ts";
import { onShutdownSignal } from "./shutdown-signals.ts";

export function registerServe(program: Command, { loadConfig, startService }: CliDependencies): void {
  program
    .command("serve", { isDefault: true })
    .description("run the API and the workers in one process (what `npm start` does)")
    .action(async () => {
      const config = loadConfig();
      const logger = createLogger(config.LOG_LEVEL);
      const service = await startService(config, logger);
      announce(service.url, config, logger);
      onShutdownSignal({ stop: service.stop, timeoutMs: config.SHUTDOWN_TIMEOUT_MS, logger });
    });

  for (const [role, description] of [
    ["api", "run the API alone, beside workers in other processes"],
    ["worker", "run the workers alone"],
  ] as const) {
    program
      .command(role)
      .description(`${description} (needs ENGINE=cluster)`)
      .action(() => {
        loadConfig();
        throw new CommandError(
          `\`impressions ${role}\` shares its queue with other processes, so it needs ENGINE=cluster; ` +
            "the embedded engine runs everything in one process: use `impressions serve`",
        );
      });
  }
}

function announce(url: string, config: Config, logger: Logger): void {
  logger.info({ url, engine: config.ENGINE, dataDir: config.DATA_DIR }, "ready");
  if (!process.stdout.isTTY) return;
  process.stdout.write(`\n  Impressions is ready.\n\n  GraphQL     ${url}/graphql\n`);
  if (config.PLAYGROUND) process.stdout.write(`  Playground  ${url}/playground\n`);
  process.stdout.write(
    `  Data        ${config.DATA_DIR}\n\n  Ctrl-C stops it; nothing acknowledged is lost.\n\n`,
  );
}
