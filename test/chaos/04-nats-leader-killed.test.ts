import { expect, vi } from "vitest";
import type { NatsServers } from "../servers/nats.ts";
import type { ServerNode } from "../servers/server-node.ts";
import { startSenders } from "../support/senders.ts";
import { scenario } from "./support/scenario.ts";
import { expectAllStored, openStage, ownNats, PATIENCE, type Stage } from "./support/stage.ts";

/** Impressions that are acknowledged between one blow and the next. */
const BURST = 200;

scenario("04 NATS leader kill -9 in a burst (R3)", async (chaos) => {
  const { ledger, random, sized } = chaos;
  const nats = await ownNats({ nodes: 3 });
  const stage = await openStage({ nats });
  const { url } = await stage.start("api");
  await stage.start("worker");
  const senders = startSenders({ ledger, random, url: () => url, senders: 8, users: 60, posts: 80 });
  const rounds = sized({ short: 1, full: 4 });
  for (let round = 0; round < rounds; round++) {
    await acknowledgedMore();
    const leader = await leaderOf(stage, nats, round % 2 === 0 ? "stream" : "consumer");
    await leader.kill("SIGKILL");
    await acknowledgedMore();
    await leader.restart();
  }
  await senders.stop();
  await stage.drained();
  const figures = await ledger.check(url);
  expectAllStored(figures);
  chaos.report({ ...figures, redelivered: await stage.redelivered(), mutations: ledger.outcomes() });

  async function acknowledgedMore(): Promise<void> {
    const enough = ledger.acknowledged() + BURST;
    await vi.waitFor(() => expect(ledger.acknowledged()).toBeGreaterThan(enough), PATIENCE);
  }
});

/** Right after a death the other servers may still be electing a leader. */
function leaderOf(stage: Stage, nats: NatsServers, of: "stream" | "consumer"): Promise<ServerNode> {
  return vi.waitFor(async () => {
    const { cluster } = await (of === "stream" ? stage.stream() : stage.consumer());
    const node = nats.nodes[Number(cluster?.leader?.split("-")[1]) - 1];
    if (node === undefined) throw new Error(`no leader: ${JSON.stringify(cluster)}`);
    return node;
  }, PATIENCE);
}
