import type { Command } from "commander";
import type { Config } from "../config.ts";
import { DiscardDeadLettersDocument, ReplayDeadLettersDocument } from "../generated/operations.ts";
import { connectAdminApi } from "./admin-api.ts";
import { confirmed } from "./confirm.ts";
import {
  addFilterOptions,
  conditionsOf,
  type DeadLetterConditions,
  type DeadLetterFilterFlags,
  hasConditions,
} from "./dead-letter-filter.ts";
import type { AdminApi, CliDependencies } from "./dependencies.ts";
import { CommandError } from "./failure.ts";
import { EXIT, runInterruptible, say } from "./interruptible.ts";
import { formatCount } from "./progress.ts";
import { startWorkProgress } from "./work-progress.ts";

/** Letters that one request handles: small enough that the bar moves and a request ends well within its timeout. */
const LETTERS_PER_REQUEST = 500;
/** Letters that one request counts, which writes nothing. */
const LETTERS_PER_COUNT = 10_000;

interface ActionFlags extends DeadLetterFilterFlags {
  readonly all?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
  readonly yes?: boolean;
}

interface Counts {
  readonly matched: number;
  readonly done: number;
  readonly skipped: number;
}

interface Action {
  readonly did: "replayed" | "discarded";
  run(
    api: AdminApi,
    variables: {
      readonly filter: DeadLetterConditions;
      readonly dryRun: boolean;
      readonly first: number;
      readonly after: string | null;
    },
  ): Promise<Counts & { readonly next: string | null }>;
}

const REPLAY: Action = {
  did: "replayed",
  run: async (api, variables) => (await api.request(ReplayDeadLettersDocument, variables)).replayDeadLetters,
};

const DISCARD: Action = {
  did: "discarded",
  run: async (api, variables) =>
    (await api.request(DiscardDeadLettersDocument, variables)).discardDeadLetters,
};

export function registerDeadLetterActions(deadLetters: Command, deps: CliDependencies): void {
  addFilterOptions(deadLetters.command("replay"), deps.clock)
    .description("put dead letters back into the queue, once their cause is gone")
    .option("--all", "all of them")
    .option("--dry-run", "only count what would be replayed")
    .option("--json", "the counts as one JSON object")
    .addHelpText(
      "after",
      `
What a letter holds is queued again with the time at which it was received, and then the letter is deleted. Doing it
twice, or again after an interruption, adds nothing. What still cannot be stored becomes a new dead letter.

A whole message (UNREADABLE_MESSAGE, some CRASHED_WORKER) is queued as it arrived: a worker has to understand it by
now. Messages that are not text, and letters of which a part was cut off, stay: look at them with \`show\`, then discard them.

Exit code: 0 all replayed, 2 some cannot be replayed, 1 failed (run it again to go on), 130 interrupted.

Examples:
  impressions dead-letters replay --reason REJECTED_BY_STORE --dry-run
  impressions dead-letters replay --reason REJECTED_BY_STORE --since 2h
  impressions dead-letters replay --all`,
    )
    .action((flags: ActionFlags) =>
      runInterruptible(deps.clock, (signal) => act(REPLAY, flags, deps, signal)),
    );

  addFilterOptions(deadLetters.command("discard"), deps.clock)
    .description("delete dead letters for good")
    .option("--all", "all of them")
    .option("--dry-run", "only count what would be discarded")
    .option("--json", "the counts as one JSON object")
    .option("--yes", "do not ask")
    .addHelpText(
      "after",
      `
There is no way back: \`dead-letters list --json\` with the same conditions keeps what they hold.

Examples:
  impressions dead-letters discard --reason INVALID_POST_ID --until 7d
  impressions dead-letters discard --id 0123456789abcdef0123456789abcdef --yes`,
    )
    .action((flags: ActionFlags) =>
      runInterruptible(deps.clock, (signal) => act(DISCARD, flags, deps, signal)),
    );
}

async function act(
  action: Action,
  flags: ActionFlags,
  deps: CliDependencies,
  signal: AbortSignal,
): Promise<number> {
  const filter = conditionsOf(flags);
  if (!hasConditions(filter) && flags.all !== true)
    throw new CommandError("say which: --reason, --since, --until, --user or --id, or --all for all of them");
  if (hasConditions(filter) && flags.all === true)
    throw new CommandError(
      "--all means every letter; leave it out to take only those that the conditions match",
    );
  const config: Config = deps.loadConfig();
  const api = await connectAdminApi(deps, config);
  try {
    const counted = await walk(action, api, deps, filter, { dryRun: true, total: null, signal });
    if (signal.aborted) return interrupted(action, counted, true);
    if (flags.dryRun === true || counted.matched === 0) {
      report(action, counted, flags, true);
      return EXIT.done;
    }
    if (action === DISCARD) {
      const what = `This deletes ${lettersOf(counted.matched)} for good.`;
      const goesOn = await confirmed(what, { yes: flags.yes, signal });
      if (!goesOn) {
        say("nothing was deleted");
        return signal.aborted ? EXIT.interrupted : EXIT.done;
      }
    }
    const total = counted.matched;
    const counts = await walk(action, api, deps, filter, { dryRun: false, total, signal });
    if (signal.aborted) return interrupted(action, counts, false);
    report(action, counts, flags, false);
    return counts.skipped > 0 ? EXIT.withRejects : EXIT.done;
  } finally {
    await api.close();
  }
}

/** From the newest letter down to the oldest, a request at a time, so that what is added meanwhile is never met. */
async function walk(
  action: Action,
  api: AdminApi,
  { clock }: CliDependencies,
  filter: DeadLetterConditions,
  how: { readonly dryRun: boolean; readonly total: number | null; readonly signal: AbortSignal },
): Promise<Counts> {
  const { dryRun, total, signal } = how;
  const bar = startWorkProgress(process.stderr, clock, { total, unit: "letters" });
  const counts = { matched: 0, done: 0, skipped: 0 };
  let after: string | null = null;
  try {
    do {
      const first = dryRun ? LETTERS_PER_COUNT : LETTERS_PER_REQUEST;
      const step = await action.run(api, { filter, dryRun, first, after });
      counts.matched += step.matched;
      counts.done += step.done;
      counts.skipped += step.skipped;
      after = step.next;
      bar.update(counts.matched, dryRun ? "counting" : "");
    } while (after !== null && !signal.aborted);
    return counts;
  } catch (error) {
    bar.stop();
    if (!dryRun && error instanceof CommandError) {
      const reached = `${formatCount(counts.done)} letters were ${action.did} before this`;
      throw new CommandError(`${error.message} (${reached}; run the same command again to go on)`, {
        cause: error,
      });
    }
    throw error;
  } finally {
    bar.stop();
  }
}

/** What was done on stdout, what a person should know about it on stderr. */
function report(action: Action, counts: Counts, flags: ActionFlags, dryRun: boolean): void {
  const { matched, done, skipped } = counts;
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify(counts)}\n`);
  } else if (dryRun) {
    process.stdout.write(`${lettersOf(matched - skipped)} would be ${action.did}\n`);
  } else {
    process.stdout.write(`${action.did} ${lettersOf(done)}\n`);
  }
  if (skipped > 0)
    say(`${lettersOf(skipped)} cannot be replayed (bytes that are not text, or a part is cut off) and stay`);
  const gone = dryRun ? 0 : matched - done - skipped;
  if (gone > 0) say(`${lettersOf(gone)} were gone already: another command or process removed them`);
}

function interrupted(action: Action, counts: Counts, dryRun: boolean): number {
  const done = dryRun ? "nothing" : lettersOf(counts.done);
  say(`interrupted: ${done} ${action.did}; run the same command again to go on`);
  return EXIT.interrupted;
}

function lettersOf(count: number): string {
  return `${formatCount(count)} dead ${count === 1 ? "letter" : "letters"}`;
}
