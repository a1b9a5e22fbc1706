import { type Command, InvalidArgumentError } from "commander";
import { BACKLOG_MESSAGES_MAX } from "../transfer/backlog.ts";
import type { CliDependencies } from "./dependencies.ts";
import { CHECKPOINT_SUFFIX, type ImportFlags, REJECTS_SUFFIX } from "./import-flags.ts";
import { runInterruptible } from "./interruptible.ts";

export function registerImport(program: Command, deps: CliDependencies): void {
  program
    .command("import")
    .description("bring in impressions from a file of newline-delimited JSON")
    .argument("<file>", "what to import, compressed with gzip or not; - for standard input")
    .option("--dry-run", "only check the lines and count them; opens no engine")
    .option("--strict", "stop at the first line that cannot be imported")
    .option(
      "--allow-lost-characters",
      "take ids that are nothing but question marks, or hold U+FFFD, for whole",
    )
    .option("--rejects <file>", `where such lines go (default: <file>${REJECTS_SUFFIX})`)
    .option(
      "--checkpoint <file>",
      `where to note how far the import is (default: <file>${CHECKPOINT_SUFFIX})`,
    )
    .option("--restart", "begin at the first line even if an earlier import of the file was interrupted")
    .option(
      "--backlog <messages>",
      "pause while more messages than this wait for the workers",
      wholeNumber,
      BACKLOG_MESSAGES_MAX,
    )
    .option("--no-wait", "end as soon as all is safe in the queue, before the workers have stored it")
    .addHelpText(
      "after",
      `
One impression a line. userId, postId and viewedAt are needed, the rest may be left out:
  {"userId":"u1","postId":"p1","viewedAt":"2026-11-22T10:15:30.123Z","surface":"HOME","position":3,"dwellMs":1200}
viewedAt may also be milliseconds since 1970. receivedAt, as \`impressions export\` writes it, is kept.

Interrupted? Run the same command again: it goes on where it was. Importing a line twice changes nothing, except
that a line without receivedAt counts as received anew. Views older than the retention are counted and left out.
Lines that cannot be imported stop nothing: they are written to the rejects file with the reason.

The embedded engine can be opened by one process only: stop the service first.

Exit code: 0 all lines imported, 2 some lines rejected, 1 failed (run it again to go on), 130 interrupted.

Examples:
  impressions import views.ndjson --dry-run    see what would be imported
  impressions import views.ndjson
  mysql --default-character-set=utf8mb4 --batch --raw --skip-column-names --quick -e "$(cat export.sql)" app | impressions import -`,
    )
    .action((file: string, flags: ImportFlags) =>
      runInterruptible(deps.clock, async (signal) => {
        // Only now: a service imports nothing, and would hold the code of it in memory all the same.
        const { importCommand } = await import("./import-command.ts");
        return importCommand(file, flags, deps, signal);
      }),
    );
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text))
    throw new InvalidArgumentError("must be a whole number from 1 to 999999999");
  return Number(text);
}
