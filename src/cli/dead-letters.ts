import { type Command, InvalidArgumentError } from "commander";
import { PAGE_SIZE_MAX } from "../domain/limits.ts";
import { DeadLettersDocument, type DeadLettersQuery } from "../generated/operations.ts";
import { connectAdminApi } from "./admin-api.ts";
import { registerDeadLetterActions } from "./dead-letter-actions.ts";
import { addFilterOptions, conditionsOf, type DeadLetterFilterFlags } from "./dead-letter-filter.ts";
import type { AdminApi, CliDependencies } from "./dependencies.ts";
import { CommandError } from "./failure.ts";
import { terminalText } from "./terminal-text.ts";

interface ListFlags extends DeadLetterFilterFlags {
  readonly limit: number;
  readonly json?: boolean;
}

type Letter = DeadLettersQuery["deadLetters"]["nodes"][number];

export const WHERE_IT_ASKS =
  "\nAsks the running service (HOST and PORT, or IMPRESSIONS_URL with IMPRESSIONS_TOKEN); with none running it" +
  "\nopens the engine itself.\n";

export function registerDeadLetters(program: Command, deps: CliDependencies): void {
  const deadLetters = program
    .command("dead-letters")
    .description("look at what was acknowledged and could not be stored, put it back, or delete it");

  addFilterOptions(deadLetters.command("list"), deps.clock)
    .description("list dead letters, newest first")
    .option("--limit <n>", "how many at the most", wholeNumber, 50)
    .option("--json", "one JSON object a line, payload included")
    .addHelpText(
      "after",
      `${WHERE_IT_ASKS}\nExamples:\n  impressions dead-letters list --since 2h` +
        "\n  impressions dead-letters list --reason INVALID_POST_ID --json | jq .payload",
    )
    .action((flags: ListFlags) => withApi(deps, (api) => list(api, flags)));

  deadLetters
    .command("show")
    .description("show one dead letter with what arrived")
    .argument("<id>", "its id, as `list` shows it")
    .option("--json", "as one JSON object")
    .addHelpText("after", WHERE_IT_ASKS)
    .action((id: string, flags: { readonly json?: boolean }) =>
      withApi(deps, async (api) => {
        const letter = await findLetter(api, id);
        process.stdout.write(flags.json ? `${terminalText(JSON.stringify(letter))}\n` : pageOf(letter));
      }),
    );

  registerDeadLetterActions(deadLetters, deps);
}

async function withApi(deps: CliDependencies, run: (api: AdminApi) => Promise<void>): Promise<void> {
  const api = await connectAdminApi(deps, deps.loadConfig());
  try {
    await run(api);
  } finally {
    await api.close();
  }
}

async function list(api: AdminApi, flags: ListFlags): Promise<void> {
  const conditions = conditionsOf(flags);
  let after: string | null = null;
  let listed = 0;
  do {
    const { deadLetters }: DeadLettersQuery = await api.request(DeadLettersDocument, {
      first: Math.min(flags.limit - listed, PAGE_SIZE_MAX),
      after,
      ...conditions,
    });
    for (const letter of deadLetters.nodes) {
      const line = flags.json
        ? JSON.stringify(letter)
        : `${letter.failedAt}  ${letter.reason.padEnd(20)}  ${letter.id}  ${letter.detail}`;
      process.stdout.write(`${terminalText(line)}\n`);
    }
    listed += deadLetters.nodes.length;
    after = deadLetters.pageInfo.hasNextPage ? (deadLetters.pageInfo.endCursor ?? null) : null;
  } while (after !== null && listed < flags.limit);
  // On stderr: what reads the list gets an empty one.
  if (listed === 0) process.stderr.write("no such dead letters\n");
}

async function findLetter(api: AdminApi, id: string): Promise<Letter> {
  const { deadLetters } = await api.request(DeadLettersDocument, { first: 1, ids: [id] });
  const [letter] = deadLetters.nodes;
  if (letter === undefined)
    throw new CommandError(`there is no dead letter ${id}: see \`dead-letters list\``);
  return letter;
}

/** A dead letter for a person to read. */
function pageOf(letter: Letter): string {
  const lines = [
    `id           ${letter.id}`,
    `reason       ${letter.reason}`,
    `detail       ${letter.detail}`,
    `received at  ${letter.receivedAt ?? "unknown: the message could not be read"}`,
    `failed at    ${letter.failedAt}`,
    `deliveries   ${letter.deliveries}`,
    "payload",
    ...payloadLines(letter.payload).map((line) => `  ${line}`),
  ];
  return `${lines.map(terminalText).join("\n")}\n`;
}

/** A whole message is kept as base64; what it spells says more, where it spells something. */
function payloadLines(payload: unknown): string[] {
  const { base64 } = payload as { readonly base64?: unknown };
  if (typeof base64 !== "string") return JSON.stringify(payload, null, 2).split("\n");
  const bytes = Buffer.from(base64, "base64");
  return [
    `a whole message of ${bytes.byteLength} bytes, as it arrived:`,
    ...bytes.toString("utf8").split("\n"),
  ];
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text))
    throw new InvalidArgumentError("must be a whole number from 1 to 9999999");
  return Number(text);
}
