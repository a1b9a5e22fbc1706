import { type ConsumerConfig, connect, type JetStreamManager } from "nats";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { systemClock } from "../../../src/domain/time.ts";
import { diagnoseJetStream } from "../../../src/jetstream/doctor.ts";
import { type JetStreamNames, namesOf } from "../../../src/jetstream/names.ts";
import { openJetStreamQueue } from "../../../src/jetstream/open.ts";
import { BRIEF_MS, bodyOf, publishAll, pullCount, pullOf } from "../../contract/queue/fixture.ts";
import type {} from "../../servers/global-setup.ts";
import { jetStreamOptions, openTemporaryJetStream, recordLog } from "../../support/jetstream.ts";

const HOUR_MS = 3_600_000;

/** A queue with one message in it, and the server's own tools beside it. Time stands for the queue, but for `time`. */
async function openWithMessage() {
  const { lines, logger } = recordLog();
  const time = { ms: 0 };
  const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + time.ms };
  const options = jetStreamOptions({ logger, clock });
  const opened = await openTemporaryJetStream(options);
  onTestFinished(() => opened.dispose());
  const client = await connect({ servers: inject("natsServers") });
  onTestFinished(() => client.close());
  const manager: JetStreamManager = await client.jetstreamManager();
  const names = namesOf(options.namespace);
  const { queue } = opened.current();
  await publishAll(queue, ["a"]);
  lines.splice(0);

  async function doctor() {
    const findings = await diagnoseJetStream({
      ...options,
      namespace: options.namespace ?? "",
      replicas: 1,
      ackWaitMs: queue.ackWaitMs,
      log: logger,
    });
    const found = findings.find(({ check }) => check === "queue consumer");
    return `${found?.result}: ${found?.detail}`;
  }

  /** Pulls as a worker would, after so long that the queue asks again why nothing comes. */
  async function pullBriefly() {
    time.ms += 60_000;
    return queue.pull(pullOf({ waitMs: BRIEF_MS }));
  }

  return { queue, manager, names, lines, options, doctor, pullBriefly };
}

describe("a consumer that was paused", () => {
  it("is told by health, numbers and doctor, and once in the log, until it is resumed", async () => {
    const { queue, manager, names, lines, doctor, pullBriefly } = await openWithMessage();
    const { stream, consumer } = names;
    expect(await queue.health()).toEqual({ healthy: true });
    expect(await doctor()).toBe("ok: workers get what is in the queue");

    const until = new Date(Math.ceil(Date.now() / 1_000) * 1_000 + HOUR_MS);
    await manager.consumers.pause(stream, consumer, until);
    const shown = until.toISOString().replace(".000", "");
    const paused = `deliveries are paused until ${shown}: nothing is stored before; to go on now: nats consumer resume ${stream} ${consumer}`;
    for (let round = 0; round < 3; round++) expect(await pullBriefly()).toEqual([]);
    await expect.poll(() => lines).toEqual([expect.stringContaining(`error ${paused}`)]);
    expect(await queue.health()).toEqual({ healthy: true, notDelivering: paused });
    expect(await queue.stats()).toMatchObject({ pending: 1, notDelivering: paused });
    expect(await doctor()).toBe(`failed: ${paused}`);
    // A mutation is still taken.
    await publishAll(queue, ["b"]);

    await manager.consumers.resume(stream, consumer);
    expect((await pullCount(queue, 2)).map(bodyOf)).toEqual(["a", "b"]);
    expect(await queue.health()).toEqual({ healthy: true });
    await pullBriefly();
    await expect.poll(() => lines[1]).toMatch(/^info the queue delivers to workers again/);
    expect(lines).toHaveLength(2);
  });

  it("is told by a process that starts meanwhile", async () => {
    const { manager, names, options } = await openWithMessage();
    await manager.consumers.pause(names.stream, names.consumer, new Date(Date.now() + HOUR_MS));
    const { lines, logger } = recordLog();
    const other = await openJetStreamQueue({ ...options, logger });
    onTestFinished(() => other.close());
    expect(await other.queue.pull(pullOf({ waitMs: BRIEF_MS }))).toEqual([]);
    await expect.poll(() => lines).toEqual([expect.stringContaining("error deliveries are paused until ")]);
  });
});

describe("a consumer that was changed under the service", () => {
  it.each<[string, (names: JetStreamNames) => Partial<ConsumerConfig>]>([
    ["filter_subject=", ({ publishSubject }) => ({ filter_subject: publishSubject })],
    ["(max_ack_pending)", () => ({ max_ack_pending: 1 })],
  ])("so that workers get less is told: %s", async (told, change) => {
    const { queue, manager, names, lines, doctor, pullBriefly } = await openWithMessage();
    const { stream, consumer } = names;
    await pullCount(queue, 1);
    await manager.consumers.update(stream, consumer, change(names));
    expect(await queue.stats()).toMatchObject({ notDelivering: expect.stringContaining(told) });
    expect(await doctor()).toContain(told);
    expect(await pullBriefly()).toEqual([]);
    await expect.poll(() => lines).toEqual([expect.stringContaining(told)]);
  });
});
