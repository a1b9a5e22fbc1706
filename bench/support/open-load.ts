// An open load: requests leave by the clock, however many still wait for their answer, as users' do. A process of its own;
// load.ts starts it and talks to it by messages.

import { Agent, request } from "node:http";
import { mutationBody } from "./mutations.ts";
import { submissionOf, type Traffic } from "./traffic.ts";

export interface OpenLoadOrder {
  readonly url: string;
  /** One after the other. */
  readonly phases: readonly { readonly perSecond: number; readonly seconds: number }[];
  readonly traffic: Traffic;
  /** The number of the first mutation, so that no two loads send the same. */
  readonly first: number;
  /** Requests that may wait at once; what is due beyond that is left out. Unless given, any number. */
  readonly inFlightMax?: number;
}

/** The outcomes of the requests that were due in one second. */
export interface LoadSecond {
  /** From the moment that a request was due to the end of its answer: a late start counts. */
  readonly latenciesMs: readonly number[];
  readonly failed: number;
}

const TICK_MS = 1;
const CONNECTIONS_MAX = 512;
/** Without an answer by then a request has failed. */
const TIMEOUT_MS = 60_000;
const EXPECTED = '"accepted":10';

const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS_MAX });

process.on("message", async (order: OpenLoadOrder) => {
  process.send?.(await run(order));
});
process.send?.("ready");

async function run(order: OpenLoadOrder): Promise<LoadSecond[]> {
  const { url, phases, traffic, first, inFlightMax = Number.POSITIVE_INFINITY } = order;
  const endpoint = new URL("/graphql", url);
  const dueMs = dueTimes(phases);
  const seconds = Array.from({ length: Math.ceil(dueMs.at(-1) ?? 0) / 1_000 + 1 }, () => ({
    latenciesMs: [] as number[],
    failed: 0,
  }));
  const waiting = new Set<Promise<void>>();
  const startMs = performance.now();
  let next = 0;

  async function send(due: number, body: string): Promise<void> {
    const second = seconds[Math.floor(due / 1_000)];
    if (second === undefined) return;
    try {
      const answer = await post(endpoint, body);
      if (!answer.includes(EXPECTED)) throw new Error(answer);
      second.latenciesMs.push(performance.now() - startMs - due);
    } catch {
      second.failed++;
    }
  }

  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      for (
        let due = dueMs[next];
        due !== undefined && due <= performance.now() - startMs;
        due = dueMs[++next]
      ) {
        if (waiting.size >= inFlightMax) continue;
        const sent = send(due, bodyOf(first + next, traffic));
        waiting.add(sent);
        void sent.then(() => waiting.delete(sent));
      }
      if (next < dueMs.length) return;
      clearInterval(timer);
      resolve();
    }, TICK_MS);
  });
  await Promise.all(waiting);
  return seconds;
}

/** When each request is due, milliseconds from the start. */
function dueTimes(phases: OpenLoadOrder["phases"]): number[] {
  const times: number[] = [];
  let fromMs = 0;
  for (const { perSecond, seconds } of phases) {
    const count = Math.round(perSecond * seconds);
    for (let index = 0; index < count; index++) times.push(fromMs + (index * 1_000) / perSecond);
    fromMs += seconds * 1_000;
  }
  return times;
}

function bodyOf(mutation: number, traffic: Traffic): string {
  const nowMs = Date.now();
  const { userId, impressions } = submissionOf(mutation, traffic, nowMs);
  return mutationBody({ userId, postIds: impressions.map(({ postId }) => postId), lastViewMs: nowMs });
}

function post(url: URL, body: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const sent = request(
    url,
    { method: "POST", agent, timeout: TIMEOUT_MS, headers: { "content-type": "application/json" } },
    (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("error", reject);
      answer.on("end", () => resolve(Buffer.concat(chunks).toString("utf8")));
    },
  );
  sent.on("timeout", () => sent.destroy(new Error("no answer in time")));
  sent.on("error", reject);
  sent.end(body);
  return promise;
}
