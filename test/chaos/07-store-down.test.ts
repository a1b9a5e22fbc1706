import { setTimeout as sleep } from "node:timers/promises";
import { expect, vi } from "vitest";
import { startSenders } from "../support/senders.ts";
import { scenario } from "./support/scenario.ts";
import { expectAllStored, openStage, ownCassandra, PATIENCE, pipelineOf } from "./support/stage.ts";

const ACK_WAITS = 5;

scenario("07 Cassandra down for five ack-waits: nothing dead-lettered, full drain", async (chaos) => {
  const { ledger, random, sized } = chaos;
  const ackWaitMs = sized({ short: 1_000, full: 30_000 });
  // In short the shared one is cut off; in full one of its own dies.
  const cassandra = sized({ short: false, full: true }) ? await ownCassandra() : undefined;
  const stage = await openStage({
    ...(cassandra && { cassandra }),
    environment: { QUEUE_ACK_WAIT_MS: String(ackWaitMs) },
  });
  const proxy = await stage.cqlProxy();
  const throughProxy = { SCYLLA_CONTACT_POINTS: proxy.address };
  const { url } = await stage.start("api", throughProxy);
  await stage.start("worker", throughProxy);
  const lists = sized({ short: 40, full: 500 });
  const send = () =>
    startSenders({ ledger, random, url: () => url, senders: 4, users: 30, posts: 40, lists }).finished;
  await send();
  await stage.drained();

  if (cassandra) await cassandra.nodes[0]?.kill("SIGKILL");
  else proxy.refuse();
  await send();
  await vi.waitFor(async () => {
    const { storeHealthy, workers } = await pipelineOf(url);
    expect({ storeHealthy, states: workers.map(({ state }) => state) }).toEqual({
      storeHealthy: false,
      states: ["PAUSED", "PAUSED"],
    });
  }, PATIENCE);
  const queued = (await stage.stream()).state.messages;
  expect(queued).toBeGreaterThan(0);
  // The length of the outage, not a wait for anything.
  await sleep(ACK_WAITS * ackWaitMs);
  const during = await pipelineOf(url);
  expect(during).toMatchObject({ pending: queued, deadLetters: 0, storeHealthy: false });

  if (cassandra) await cassandra.nodes[0]?.restart();
  else proxy.heal();
  await stage.drained();
  await vi.waitFor(async () => expect((await pipelineOf(url)).storeHealthy).toBe(true), PATIENCE);
  const figures = await ledger.check(url);
  expectAllStored(figures);
  chaos.report({ ...figures, redelivered: await stage.redelivered(), queuedInOutage: queued });
});
