import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type ServiceProcess, startServiceProcess } from "../../test/kit/service-process.ts";
import { printEnvironment } from "../support/environment.ts";
import { NODE_OPTIONS_OF_THE_IMAGE } from "../support/image.ts";
import { forgetPeakOf, mainThreadMsOf, memoryOf } from "../support/process-usage.ts";
import { median, timeMs } from "../support/statistics.ts";
import { ATTACKS, type Attack, NORMAL, send } from "./attacks.ts";
import { besiege } from "./siege.ts";

/**
 * What each attack costs the server, and how long an honest query beside it waits: `npm run bench:attacks`. With `-- --minutes 10`
 * all of them at once, with slow senders and readers, for so long: whether memory grows.
 */

const ROUNDS = 9;

const { values: flags } = parseArgs({ options: { minutes: { type: "string" } } });
const dataDir = await mkdtemp(join(tmpdir(), "impressions-attacks-"));
// Without a limit of the heap Node lets garbage lie, and memory says nothing in the end.
const nodeOptions = flags.minutes === undefined ? {} : { NODE_OPTIONS: NODE_OPTIONS_OF_THE_IMAGE };
const start = (name: string, more: Record<string, string> = {}) =>
  startServiceProcess({ DATA_DIR: join(dataDir, name), LOG_LEVEL: "info", ...nodeOptions, ...more });
const open = await start("open");
const closed = await start("closed", { INTROSPECTION: "off" });
try {
  await printEnvironment();
  if (flags.minutes === undefined) await measureEach();
  else await besiege(open, Number(flags.minutes));
} finally {
  await open.kill("SIGTERM");
  await closed.kill("SIGTERM");
  await rm(dataDir, { recursive: true, force: true });
}

async function measureEach(): Promise<void> {
  console.log(
    `\n${ROUNDS} rounds; each attack over a connection that is open already. Milliseconds are medians: until it is`,
  );
  console.log(
    "answered, and of the server's event loop. MiB: the most that it took on top of what it had, in any round.\n",
  );
  console.log("| attack | bytes | status, code | ms | event loop, ms | MiB | honest query beside it, ms |");
  console.log("|---|---|---|---|---|---|---|");
  const alone: number[] = [];
  for (let round = 0; round < 10 * ROUNDS; round++) alone.push(await timeMs(() => send(open.url, NORMAL)));
  console.log(`| (none) | | | | | | ${median(alone.slice(ROUNDS)).toFixed(1)} |`);
  for (const attack of ATTACKS) {
    const { name, request, status, code } = attack;
    const { attackMs, loopMs, extraMb, besideMs } = await measure(
      attack.introspectionOff ? closed : open,
      attack,
    );
    const bytes = (request.body ?? request.search ?? "").length;
    console.log(
      `| ${name} | ${bytes} | ${status} ${code} | ${median(attackMs).toFixed(1)} | ${median(loopMs).toFixed(1)} | ` +
        `${Math.max(...extraMb).toFixed(0)} | ${median(besideMs).toFixed(1)} |`,
    );
  }
}

async function measure({ url, pid }: ServiceProcess, { name, request, status, code }: Attack) {
  const found = { attackMs: [], loopMs: [], extraMb: [], besideMs: [] } as Record<
    "attackMs" | "loopMs" | "extraMb" | "besideMs",
    number[]
  >;
  for (let round = 0; round < ROUNDS; round++) {
    const answer = await send(url, request);
    if (answer.status !== status || answer.codes.join() !== code)
      throw new Error(`${name}: ${JSON.stringify(answer)}`);
    forgetPeakOf(pid);
    const before = { loopMs: mainThreadMsOf(pid), rssMb: memoryOf(pid).rssMb };
    found.attackMs.push(await timeMs(() => send(url, request)));
    found.loopMs.push(mainThreadMsOf(pid) - before.loopMs);
    found.extraMb.push(memoryOf(pid).peakMb - before.rssMb);
    const attack = send(url, request);
    found.besideMs.push(await timeMs(() => send(url, NORMAL)));
    await attack;
  }
  return found;
}
