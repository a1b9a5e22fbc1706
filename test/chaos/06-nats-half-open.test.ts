import { expect, vi } from "vitest";
import type { ServiceProcess } from "../kit/service-process.ts";
import { startSenders } from "../support/senders.ts";
import { scenario } from "./support/scenario.ts";
import { expectAllStored, openStage, ownNats, PATIENCE } from "./support/stage.ts";

/** Three unanswered pings are 6 s, a publish 5 s: with a slow machine's share, and far from TCP's own minutes. */
const RESUMES = { timeout: 45_000, interval: 50 };
const BURST = 50;
const LOST = "the connection to NATS is lost";

scenario("06 NATS socket half-open, then SIGSTOP and SIGCONT: resumes within a bound", async (chaos) => {
  const { ledger, random, sized } = chaos;
  const nats = await ownNats();
  const stage = await openStage({ nats, environment: { QUEUE_ACK_WAIT_MS: "5000" } });
  const [apiProxy, workerProxy] = [await stage.natsProxy(), await stage.natsProxy()];
  const api = await stage.start("api", { NATS_SERVERS: apiProxy.address });
  const worker = await stage.start("worker", { NATS_SERVERS: workerProxy.address });
  const senders = startSenders({ ledger, random, url: () => api.url, senders: 4, users: 30, posts: 40 });
  const node = nats.nodes[0];
  if (node === undefined) throw new Error("no node");

  for (let round = sized({ short: 1, full: 3 }); round > 0; round--) {
    await acknowledgedMore(PATIENCE);
    // The other end is gone and said nothing. Nothing heals these connections: the service has to leave them.
    const before = [lossesOf(api), lossesOf(worker)];
    for (const proxy of [apiProxy, workerProxy]) proxy.swallowOpen();
    await acknowledgedMore(RESUMES);
    await vi.waitFor(() => expect(lossesOf(worker)).toBeGreaterThan(before[1] ?? 0), RESUMES);
    expect(lossesOf(api)).toBeGreaterThan(before[0] ?? 0);
    await settledMore();

    await node.pause();
    await vi.waitFor(() => expect(ledger.outcomes().QUEUE_UNAVAILABLE ?? 0).toBeGreaterThan(0), PATIENCE);
    await node.resume();
    await acknowledgedMore(RESUMES);
    await settledMore();
  }
  await senders.stop();
  await stage.drained();
  const figures = await ledger.check(api.url);
  expectAllStored(figures);
  chaos.report({ ...figures, redelivered: await stage.redelivered(), mutations: ledger.outcomes() });

  async function acknowledgedMore(patience: typeof PATIENCE): Promise<void> {
    const enough = ledger.acknowledged() + BURST;
    await vi.waitFor(() => expect(ledger.acknowledged()).toBeGreaterThan(enough), patience);
  }

  /** The worker goes on too: what is in the queue now is settled. */
  async function settledMore(): Promise<void> {
    const { last_seq: last } = (await stage.stream()).state;
    await vi.waitFor(async () => {
      const { messages, first_seq: first } = (await stage.stream()).state;
      expect(messages === 0 || first > last).toBe(true);
    }, RESUMES);
  }
});

function lossesOf({ log }: ServiceProcess): number {
  return log.filter((line) => line.includes(LOST)).length;
}
