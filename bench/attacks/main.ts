import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startServiceProcess } from "../../test/support/service-process.ts";
import { printEnvironment } from "../support/environment.ts";
import { median, timeMs } from "../support/statistics.ts";
import { ATTACKS, NORMAL, send } from "./attacks.ts";

/** How long each attack keeps the server busy, and how long an honest query beside it waits. Run by `npm run bench:attacks`. */

const ROUNDS = 9;

const dataDir = await mkdtemp(join(tmpdir(), "impressions-attacks-"));
const environment = (name: string, more: Record<string, string> = {}) => ({
  DATA_DIR: join(dataDir, name),
  LOG_LEVEL: "info",
  ...more,
});
const open = await startServiceProcess(environment("open"));
const closed = await startServiceProcess(environment("closed", { INTROSPECTION: "off" }));
try {
  await printEnvironment();
  console.log(`\nMedians of ${ROUNDS} rounds; each attack over a connection that is open already.\n`);
  console.log("| attack | bytes | status, code | ms | honest query beside it, ms |");
  console.log("|---|---|---|---|---|");
  const alone: number[] = [];
  for (let round = 0; round < 10 * ROUNDS; round++) alone.push(await timeMs(() => send(open.url, NORMAL)));
  console.log(`| (none) | | | | ${median(alone.slice(ROUNDS)).toFixed(1)} |`);
  for (const { name, request, status, code, introspectionOff } of ATTACKS) {
    const { url } = introspectionOff ? closed : open;
    const attackMs: number[] = [];
    const normalMs: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const answer = await send(url, request);
      if (answer.status !== status || answer.codes.join() !== code)
        throw new Error(`${name}: ${JSON.stringify(answer)}`);
      attackMs.push(await timeMs(() => send(url, request)));
      const attack = send(url, request);
      normalMs.push(await timeMs(() => send(url, NORMAL)));
      await attack;
    }
    const bytes = (request.body ?? request.search ?? "").length;
    console.log(
      `| ${name} | ${bytes} | ${status} ${code} | ${median(attackMs).toFixed(1)} | ${median(normalMs).toFixed(1)} |`,
    );
  }
} finally {
  await open.kill("SIGTERM");
  await closed.kill("SIGTERM");
  await rm(dataDir, { recursive: true, force: true });
}
