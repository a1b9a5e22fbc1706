import type { Command } from "commander";
import type { CliDependencies } from "./dependencies.ts";
import type { ExportFlags } from "./export-command.ts";
import { runInterruptible } from "./interruptible.ts";

export function registerExport(program: Command, deps: CliDependencies): void {
  program
    .command("export")
    .description("write all stored impressions as newline-delimited JSON")
    .argument("<file>", "where to; compressed if the name ends in .gz; - for standard output")
    .option("--overwrite", "replace the file if there is one")
    .option("--no-wait", "leave out what the workers have not stored yet, instead of waiting for it")
    .addHelpText(
      "after",
      `
One view a line, in the store's own order, as \`impressions import\` reads it:
  {"userId":"u1","postId":"p1","viewedAt":"2026-11-22T10:15:30.123Z","surface":"HOME","position":null,
   "dwellMs":null,"receivedAt":"2026-11-22T10:15:31.123456Z"}
All fields are in every line, null where there is none. Only what is within the retention. Dead letters are not exported. What arrives meanwhile may be in it or not.
The file appears under its name once it is complete.

The embedded engine can be opened by one process only: stop the service first.

Examples:
  impressions export views.ndjson.gz
  impressions export - | jq -r .postId | sort | uniq -c | sort -rn | head`,
    )
    .action((file: string, flags: ExportFlags) =>
      runInterruptible(deps.clock, async (signal) => {
        // Only now: a service exports nothing, and would hold the code of it in memory all the same.
        const { exportCommand } = await import("./export-command.ts");
        return exportCommand(file, flags, deps, signal);
      }),
    );
}
