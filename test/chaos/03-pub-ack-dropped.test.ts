import { expect } from "vitest";
import { randomList } from "../support/senders.ts";
import { isPubAck } from "./support/nats-pieces.ts";
import { scenario } from "./support/scenario.ts";
import { expectAllStored, openStage } from "./support/stage.ts";

scenario("03 PubAck dropped: a retry with the same id, one message", async (chaos) => {
  const { ledger, random, sized } = chaos;
  const stage = await openStage();
  const proxy = await stage.natsProxy();
  const { url } = await stage.start("api", { NATS_SERVERS: proxy.address, PUBLISH_TIMEOUT_MS: "30000" });
  const rounds = sized({ short: 3, full: 12 });
  let dropped = 0;
  for (let round = 1; round <= rounds; round++) {
    // Sometimes the word alone is lost, sometimes the connection with it.
    const losesConnection = random.chance(0.5);
    let left = random.integer(1, 2);
    proxy.setRule((piece, from) => {
      if (from === "client" || !isPubAck(piece, stage.names) || left === 0) return "PASS";
      left--;
      dropped++;
      if (losesConnection) setImmediate(proxy.reset);
      return "DROP";
    });
    const userId = `user-${random.integer(1, 3)}`;
    expect((await ledger.send(url, userId, randomList(random, 10))).outcome).toBe("acknowledged");
    expect(left).toBe(0);
    expect((await stage.stream()).state.messages).toBe(round);
  }
  await stage.start("worker");
  await stage.drained();
  const figures = await ledger.check(url);
  expectAllStored(figures);
  chaos.report({ ...figures, messages: rounds, pubAcksDropped: dropped });
});
