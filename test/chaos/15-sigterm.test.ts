import { expect, vi } from "vitest";
import { startSenders } from "../support/senders.ts";
import { scenario } from "./support/scenario.ts";
import { expectAllStored, openStage, PATIENCE } from "./support/stage.ts";

/** Each way, of each of the few writes that a message takes one after the other. */
const STORE_LATENCY_MS = 50;
const STOPPED = { code: 0, signal: null };

scenario("15 SIGTERM under load: exit 0, nothing redelivered that was stored", async (chaos) => {
  const { ledger, random, sized } = chaos;
  const stage = await openStage();
  let api = await stage.start("api");
  const lists = sized({ short: 300, full: 3_000 });
  await startSenders({ ledger, random, url: () => api.url, senders: 8, users: 200, posts: 100, lists })
    .finished;
  const queued = (await stage.stream()).state.messages;
  // A store so slow that the signal comes in the middle.
  const proxy = await stage.cqlProxy();
  proxy.setLatency(STORE_LATENCY_MS);
  const worker = await stage.start("worker", { WORKER_PULL: "10", SCYLLA_CONTACT_POINTS: proxy.address });
  await vi.waitFor(async () => expect((await stage.stream()).state.messages).toBeLessThan(queued), PATIENCE);
  expect(await worker.kill("SIGTERM")).toEqual(STOPPED);
  const left = (await stage.stream()).state.messages;
  expect(left).toBeGreaterThan(0);
  expect(await stage.committedMessages()).toEqual([]);

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
  chaos.report({ ...figures, messages: queued, leftBySigterm: left, mutations: ledger.outcomes() });
});
