import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { ANSWERS_MS_MAX, CONNECTIONS_CHECK_MS } from "../../src/server/limits.ts";
import type { ServiceProcess } from "../../test/kit/service-process.ts";
import { memoryOf } from "../support/process-usage.ts";
import { percentile, timeMs } from "../support/statistics.ts";
import { ATTACKS, NORMAL, send } from "./attacks.ts";

/** Attackers at once; each waits for the end of what it does before it begins again. */
const ATTACKERS = { requests: 3, slowBodies: 40, breakingOff: 2, notReading: 6 } as const;
const SAMPLE_MS = 30_000;
/** For the slope: until then the heap grows to the size that it works at. */
const WARM_UP_SHARE = 1 / 3;

const REFUSED = ATTACKS.filter(({ introspectionOff }) => !introspectionOff);
const HEAD = "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
/** Its answer has 140 KB. */
const LARGE = JSON.stringify({
  query: 'query ($p: [ID!]!) { unseenPosts(userId: "u", candidates: $p) }',
  variables: { p: Array.from({ length: 1_000 }, (_, index) => `${index}`.padStart(128, "p")) },
});

/** Mixed hostile traffic to this machine's own service: prints its memory as it goes, and how memory grew in the end. */
export async function besiege({ url, pid }: ServiceProcess, minutes: number): Promise<void> {
  const ended = new AbortController();
  const { signal } = ended;
  const port = Number(new URL(url).port);
  const done = { requests: 0, slowBodies: 0, breakingOff: 0, notReading: 0 };
  const honestMs: number[] = [];

  async function repeat(
    kind: keyof typeof ATTACKERS,
    act: (index: number) => Promise<unknown>,
  ): Promise<void> {
    for (let index = 0; !signal.aborted; index++) {
      // The server cuts attackers off as it likes.
      await act(index).catch(() => undefined);
      done[kind]++;
    }
  }
  const acts: Record<keyof typeof ATTACKERS, (index: number) => Promise<unknown>> = {
    requests: async (index) => {
      const attack = REFUSED[index % REFUSED.length];
      if (attack !== undefined) await send(url, attack.request);
    },
    slowBodies: async () => {
      const socket = open(port, signal);
      socket.write(`${HEAD}content-length: 262144\r\n\r\n{"query":"`);
      for (let sent = 0; sent < 255 && !socket.destroyed; sent++) {
        socket.write("x".repeat(1_024));
        await sleep(200, undefined, { signal });
      }
      socket.destroy();
    },
    breakingOff: async () => {
      const socket = open(port, signal);
      socket.write(`${HEAD}content-length: 1000\r\n\r\n{"query":`);
      await once(socket, "ready", { signal });
      await sleep(5, undefined, { signal });
      socket.resetAndDestroy();
    },
    notReading: async () => {
      const socket = open(port, signal).pause();
      const request = `${HEAD}content-length: ${LARGE.length}\r\n\r\n${LARGE}`;
      while (!socket.destroyed && socket.write(request)) await sleep(1, undefined, { signal });
      // A reader that does not read does not see either that it was cut off.
      await sleep(ANSWERS_MS_MAX + 2 * CONNECTIONS_CHECK_MS, undefined, { signal });
      socket.destroy();
    },
  };
  const attackers = (Object.keys(ATTACKERS) as (keyof typeof ATTACKERS)[]).flatMap((kind) =>
    Array.from({ length: ATTACKERS[kind] }, () => repeat(kind, acts[kind])),
  );
  const honest = (async () => {
    while (!signal.aborted) {
      honestMs.push(await timeMs(() => send(url, NORMAL)));
      await sleep(100);
    }
  })();

  console.log(`\n${minutes} minutes of ${JSON.stringify(ATTACKERS)} attackers at once.\n`);
  console.log("| s | MiB | done | honest query, p50 and p99 ms |");
  console.log("|---|---|---|---|");
  const samples: { readonly atS: number; readonly rssMb: number }[] = [];
  for (let atS = 0; atS <= minutes * 60; atS += SAMPLE_MS / 1_000) {
    const { rssMb } = memoryOf(pid);
    samples.push({ atS, rssMb });
    const [p50, p99] = [0.5, 0.99].map((share) => percentile(honestMs, share).toFixed(1));
    console.log(`| ${atS} | ${rssMb.toFixed(0)} | ${JSON.stringify(done)} | ${p50}, ${p99} |`);
    honestMs.length = 0;
    if (atS < minutes * 60) await sleep(SAMPLE_MS);
  }
  ended.abort();
  await Promise.all([...attackers, honest]);
  const slope = slopeOf(samples.slice(Math.floor(samples.length * WARM_UP_SHARE)));
  console.log(`\nAfter the first third memory changed by ${(slope * 60).toFixed(2)} MiB a minute.`);
}

function open(port: number, signal: AbortSignal): Socket {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  const end = () => void socket.destroy();
  signal.addEventListener("abort", end, { once: true });
  socket.once("close", () => signal.removeEventListener("abort", end));
  return socket;
}

/** MiB a second, by least squares. */
function slopeOf(samples: readonly { readonly atS: number; readonly rssMb: number }[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanS, meanMb] = [mean(samples.map(({ atS }) => atS)), mean(samples.map(({ rssMb }) => rssMb))];
  const square = mean(samples.map(({ atS }) => (atS - meanS) ** 2));
  return mean(samples.map(({ atS, rssMb }) => (atS - meanS) * (rssMb - meanMb))) / square;
}
