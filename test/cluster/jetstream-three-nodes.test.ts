import { connect } from "nats";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { createPublisher } from "../../src/ingest/publisher.ts";
import { namesOf } from "../../src/jetstream/names.ts";
import { type JetStreamOptions, openJetStreamQueue } from "../../src/jetstream/open.ts";
import { QueueUnavailableError } from "../../src/ports/errors.ts";
import { ACK_WAIT_LONG_MS, publishAll, pullCount, pullOf } from "../contract/queue/fixture.ts";
import { type NatsServers, startNats } from "../servers/nats.ts";
import { jetStreamOptions, recordLog } from "../support/jetstream.ts";
import { startTraffic } from "../support/jetstream-traffic.ts";

const PATIENCE = { timeout: 90_000, interval: 20 };
/** Short, so that what hangs is noticed soon; a redelivery after it costs a test this long. */
const SHORT = { requestTimeoutMs: 1_000, ackWaitMs: 2_000 };

async function openOn(nats: NatsServers, queueReplicas: number, given: Partial<JetStreamOptions> = {}) {
  const { lines, logger } = recordLog();
  const options = jetStreamOptions({ servers: nats.servers, ...SHORT, logger, queueReplicas, ...given });
  const opened = await openJetStreamQueue(options);
  onTestFinished(() => opened.close());
  return { ...opened, options, lines };
}

describe("three servers", () => {
  it("deliver at once what was on its way to a process that closes", async () => {
    const nats = await startNats({ nodes: 3 });
    onTestFinished(() => nats.stop());
    const { queue, options } = await openOn(nats, 3, { ackWaitMs: ACK_WAIT_LONG_MS });
    let rounds = 0;
    let published = 0;
    const publishing = (async () => {
      for (; rounds < 40; published++) await publishAll(queue, ["a"]);
    })();
    let taken = 0;
    for (; rounds < 40; rounds++) {
      const closing = await openJetStreamQueue({ ...options, servers: nats.servers.slice(rounds % 3) });
      const pulls = Array.from({ length: 5 }, () => closing.queue.pull(pullOf()));
      await closing.close();
      taken += (await Promise.all(pulls)).flat().length;
    }
    await publishing;
    // A pull acks the messages that it has taken. All others arrive long before their ackWait is over.
    await queue.ack(await pullCount(queue, published - taken));
  });

  it("replicate, survive a leader's death under traffic, and refuse without a majority", async () => {
    const nats = await startNats({ nodes: 3 });
    onTestFinished(() => nats.stop());
    const { queue, options, lines } = await openOn(nats, 3);
    const names = namesOf(options.namespace);
    const client = await connect({ servers: nats.servers, maxReconnectAttempts: -1 });
    onTestFinished(() => client.close());
    const manager = await client.jetstreamManager();
    expect((await manager.streams.info(names.stream)).config.num_replicas).toBe(3);
    expect((await manager.streams.info(names.deadLetterStream)).config.num_replicas).toBe(3);
    expect((await manager.consumers.info(names.stream, names.consumer)).cluster?.replicas).toHaveLength(2);
    expect(lines.filter((line) => line.startsWith("warn"))).toEqual([]);

    // The word that ends a request overtakes the messages of a replicated stream: none may be lost by it.
    const count = 1_000;
    await Promise.all(
      Array.from({ length: count }, (_, index) => queue.publish({ id: `${index}`, body: "a" })),
    );
    let taken = 0;
    while (taken < count) {
      const deliveries = await queue.pull(pullOf({ maxMessages: 100 }));
      expect(deliveries.every(({ deliveries: times }) => times === 1)).toBe(true);
      taken += deliveries.length;
      await queue.ack(deliveries);
    }

    const traffic = startTraffic(queue);
    for (const kind of ["stream", "consumer"] as const) {
      const enough = traffic.delivered.size + 100;
      await vi.waitFor(() => expect(traffic.delivered.size).toBeGreaterThan(enough), PATIENCE);
      // Right after a death the other servers may still be electing a leader.
      const leader = await vi.waitFor(async () => {
        const { streams, consumers } = manager;
        const { cluster } = await (kind === "stream"
          ? streams.info(names.stream)
          : consumers.info(names.stream, names.consumer));
        const node = nats.nodes[Number(cluster?.leader?.split("-")[1]) - 1];
        if (node === undefined) throw new Error(`no leader: ${JSON.stringify(cluster)}`);
        return node;
      }, PATIENCE);
      await leader.kill("SIGKILL");
      const afterwards = traffic.delivered.size + 100;
      await vi.waitFor(() => expect(traffic.delivered.size).toBeGreaterThan(afterwards), PATIENCE);
      await leader.restart();
    }
    await traffic.drain();
    expect(traffic.lost()).toEqual([]);

    const [, second, third] = nats.nodes;
    await Promise.all([second?.kill("SIGKILL"), third?.kill("SIGKILL")]);
    const publish = createPublisher({ queue, timeoutMs: 3_000 });
    await expect(publish({ id: "alone", body: "a" })).rejects.toThrow(QueueUnavailableError);
    // A leader that is left alone notices it after some seconds.
    await vi.waitFor(async () => expect((await queue.health()).healthy).toBe(false), PATIENCE);
    // Then the stream has no leader, and the remaining replica is not asked: it may lag behind.
    await vi.waitFor(
      async () => expect((await manager.streams.info(names.stream)).cluster?.leader).toBeUndefined(),
      PATIENCE,
    );
    await expect(queue.newestSequence()).rejects.toThrow(QueueUnavailableError);
    await Promise.all([second?.restart(), third?.restart()]);
    await vi.waitFor(async () => expect((await queue.health()).healthy).toBe(true), PATIENCE);
    await createPublisher({ queue, timeoutMs: 60_000 })({ id: "alone", body: "a" });
    // The consumer elects its leader by itself, a little later.
    await vi.waitFor(async () => expect((await queue.stats()).pending).toBe(1), PATIENCE);

    const { lines: loud } = await openOn(nats, 1);
    expect(loud.filter((line) => line.startsWith("warn QUEUE_REPLICAS=1 on a NATS cluster"))).toHaveLength(1);
  });
});
