import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import type { Erasure } from "../../src/domain/erasure.ts";
import { encodeSubmission, joinSubmissions } from "../../src/domain/queue-message.ts";
import { DAY_MS } from "../../src/domain/time.ts";
import { letterOf } from "../contract/queue/dead-letters.ts";
import { INHERITED_ENVIRONMENT } from "../kit/service-process.ts";
import { EVERYTHING, recordViews, viewOf } from "../kit/views.ts";
import { type Environment, openEngineOf } from "../support/open-engine.ts";

const ERASURE_PROCESS = join(import.meta.dirname, "erasure-process.ts");

/** In the order in which an erasure comes by them. */
export const ERASURE_STAGES = [
  "settled",
  "deleting",
  "letters removed",
  "counted",
  "rows deleted",
  "letters removed again",
] as const;
export type ErasureStage = (typeof ERASURE_STAGES)[number] | "done";

const STORED = 40;
const QUEUED = ["queued-1", "queued-2"];
const POSTS = 5;

/** Works off the erasures in a process of its own, which is killed at the stage. */
async function runErasures(environment: Environment, stage: ErasureStage | ""): Promise<unknown> {
  const child = spawn(process.execPath, [ERASURE_PROCESS], {
    env: { ...INHERITED_ENVIRONMENT, ...environment, KILL_AT: stage },
    stdio: ["ignore", "ignore", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const [code, signal] = await once(child, "exit");
  return { code, signal };
}

/**
 * An erasure is killed at every stage, each time by another process that went on with it, and ends with everything of
 * the user gone: what was stored, what was queued, the dead letters. Others keep theirs.
 *
 * @param rowsOf the user's rows in every table that holds views, as the database has them.
 */
export async function provesResumableErasure(
  environment: Environment,
  rowsOf: (userId: string) => Promise<Readonly<Record<string, number>>>,
): Promise<void> {
  const nowMs = Date.now();
  const erasure: Erasure = {
    id: randomUUID(),
    userId: "gone",
    requestedAtUs: (nowMs - 10_000) * 1_000,
    status: "WAITING_FOR_QUEUE",
    rowsDeleted: 0,
    finishedAtMs: null,
  };
  const before = { receivedAtUs: erasure.requestedAtUs - 1 };
  const after = { receivedAtUs: nowMs * 1_000 };
  /** By a clock that was ahead for a moment. */
  const ahead = { receivedAtUs: (nowMs + 100 * DAY_MS) * 1_000 };

  const engine = await openEngineOf(environment);
  await recordViews(
    engine.store,
    ["gone", "stays"].flatMap((userId) =>
      Array.from({ length: STORED }, (_, index) =>
        viewOf({
          userId,
          postId: `p${index % POSTS}`,
          viewedAtMs: nowMs - 60_000 - index,
          ...(index % 8 === 0 ? ahead : before),
        }),
      ),
    ),
  );
  await recordViews(engine.store, [viewOf({ userId: "gone", postId: "later", viewedAtMs: nowMs, ...after })]);
  await engine.queue.publish({
    id: randomUUID(),
    body: joinSubmissions(
      ["gone", "stays"].map((userId) =>
        encodeSubmission({
          userId,
          ...before,
          impressions: [...QUEUED, "undefined"].map((postId) => ({
            postId,
            viewedAtMs: nowMs - 60_000,
            surface: null,
            position: null,
            dwellMs: null,
          })),
        }),
      ),
    ),
  });
  await engine.queue.deadLetters.add([
    letterOf({ userId: "gone" }),
    letterOf({ userId: "gone", ...ahead }),
    letterOf({ userId: "stays" }),
  ]);
  await engine.store.saveErasure(erasure);
  await engine.close();

  for (const stage of ERASURE_STAGES)
    expect(await runErasures(environment, stage), stage).toEqual({ code: null, signal: "SIGKILL" });
  const unfinished = await openEngineOf(environment);
  expect(await unfinished.store.unfinishedErasures()).toMatchObject([{ id: erasure.id, status: "DELETING" }]);
  await unfinished.close();
  expect(await runErasures(environment, "done")).toEqual({ code: null, signal: "SIGKILL" });
  expect(await runErasures(environment, "")).toEqual({ code: 0, signal: null });

  const { store, queue, close } = await openEngineOf(environment);
  onTestFinished(close);
  expect(await store.findErasure(erasure.id)).toMatchObject({
    status: "DONE",
    rowsDeleted: STORED + QUEUED.length,
    finishedAtMs: expect.any(Number),
  });
  // A view that was received after the request is a new one, and stays.
  const counts = Object.entries(await rowsOf("gone"));
  expect(counts).toEqual(counts.map(([table]) => [table, 1]));
  for (const [table, rows] of Object.entries(await rowsOf("stays")))
    expect(rows, table).toBeGreaterThanOrEqual(STORED + QUEUED.length);
  const { deadLetters: letters } = await queue.deadLetters.page({ filter: {}, before: null, limit: 100 });
  expect(letters.map(({ userId }) => userId)).toEqual(["stays", "stays"]);
  const { rows } = await store.postViewers({ ownerId: "p1", window: EVERYTHING, after: null, limit: 10 });
  expect(rows.map(({ userId }) => userId)).toEqual(["stays"]);
}
