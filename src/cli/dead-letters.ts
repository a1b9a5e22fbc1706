import { type Command, InvalidArgumentError, Option } from "commander";
import { DEAD_LETTER_REASONS } from "../domain/dead-letter.ts";
import { PAGE_SIZE_MAX } from "../domain/limits.ts";
import {
  type DeadLetterReason,
  DeadLettersDocument,
  type DeadLettersQuery,
} from "../generated/operations.ts";
import { connectAdminApi } from "./admin-api.ts";
import type { CliDependencies } from "./dependencies.ts";
import { terminalText } from "./terminal-text.ts";

interface ListOptions {
  readonly limit: number;
  readonly reason?: DeadLetterReason;
  readonly json?: boolean;
}

export function registerDeadLetters(program: Command, deps: CliDependencies): void {
  const deadLetters = program
    .command("dead-letters")
    .description("look at what was acknowledged and could not be stored");

  deadLetters
    .command("list")
    .description("list dead letters, newest first")
    .option("--limit <n>", "how many at the most", wholeNumber, 50)
    .addOption(new Option("--reason <reason>", "only these").choices(DEAD_LETTER_REASONS))
    .option("--json", "one JSON object a line, payload included")
    .addHelpText(
      "after",
      "\nAsks the running service (HOST and PORT, or IMPRESSIONS_URL with IMPRESSIONS_TOKEN); with none running it" +
        "\nopens the data directory itself.\n\nExample:\n  impressions dead-letters list --reason INVALID_POST_ID --json",
    )
    .action(async (options: ListOptions) => {
      const api = await connectAdminApi(deps, deps.loadConfig());
      try {
        let left = options.limit;
        let after: string | null = null;
        do {
          const { deadLetters }: DeadLettersQuery = await api.request(DeadLettersDocument, {
            first: Math.min(left, PAGE_SIZE_MAX),
            after,
            reason: options.reason ?? null,
          });
          for (const letter of deadLetters.nodes) {
            const line = options.json
              ? JSON.stringify(letter)
              : `${letter.failedAt}  ${letter.reason.padEnd(20)}  ${letter.id}  ${letter.detail}`;
            process.stdout.write(`${terminalText(line)}\n`);
          }
          left -= deadLetters.nodes.length;
          after = deadLetters.pageInfo.hasNextPage ? (deadLetters.pageInfo.endCursor ?? null) : null;
        } while (after !== null && left > 0);
      } finally {
        await api.close();
      }
    });
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text))
    throw new InvalidArgumentError("must be a whole number from 1 to 9999999");
  return Number(text);
}
