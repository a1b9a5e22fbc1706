import type { Command } from "commander";
import type { CliDependencies } from "./dependencies.ts";

export function registerMigrate(program: Command, { loadConfig, openEngine }: CliDependencies): void {
  program
    .command("migrate")
    .description("prepare the store for this version; safe to run again")
    .action(async () => {
      const config = loadConfig();
      const engine = await openEngine(config);
      await engine.close();
      process.stdout.write(
        `The embedded engine in ${config.DATA_DIR} is ready: it prepares itself when it is opened.\n`,
      );
    });
}
