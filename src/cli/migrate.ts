import { type Command, InvalidArgumentError } from "commander";
import type { CliDependencies } from "./dependencies.ts";

interface MigrateFlags {
  readonly dryRun?: boolean;
  readonly createKeyspace?: number;
}

export function registerMigrate(program: Command, { loadConfig, migrate }: CliDependencies): void {
  program
    .command("migrate")
    .description("bring the store's schema up to date; safe to run again, and by several at once")
    .option("--dry-run", "only print what would be done")
    .option(
      "--create-keyspace <replicas>",
      "create the keyspace where it is missing, with so many replicas in SCYLLA_LOCAL_DC (for development)",
      replicas,
    )
    .addHelpText(
      "after",
      "\nRun it before the first start and after changing RETENTION_DAYS.\n\nExample:\n" +
        "  ENGINE=cluster impressions migrate --create-keyspace 1",
    )
    .action(async (flags: MigrateFlags) => {
      const config = loadConfig();
      const dryRun = flags.dryRun ?? false;
      const steps = await migrate(config, { dryRun, replicationFactor: flags.createKeyspace ?? null });
      for (const step of steps) process.stdout.write(`${dryRun ? "would " : ""}${step}\n`);
      if (steps.length > 0) return;
      process.stdout.write(
        config.ENGINE === "embedded"
          ? "The embedded engine prepares itself when it is opened: nothing to do.\n"
          : `Keyspace ${config.SCYLLA_KEYSPACE} is up to date: nothing to do.\n`,
      );
    });
}

function replicas(text: string): number {
  if (!/^[1-9]$/.test(text)) throw new InvalidArgumentError("must be a number of replicas from 1 to 9");
  return Number(text);
}
