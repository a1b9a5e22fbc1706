import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { encodeSubmission, joinSubmissions } from "../../src/domain/queue-message.ts";
import type { ImpressionQueue } from "../../src/ports/impression-queue.ts";
import type { ImpressionStore } from "../../src/ports/impression-store.ts";
import type { Random } from "../kit/random.ts";
import { INHERITED_ENVIRONMENT } from "../kit/service-process.ts";
import { KILLS } from "./fatal-posts.ts";

const WORKER_PROCESS = join(import.meta.dirname, "worker-process.ts");
/** Messages of one pull. */
const MESSAGES = 500;
/** A worker dies this often of a message among others, and then of it alone. */
const DEATHS_TOGETHER = 5;
const DEATHS_ALONE = 3;

/** An installation on which worker processes run and that the test opens itself in between. */
export interface IsolationEngine {
  readonly environment: Readonly<Record<string, string>>;
  open(): Promise<OpenedEngine>;
}

export interface OpenedEngine {
  readonly queue: ImpressionQueue;
  readonly store: ImpressionStore;
  close(): Promise<void>;
}

/** A message of one submission for each user. */
export function messageOf(postIdsByUser: Readonly<Record<string, readonly string[]>>): string {
  const viewedAtMs = Date.now();
  return joinSubmissions(
    Object.entries(postIdsByUser).map(([userId, postIds]) =>
      encodeSubmission({
        userId,
        receivedAtUs: viewedAtMs * 1_000,
        impressions: postIds.map((postId) => ({
          postId,
          viewedAtMs,
          surface: null,
          position: null,
          dwellMs: null,
        })),
      }),
    ),
  );
}

/** Starts a worker process that ends when the queue is empty. */
export function startWorkerProcess(environment: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, [WORKER_PROCESS], {
    env: { ...INHERITED_ENVIRONMENT, QUEUE_ACK_WAIT_MS: "1000", LOG_LEVEL: "error", ...environment },
    stdio: ["ignore", "ignore", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const ended = once(child, "exit").then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
  }));
  return { child, ended };
}

/**
 * One message among 500 kills every worker that stores it: it is dead-lettered, and all others are stored.
 *
 * @returns figures for a reader of the run.
 */
export async function provesIsolation(
  { environment, open }: IsolationEngine,
  random: Random,
): Promise<{ readonly messages: number; readonly deaths: number; readonly deadLettered: number }> {
  const killer = random.integer(0, MESSAGES - 1);
  const published = await open();
  for (let index = 0; index < MESSAGES; index++) {
    const body = messageOf(
      index === killer
        ? { "bad-1": ["beside", `${KILLS}-1`], "bad-2": ["beside"] }
        : { [`u${index}`]: ["shared", `p${index}`] },
    );
    await published.queue.publish({ id: randomUUID(), body });
  }
  await published.close();

  let deaths = 0;
  for (;;) {
    const { code, signal } = await startWorkerProcess(environment).ended;
    if (signal === null) {
      expect(code).toBe(0);
      break;
    }
    expect(signal).toBe("SIGKILL");
    deaths++;
    expect(deaths, "it kills on and on").toBeLessThanOrEqual(DEATHS_TOGETHER + DEATHS_ALONE);
  }
  // On a busy machine a delivery may reach no worker (it counts all the same), so that fewer die before it stands alone.
  expect(deaths).toBeGreaterThan(DEATHS_ALONE);

  const { queue, store, close } = await open();
  onTestFinished(close);
  expect(await queue.stats()).toMatchObject({ pending: 0, inFlight: 0 });
  const { deadLetters: letters } = await queue.deadLetters.page({ filter: {}, before: null, limit: 100 });
  expect(letters.map(({ reason }) => reason)).toEqual(Array(3).fill("CRASHED_WORKER"));
  expect(letters.map(({ payload }) => payload)).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ userId: "bad-1", impression: expect.objectContaining({ postId: "beside" }) }),
      expect.objectContaining({
        userId: "bad-1",
        impression: expect.objectContaining({ postId: `${KILLS}-1` }),
      }),
      expect.objectContaining({ userId: "bad-2", impression: expect.objectContaining({ postId: "beside" }) }),
    ]),
  );
  expect(letters[0]?.deliveries).toBeGreaterThan(DEATHS_TOGETHER);
  const rule = { minViews: 1, minDwellMs: 0, sinceMs: 0 };
  for (let index = 0; index < MESSAGES; index++) {
    if (index === killer) continue;
    const seen = await store.seenAmong(`u${index}`, ["shared", `p${index}`], rule);
    expect([...seen].sort(), `u${index}`).toEqual([`p${index}`, "shared"]);
  }
  return { messages: MESSAGES, deaths, deadLettered: letters.length };
}
