import { describe, expect, it, onTestFinished, vi } from "vitest";
import { createPublisher } from "../../../src/ingest/publisher.ts";
import { openConnection } from "../../../src/jetstream/connection.ts";
import { type JetStream, type JetStreamOptions, openJetStreamQueue } from "../../../src/jetstream/open.ts";
import { QueueUnavailableError } from "../../../src/ports/errors.ts";
import { letterOf } from "../../contract/queue/dead-letters.ts";
import { bodyOf, only, publishAll, pullCount, pullOf } from "../../contract/queue/fixture.ts";
import { type NatsOptions, type NatsServers, startNats } from "../../servers/nats.ts";
import type { ServerNode } from "../../servers/server-node.ts";
import { jetStreamOptions, recordLog } from "../../support/jetstream.ts";
import { startTraffic } from "../../support/jetstream-traffic.ts";

const PATIENCE = { timeout: 90_000, interval: 20 };
/** Short, so that what hangs is noticed soon; a redelivery after it costs a test this long. */
const SHORT = { requestTimeoutMs: 1_000, ackWaitMs: 2_000 };

async function ownServer(options: NatsOptions = {}): Promise<NatsServers> {
  const nats = await startNats(options);
  onTestFinished(() => nats.stop());
  return nats;
}

async function openOn(nats: NatsServers, given: Partial<JetStreamOptions> = {}) {
  const { lines, logger } = recordLog();
  const options = jetStreamOptions({ servers: nats.servers, ...SHORT, logger, ...given });
  const opened: JetStream = await openJetStreamQueue(options);
  onTestFinished(() => opened.close());
  return { ...opened, options, lines };
}

function nodeOf(nats: NatsServers): ServerNode {
  return only(nats.nodes);
}

describe("a connection that has just been closed", () => {
  it("rejects a request that the client refuses to send, as it rejects one that is lost", async () => {
    const options = jetStreamOptions({ requestTimeoutMs: 1_000 });
    const connection = await openConnection({
      servers: options.servers,
      requestTimeoutMs: 1_000,
      clock: options.clock,
      log: options.logger,
    });
    onTestFinished(() => connection.close());
    const closed = connection.nats.close();
    const request = connection.request(() => {
      connection.nats.publish("nobody.listens");
      return closed;
    });
    await expect(request).rejects.toThrow(QueueUnavailableError);
  });
});

describe("a server that dies under traffic", () => {
  it("loses nothing that was acknowledged, and the queue goes on by itself", async () => {
    const nats = await ownServer();
    const { queue, lines } = await openOn(nats);
    const traffic = startTraffic(queue);
    for (let round = 1; round <= 3; round++) {
      const enough = traffic.delivered.size + 100;
      await vi.waitFor(() => expect(traffic.delivered.size).toBeGreaterThan(enough), PATIENCE);
      await nodeOf(nats).kill("SIGKILL");
      await vi.waitFor(async () => expect((await queue.health()).healthy).toBe(false), PATIENCE);
      await nodeOf(nats).restart();
      await vi.waitFor(async () => expect((await queue.health()).healthy).toBe(true), PATIENCE);
    }
    await traffic.drain();
    expect(traffic.confirmed.size).toBeGreaterThan(300);
    expect(traffic.lost()).toEqual([]);
    expect(
      lines.filter((line) => line.startsWith("info connected to NATS again")).length,
    ).toBeGreaterThanOrEqual(3);
    // Nothing was amiss but the connection.
    expect(lines.filter((line) => line.startsWith("error"))).toEqual([]);
  });

  it("keeps messages and dead letters over its death", async () => {
    const nats = await ownServer();
    const { queue } = await openOn(nats);
    const letter = letterOf({});
    await publishAll(queue, ["a", "b"]);
    await queue.deadLetters.add([letter]);
    await nodeOf(nats).kill("SIGKILL");
    await nodeOf(nats).restart();
    await vi.waitFor(async () => expect((await queue.health()).healthy).toBe(true), PATIENCE);
    expect((await pullCount(queue, 2)).map(bodyOf).sort()).toEqual(["a", "b"]);
    expect(await queue.deadLetters.count()).toBe(1);
  });
});

describe("the ids of a server that restarts", () => {
  it("are remembered for what is still there, and forgotten for what is settled, as the port says", async () => {
    const nats = await ownServer();
    const { queue } = await openOn(nats);
    const publish = (id: string) => queue.publish({ id, body: id });
    const pending = async () => (await queue.stats()).pending;
    await publish("settled");
    await queue.ack(await pullCount(queue, 1));
    await publish("waiting");
    await Promise.all([publish("settled"), publish("waiting")]);
    expect(await pending()).toBe(1);

    await nodeOf(nats).kill("SIGKILL");
    await nodeOf(nats).restart();
    await vi.waitFor(async () => expect((await queue.health()).healthy).toBe(true), PATIENCE);
    await publish("waiting");
    expect(await pending()).toBe(1);
    // Should a later server remember it, the port may promise more.
    await publish("settled");
    expect(await pending()).toBe(2);
    await publish("settled");
    expect(await pending()).toBe(2);
  });
});

describe("a server that is gone", () => {
  it("is told at once by every call, and nothing is sent later that was refused now", async () => {
    const nats = await ownServer();
    const { queue, workerRegistry } = await openOn(nats, { requestTimeoutMs: 60_000 });
    await publishAll(queue, ["a"]);
    const held = await pullCount(queue, 1);
    const startedMs = performance.now();
    const waiting = queue.pull(pullOf());
    await Promise.all([expect(waiting).rejects.toThrow(QueueUnavailableError), nodeOf(nats).kill("SIGKILL")]);

    const calls = [
      ...Array.from({ length: 50 }, (_, index) => queue.publish({ id: `${index}`, body: "b" })),
      queue.pull(pullOf()),
      queue.ack(held),
      queue.nak(held, 0),
      queue.extend(held),
      queue.stats(),
      queue.newestSequence(),
      queue.isAckedThrough(1),
      queue.deadLetters.add([letterOf({})]),
      queue.deadLetters.count(),
    ];
    for (const result of await Promise.allSettled(calls)) {
      expect(result).toMatchObject({ status: "rejected", reason: expect.any(QueueUnavailableError) });
    }
    workerRegistry.report({
      id: "w",
      state: "IDLE",
      impressionsStored: 0,
      concurrency: 1,
      storeHealthy: true,
    });
    // None of them waited for its time to be over.
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    expect(await queue.health()).toMatchObject({
      healthy: false,
      reason: expect.stringContaining("is lost"),
    });

    await nodeOf(nats).restart();
    await vi.waitFor(async () => expect((await queue.health()).healthy).toBe(true), PATIENCE);
    expect((await queue.stats()).pending).toBe(1);
  });

  it("makes a publish fail within its deadline", async () => {
    const nats = await ownServer();
    const { queue } = await openOn(nats);
    const publish = createPublisher({ queue, timeoutMs: 1_500 });
    await nodeOf(nats).kill("SIGKILL");
    const startedMs = performance.now();
    await expect(publish({ id: "1", body: "a" })).rejects.toThrow(QueueUnavailableError);
    expect(performance.now() - startedMs).toBeLessThan(10_000);
  });

  it("does not keep a close waiting", async () => {
    const nats = await ownServer();
    const { queue, close } = await openOn(nats);
    await nodeOf(nats).kill("SIGKILL");
    await close();
    await expect(queue.publish({ id: "1", body: "a" })).rejects.toThrow(QueueUnavailableError);
  });
});

describe("a server that hangs", () => {
  it("makes a publish fail, which is stored once when it is repeated", async () => {
    const nats = await ownServer();
    const { queue } = await openOn(nats);
    await nodeOf(nats).pause();
    const message = { id: "1", body: "a" };
    await expect(queue.publish(message)).rejects.toThrow(QueueUnavailableError);
    await expect(queue.pull(pullOf({ waitMs: 100 }))).rejects.toThrow(QueueUnavailableError);
    expect((await queue.health()).healthy).toBe(false);
    await nodeOf(nats).resume();
    const publish = createPublisher({ queue, timeoutMs: 60_000 });
    await publish(message);
    expect((await queue.stats()).pending).toBe(1);
    expect(bodyOf(only(await pullCount(queue, 1)))).toBe("a");
  });

  it("is left for another connection when it does not answer pings", async () => {
    const nats = await ownServer();
    const { queue, lines } = await openOn(nats);
    await nodeOf(nats).pause();
    await vi.waitFor(() => expect(lines.join("\n")).toContain("the connection to NATS is lost"), PATIENCE);
    await nodeOf(nats).resume();
    await vi.waitFor(async () => expect((await queue.health()).healthy).toBe(true), PATIENCE);
    await publishAll(queue, ["a"]);
  });

  it("does not keep a close waiting", async () => {
    const nats = await ownServer();
    const { close } = await openOn(nats);
    await nodeOf(nats).pause();
    await close();
    await nodeOf(nats).resume();
  });
});

describe("credentials that are refused while the queue runs", () => {
  it("are tried again for ever", async () => {
    const first = await ownServer({ config: { user: "impressions", password: "one" } });
    const { port } = nodeOf(first);
    const { queue, lines } = await openOn(first, { user: "impressions", password: "one" });
    await first.stop();
    const other = await ownServer({ port, config: { user: "impressions", password: "another" } });
    // More often than a client bears with by itself.
    const refusals = () => lines.filter((line) => line.includes("AUTHORIZATION_VIOLATION")).length;
    await vi.waitFor(() => expect(refusals()).toBeGreaterThan(3), PATIENCE);
    await other.stop();
    const back = await ownServer({ port, config: { user: "impressions", password: "one" } });
    // It has lost its data, so that the connection alone comes back.
    await vi.waitFor(
      async () =>
        expect(await queue.health()).toMatchObject({
          reason: expect.stringContaining("does not exist any more"),
        }),
      PATIENCE,
    );
    await back.stop();
  });
});
