import { expect, onTestFinished, test } from "vitest";
import { PipelineDocument } from "../../src/generated/operations.ts";
import { createTemporaryDirectory } from "../kit/directory.ts";
import { query } from "../kit/graphql-request.ts";
import { createRandom } from "../kit/random.ts";
import { type ServiceProcess, startServiceProcess } from "../kit/service-process.ts";
import { createLedger } from "../support/ledger.ts";
import { randomList } from "../support/senders.ts";

const CRASHES = 20;
const SENDERS = 12;
const USERS = 40;
const POSTS = 60;

/** Twenty starts of the service on a machine that may be busy. */
const TIMEOUT_MS = 600_000;

test("every acknowledged impression survives 20 kill -9 under load, none is there twice", {
  timeout: TIMEOUT_MS,
}, async () => {
  const seed = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000);
  console.info(`CRASH_SEED=${seed}`);
  const random = createRandom(seed);
  const directory = createTemporaryDirectory();
  onTestFinished(directory.remove);
  const DATA_DIR = directory.path;
  const ledger = createLedger();
  let running: ServiceProcess | undefined;
  onTestFinished(async () => void (await running?.kill("SIGKILL")));

  for (let crash = 0; crash < CRASHES; crash++) {
    const service = await startServiceProcess({ DATA_DIR, WORKERS: "2", LOG_LEVEL: "info" });
    running = service;
    // Death comes after a random number of acknowledgements, at a random point of what goes on then.
    let left = random.integer(1, 60);
    const senders = Array.from({ length: SENDERS }, async () => {
      for (;;) {
        const userId = `user-${random.integer(1, USERS)}`;
        const attempt = await ledger.send(service.url, userId, randomList(random, POSTS));
        if (attempt.outcome === "unknown") return;
        expect(attempt).toMatchObject({ outcome: "acknowledged" });
        if (--left === 0) void service.kill("SIGKILL");
      }
    });
    await Promise.all(senders);
    expect((await service.kill("SIGKILL")).signal).toBe("SIGKILL");
  }
  expect(ledger.outcomes().acknowledged).toBeGreaterThanOrEqual(CRASHES);

  running = await startServiceProcess({ DATA_DIR });
  const { url } = running;
  await expect
    .poll(async () => (await query(url, PipelineDocument, {})).pipeline.pending, { timeout: 60_000 })
    .toBe(0);
  expect(await ledger.check(url)).toMatchObject({ deadLettered: 0 });
  expect((await query(url, PipelineDocument, {})).pipeline.deadLetters).toBe(0);

  const ended = await running.kill("SIGTERM");
  expect(ended).toEqual({ code: 0, signal: null });
});
