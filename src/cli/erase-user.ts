import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import type { Clock } from "../domain/time.ts";
import {
  EraseUserDocument,
  ErasureDocument,
  type ErasureQuery,
  UnfinishedErasuresDocument,
} from "../generated/operations.ts";
import { createStallWatch } from "../transfer/backoff.ts";
import { connectAdminApi } from "./admin-api.ts";
import { confirmed } from "./confirm.ts";
import { WHERE_IT_ASKS } from "./dead-letters.ts";
import type { AdminApi, CliDependencies } from "./dependencies.ts";
import { CommandError } from "./failure.ts";
import { EXIT, runInterruptible, say } from "./interruptible.ts";
import { terminalText } from "./terminal-text.ts";
import { startWorkProgress } from "./work-progress.ts";

const POLL_INTERVAL_MS = 500;
/** A service that is restarted meanwhile answers again within this. */
const UNANSWERED_MS_MAX = 120_000;

interface EraseFlags {
  readonly again?: boolean;
  readonly json?: boolean;
  readonly wait: boolean;
  readonly yes?: boolean;
}

type Receipt = NonNullable<ErasureQuery["erasure"]>;

export function registerEraseUser(program: Command, deps: CliDependencies): void {
  program
    .command("erase-user")
    .description("forget a user everywhere: what is queued, the dead letters, every stored row")
    .argument("<user>", "the user's id")
    .option("--yes", "do not ask")
    .option("--no-wait", "end as soon as the request is recorded; it goes on by itself")
    .option("--again", "request it anew even if an erasure of this user is not finished")
    .option("--json", "the receipt as one JSON object")
    .addHelpText(
      "after",
      `
Everything of the user that was received before the request goes; there is no way back. It takes 15 seconds at least:
what is on its way into the queue is waited for. Then the receipt is printed.

Interrupted? The erasure goes on by itself wherever a service runs. The same command waits for it again.
${WHERE_IT_ASKS}
Exit code: 0 done (with --no-wait: requested), 1 failed, 130 interrupted.

Examples:
  impressions erase-user maria
  impressions erase-user maria --yes --json`,
    )
    .action((userId: string, flags: EraseFlags) =>
      runInterruptible(deps.clock, (signal) => eraseUser(userId, flags, deps, signal)),
    );
}

async function eraseUser(
  userId: string,
  flags: EraseFlags,
  deps: CliDependencies,
  signal: AbortSignal,
): Promise<number> {
  // Where no service runs, this process has to do the work.
  const api = await connectAdminApi({ openLocalAdmin: deps.openLocalEraser }, deps.loadConfig());
  try {
    const begun = flags.again === true ? null : await unfinishedErasureOf(api, userId);
    if (begun === null) {
      const what = `This deletes everything of the user ${JSON.stringify(userId)} for good.`;
      if (!(await confirmed(what, { yes: flags.yes, signal }))) {
        say("nothing was requested");
        return signal.aborted ? EXIT.interrupted : EXIT.done;
      }
    }
    const receipt = begun ?? (await api.request(EraseUserDocument, { userId })).eraseUser;
    say(
      begun === null
        ? `erasure ${receipt.id} is requested`
        : `erasure ${receipt.id}, requested at ${receipt.requestedAt}, is not finished: going on with it ` +
            "(--again takes what was received since then, too)",
    );
    if (!flags.wait) {
      print(receipt, flags);
      return EXIT.done;
    }
    const finished = await untilFinished(api, receipt, deps.clock, signal);
    if (finished === null) {
      say(
        `interrupted; erasure ${receipt.id} goes on wherever a service runs. The same command waits for it again`,
      );
      return EXIT.interrupted;
    }
    // The receipt of one that is done does not name the user any more.
    print({ ...finished, userId }, flags);
    if (finished.status === "DONE") return EXIT.done;
    throw new CommandError(
      `erasure ${receipt.id} failed for good: the log of the process that tried has the reason. Mend it, then request it again`,
    );
  } finally {
    await api.close();
  }
}

/** The newest one: it covers the most. */
async function unfinishedErasureOf(api: AdminApi, userId: string): Promise<Receipt | null> {
  const { unfinishedErasures } = await api.request(UnfinishedErasuresDocument, { userId });
  return unfinishedErasures.at(-1) ?? null;
}

/** @returns null where the signal came first. @throws CommandError nothing answers for a long time. */
async function untilFinished(
  api: AdminApi,
  requested: Receipt,
  clock: Clock,
  signal: AbortSignal,
): Promise<Receipt | null> {
  const bar = startWorkProgress(process.stderr, clock, { total: null, unit: "views" });
  const watch = createStallWatch(UNANSWERED_MS_MAX, clock);
  let receipt = requested;
  try {
    while (!signal.aborted) {
      if (receipt.status === "DONE" || receipt.status === "FAILED") return receipt;
      bar.update(receipt.rowsDeleted, WHAT_HAPPENS[receipt.status]);
      await sleep(POLL_INTERVAL_MS, undefined, { signal }).catch(() => undefined);
      try {
        receipt = (await api.request(ErasureDocument, { id: requested.id })).erasure ?? receipt;
        watch.progressed();
      } catch (error) {
        watch.stuck();
        if (!(error instanceof CommandError) || watch.isOver()) throw error;
      }
    }
    return null;
  } finally {
    bar.stop();
  }
}

const WHAT_HAPPENS = {
  WAITING_FOR_QUEUE: "waiting until what was queued before is acked",
  DELETING: "deleting",
} as const;

function print(receipt: Receipt, { json }: EraseFlags): void {
  if (json === true) {
    process.stdout.write(`${terminalText(JSON.stringify(receipt))}\n`);
    return;
  }
  const lines = [
    `erasure        ${receipt.id}`,
    `user           ${receipt.userId}`,
    `requested at   ${receipt.requestedAt}`,
    `status         ${receipt.status}`,
    `views deleted  ${receipt.rowsDeleted}`,
    ...(receipt.finishedAt === null ? [] : [`finished at    ${receipt.finishedAt}`]),
  ];
  process.stdout.write(`${lines.map(terminalText).join("\n")}\n`);
}
