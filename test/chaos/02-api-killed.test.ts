import { expect, vi } from "vitest";
import type { Rule } from "../servers/tcp-proxy.ts";
import { randomList } from "../support/senders.ts";
import { isPubAck, isPublish } from "./support/nats-pieces.ts";
import { scenario } from "./support/scenario.ts";
import { expectAllStored, openStage, PATIENCE, type Stage } from "./support/stage.ts";

const POSTS = 30;

scenario("02 API kill -9 between publish and response, the client retries", async (chaos) => {
  const { ledger, random, sized } = chaos;
  const stage = await openStage();
  const proxy = await stage.natsProxy();
  let api = await stage.start("api", { NATS_SERVERS: proxy.address });
  let published = 0;
  const rounds = sized({ short: 2, full: 20 });
  for (let round = 0; round < rounds; round++) {
    const userId = `user-${random.integer(1, 8)}`;
    const list = randomList(random, POSTS);
    // In turns: the queue has the message and its confirmation is lost; or the message never reached the queue.
    const isStored = round % 2 === 0;
    const { rule, reached } = holdAt(stage, isStored);
    proxy.setRule(rule);
    const answer = ledger.send(api.url, userId, list);
    await reached;
    await api.kill("SIGKILL");
    expect((await answer).outcome).toBe("unknown");
    await vi.waitFor(() => expect(proxy.connections()).toEqual([]), PATIENCE);
    proxy.heal();
    if (isStored) published++;
    expect((await stage.stream()).state.messages).toBe(published);

    api = await stage.start("api", { NATS_SERVERS: proxy.address });
    expect((await ledger.send(api.url, userId, list)).outcome).toBe("acknowledged");
    published++;
    expect((await stage.stream()).state.messages).toBe(published);
  }
  await stage.start("worker");
  await stage.drained();
  const figures = await ledger.check(api.url);
  expectAllStored(figures);
  expect(figures.storedUnacknowledged).toBe(0);
  chaos.report({ ...figures, messages: published });
});

function holdAt(
  { names }: Stage,
  isStored: boolean,
): { readonly rule: Rule; readonly reached: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return {
    reached: promise,
    rule(piece, from) {
      const isThere = isStored
        ? from === "server" && isPubAck(piece, names)
        : from === "client" && isPublish(piece, names);
      if (!isThere) return "PASS";
      resolve();
      return "HOLD";
    },
  };
}
