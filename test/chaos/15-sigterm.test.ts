import { expect, vi } from "vitest";
import { startSenders } from "../support/senders.ts";
import { scenario } from "./support/scenario.ts";
import { expectAllStored, openStage, PATIENCE } from "./support/stage.ts";

/**
 * A store so slow that the signal comes in the middle: milliseconds each way. The first is by far too slow for all that
 * is queued to be stored within the half of SHUTDOWN_TIMEOUT_MS that the worker has for it.
 */
const STOPS = [
  { latencyMs: 100, SHUTDOWN_TIMEOUT_MS: "8000" },
  { latencyMs: 5, SHUTDOWN_TIMEOUT_MS: "120000" },
];
const STOPPED = { code: 0, signal: null };

scenario("15 SIGTERM under load: exit 0, nothing redelivered that was stored", async (chaos) => {
  const { ledger, random, sized } = chaos;
  const stage = await openStage();
  let api = await stage.start("api");
  const lists = sized({ short: 120, full: 2_000 });
  const proxy = await stage.cqlProxy();
  const left: number[] = [];
  for (const { latencyMs, SHUTDOWN_TIMEOUT_MS } of STOPS) {
    await startSenders({ ledger, random, url: () => api.url, senders: 8, users: 200, posts: 100, lists })
      .finished;
    const queued = (await stage.stream()).state.messages;
    proxy.setLatency(latencyMs);
    const slow = { WORKER_PULL: "10", SCYLLA_CONTACT_POINTS: proxy.address, SHUTDOWN_TIMEOUT_MS };
    const worker = await stage.start("worker", slow);
    await vi.waitFor(
      async () => expect((await stage.stream()).state.messages).toBeLessThan(queued),
      PATIENCE,
    );
    expect(await worker.kill("SIGTERM")).toEqual(STOPPED);
    expect(await stage.committedMessages()).toEqual([]);
    left.push((await stage.stream()).state.messages);
  }
  expect(left[0]).toBeGreaterThan(0);

  // The API the same: what it has taken it answers, and what it answered is there.
  const senders = startSenders({ ledger, random, url: () => api.url, senders: 8, users: 50, posts: 100 });
  const enough = ledger.acknowledged() + 200;
  await vi.waitFor(() => expect(ledger.acknowledged()).toBeGreaterThan(enough), PATIENCE);
  const ended = await api.kill("SIGTERM");
  api = await stage.start("api");
  await senders.stop();
  expect(ended).toEqual(STOPPED);

  const other = await stage.start("worker");
  await stage.drained();
  expect(await other.kill("SIGTERM")).toEqual(STOPPED);
  const figures = await ledger.check(api.url);
  expectAllStored(figures);
  chaos.report({ ...figures, leftBySigterm: left, mutations: ledger.outcomes() });
});
