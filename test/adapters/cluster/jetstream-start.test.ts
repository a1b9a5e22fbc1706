import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  AckPolicy,
  type ConsumerConfig,
  connect,
  DeliverPolicy,
  DiscardPolicy,
  type JetStreamManager,
  nanos,
  ReplayPolicy,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from "nats";
import { describe, expect, inject, it, onTestFinished, vi } from "vitest";
import { DAY_MS } from "../../../src/domain/time.ts";
import { namesOf } from "../../../src/jetstream/names.ts";
import { type JetStreamOptions, openJetStreamQueue } from "../../../src/jetstream/open.ts";
import { EngineStartError } from "../../../src/ports/errors.ts";
import { createTemporaryDirectory } from "../../kit/directory.ts";
import type {} from "../../servers/global-setup.ts";
import { startNats } from "../../servers/nats.ts";
import { natsPortOffsets } from "../../servers/nats-config.ts";
import { freeBasePort } from "../../servers/ports.ts";
import { jetStreamOptions, recordLog } from "../../support/jetstream.ts";

const MIB = 1_024 * 1_024;

/** Opens the queue and closes it; what it did to the server stays. */
async function start(options: JetStreamOptions): Promise<string[]> {
  const { lines, logger } = recordLog();
  const opened = await openJetStreamQueue({ ...options, logger });
  await opened.close();
  return lines;
}

/** The one line of a start that must fail. */
async function startFailure(options: JetStreamOptions): Promise<string> {
  const failure = await openJetStreamQueue(options).then(
    async (opened) => {
      await opened.close();
      throw new Error("it started");
    },
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(EngineStartError);
  const { message } = failure as EngineStartError;
  expect(message).not.toContain("\n");
  return message;
}

async function managerOf(servers: string[]): Promise<JetStreamManager> {
  const client = await connect({ servers });
  onTestFinished(() => client.close());
  return client.jetstreamManager();
}

/** Settings for streams of this test's own, which go with it, and the server's own view of them. */
async function sharedServer(given: Partial<JetStreamOptions> = {}) {
  const options = jetStreamOptions(given);
  const manager = await managerOf(inject("natsServers"));
  const names = namesOf(options.namespace);
  onTestFinished(async () => {
    for (const name of [names.stream, names.deadLetterStream, names.attemptsStream])
      await manager.streams.delete(name).catch(() => false);
  });
  return { options, manager, names };
}

describe("the topology", () => {
  it("is made as the design says, and found fitting the next time", async () => {
    const { options, manager, names } = await sharedServer({
      queueMaxBytes: 8 * MIB,
      deadLetterMaxBytes: 4 * MIB,
    });
    await start(options);
    const queue = (await manager.streams.info(names.stream)).config;
    expect(queue).toMatchObject({
      subjects: [names.subjects],
      retention: RetentionPolicy.Workqueue,
      storage: StorageType.File,
      discard: DiscardPolicy.New,
      max_bytes: 8 * MIB,
      max_msgs: -1,
      max_msgs_per_subject: -1,
      max_age: 0,
      duplicate_window: nanos(120_000),
      num_replicas: 1,
    });
    const deadLetters = (await manager.streams.info(names.deadLetterStream)).config;
    expect(deadLetters).toMatchObject({
      subjects: [names.deadLetterSubjects],
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
      discard: DiscardPolicy.New,
      max_bytes: 4 * MIB,
      max_age: nanos(30 * DAY_MS),
      duplicate_window: nanos(120_000),
    });
    const attempts = (await manager.streams.info(names.attemptsStream)).config;
    expect(attempts).toMatchObject({
      subjects: [names.attemptsSubjects],
      storage: StorageType.File,
      discard: DiscardPolicy.Old,
      max_bytes: 16 * MIB,
      max_msgs_per_subject: 1,
      max_age: nanos(7 * DAY_MS),
      num_replicas: 1,
    });
    const consumer = (await manager.consumers.info(names.stream, names.consumer)).config;
    expect(consumer).toMatchObject({
      durable_name: names.consumer,
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.All,
      ack_wait: nanos(30_000),
      max_deliver: -1,
      max_ack_pending: 10_000,
    });
    expect(consumer.backoff).toBeUndefined();

    expect(await start(options)).toEqual([]);
    expect((await manager.streams.info(names.stream)).config).toEqual(queue);
    expect((await manager.streams.info(names.deadLetterStream)).config).toEqual(deadLetters);
    expect((await manager.streams.info(names.attemptsStream)).config).toEqual(attempts);
    expect((await manager.consumers.info(names.stream, names.consumer)).config).toEqual(consumer);
  });

  it("is made once when many start at once", async () => {
    const { options } = await sharedServer();
    const opened = await Promise.all(Array.from({ length: 5 }, () => openJetStreamQueue(options)));
    const [first, ...others] = opened.map(({ queue }) => queue);
    await first?.publish({ id: "1", body: "a" });
    for (const queue of others) expect((await queue.stats()).pending).toBe(1);
    await Promise.all(opened.map(({ close }) => close()));
  });

  it("follows the configuration where that does no harm, and says so", async () => {
    const { options, manager, names } = await sharedServer();
    await start(options);
    await manager.consumers.update(names.stream, names.consumer, {
      max_deliver: 5,
      max_ack_pending: 7,
      max_batch: 3,
    });
    const lines = await start({
      ...options,
      queueMaxBytes: 16 * MIB,
      deadLetterMaxBytes: 2 * MIB,
      deadLetterDays: 7,
      ackWaitMs: 5_000,
    });
    expect((await manager.streams.info(names.stream)).config.max_bytes).toBe(16 * MIB);
    const deadLetters = (await manager.streams.info(names.deadLetterStream)).config;
    expect(deadLetters).toMatchObject({ max_bytes: 2 * MIB, max_age: nanos(7 * DAY_MS) });
    const consumer = (await manager.consumers.info(names.stream, names.consumer)).config;
    expect(consumer).toMatchObject({ ack_wait: nanos(5_000), max_deliver: -1, max_ack_pending: 10_000 });
    expect(consumer.max_batch ?? 0).toBe(0);
    expect(lines).toHaveLength(3);
    expect(lines[0]).toContain(`"max_bytes":"${64 * MIB} -> ${16 * MIB}"`);
    expect(lines[1]).toContain(`"max_age":"${30 * DAY_MS}ms -> ${7 * DAY_MS}ms"`);
    expect(lines[2]).toContain('"max_deliver":"5 -> none"');
    expect(
      await start({
        ...options,
        queueMaxBytes: 16 * MIB,
        deadLetterMaxBytes: 2 * MIB,
        deadLetterDays: 7,
        ackWaitMs: 5_000,
      }),
    ).toEqual([]);
  });

  it("keeps what the queue holds when its limit sinks below that", async () => {
    const { options } = await sharedServer();
    const first = await openJetStreamQueue(options);
    const body = "x".repeat(500_000);
    for (const id of ["1", "2", "3", "4"]) await first.queue.publish({ id, body });
    await first.close();
    const second = await openJetStreamQueue({ ...options, queueMaxBytes: MIB });
    expect(await second.queue.stats()).toMatchObject({ pending: 4, limitBytes: MIB });
    await second.close();
  });

  it("numbers the messages of a stream that is made anew above those of the old one", async () => {
    const { options, manager, names } = await sharedServer();
    const first = await openJetStreamQueue(options);
    for (const id of ["1", "2", "3"]) await first.queue.publish({ id, body: "a" });
    const newest = await first.queue.newestSequence();
    await first.close();
    await manager.streams.delete(names.stream);
    const second = await openJetStreamQueue(options);
    expect(await second.queue.newestSequence()).toBe(0);
    await second.queue.publish({ id: "4", body: "a" });
    expect(await second.queue.newestSequence()).toBeGreaterThan(newest);
    await second.close();
  });

  it("takes a fitting stream as it is, also one of another program", async () => {
    const { options, manager, names } = await sharedServer();
    await manager.streams.add({
      name: names.stream,
      subjects: [names.subjects],
      retention: RetentionPolicy.Workqueue,
      discard: DiscardPolicy.New,
    });
    const { queue, close } = await openJetStreamQueue(options);
    expect(await queue.newestSequence()).toBe(0);
    expect(await queue.isAckedThrough(0)).toBe(true);
    await queue.publish({ id: "1", body: "a" });
    expect(await queue.newestSequence()).toBe(1);
    expect(await queue.isAckedThrough(0)).toBe(true);
    expect(await queue.isAckedThrough(1)).toBe(false);
    expect(await queue.stats()).toMatchObject({ pending: 1, limitBytes: options.queueMaxBytes });
    await close();
  });

  const otherStreams: [string, Partial<StreamConfig>, string][] = [
    ["retention", { retention: RetentionPolicy.Limits }, "retention=limits, and workqueue is needed"],
    ["storage", { storage: StorageType.Memory }, "storage=memory, and file is needed"],
    ["discard policy", { discard: DiscardPolicy.Old }, "discard=old, and new is needed"],
    ["subjects", { subjects: ["elsewhere.>"] }, "and test_"],
    ["age limit", { max_age: nanos(3_600_000) }, "max_age=3600000ms, and none is needed"],
    ["message limit", { max_msgs: 1_000 }, "max_msgs=1000, and none is needed"],
    [
      "message limit for a subject",
      { max_msgs_per_subject: 1 },
      "max_msgs_per_subject=1, and none is needed",
    ],
    ["message size limit", { max_msg_size: 1_000 }, "max_msg_size=1000, and none is needed"],
    ["way to confirm", { no_ack: true }, "no_ack=true, and none is needed"],
    ["source", { sources: [{ name: "ELSEWHERE" }] }, 'sources={"name":"ELSEWHERE"}, and none is needed'],
    [
      "subject for what is published",
      { subject_transform: { src: "", dest: "" } },
      'subject_transform={"src":"","dest":""}, and none is needed',
    ],
  ];
  it.each(otherStreams)("is refused where the stream has another %s", async (_name, other, expected) => {
    const { options, manager, names } = await sharedServer();
    const subjects = other.subjects?.map((subject) => `${options.namespace}.${subject}`);
    await manager.streams.add({
      name: names.stream,
      subjects: [names.subjects],
      retention: RetentionPolicy.Workqueue,
      storage: StorageType.File,
      discard: DiscardPolicy.New,
      ...other,
      ...(subjects === undefined ? {} : { subjects }),
    });
    const before = (await manager.streams.info(names.stream)).config;
    const line = await startFailure(options);
    expect(line).toContain(`the NATS stream ${names.stream} has `);
    expect(line).toContain(expected);
    expect(line).toContain(`nats stream edit ${names.stream}`);
    expect((await manager.streams.info(names.stream)).config).toEqual(before);
  });

  it("is refused where a stream was sealed, or deletes no dead letter", async () => {
    const { options, manager, names } = await sharedServer();
    await start(options);
    const { deadLetterStream: deadLetters } = names;
    await manager.streams.update(names.stream, { sealed: true } as Partial<StreamConfig>);
    expect(await startFailure(options)).toContain(`${names.stream} has sealed=true, and none is needed`);
    await manager.streams.delete(names.stream);
    await start(options);
    await manager.streams.update(deadLetters, { deny_delete: true });
    expect(await startFailure(options)).toContain(`${deadLetters} has deny_delete=true, and none is needed`);
  });

  it("is refused where the dead letters' stream does not keep what it holds", async () => {
    const { options, manager, names } = await sharedServer();
    await manager.streams.add({ name: names.deadLetterStream, subjects: [names.deadLetterSubjects] });
    expect(await startFailure(options)).toContain(
      `${names.deadLetterStream} has discard=old, and new is needed`,
    );
  });

  const otherConsumers: [string, Partial<ConsumerConfig>, string][] = [
    [
      "that replays at the old pace",
      { replay_policy: ReplayPolicy.Original },
      "replay_policy=original, and instant is needed",
    ],
    ["that is pushed to", { deliver_subject: "push.here" }, "deliver_subject=push.here, and none is needed"],
    ["that gets a part only", { filter_subject: "FILTER" }, "and none is needed"],
    [
      "that delivers to groups by their priority",
      { priority_groups: ["first"], priority_policy: "overflow" } as Partial<ConsumerConfig>,
      "priority_groups=first, and none is needed",
    ],
  ];
  it.each(otherConsumers)("is refused where there is a consumer %s", async (_name, other, expected) => {
    const { options, manager, names } = await sharedServer();
    await start(options);
    await manager.consumers.delete(names.stream, names.consumer);
    await manager.consumers.add(names.stream, {
      durable_name: names.consumer,
      ack_policy: AckPolicy.Explicit,
      ...other,
      ...(other.filter_subject === undefined ? {} : { filter_subject: `${options.namespace}.v1.part` }),
    });
    const line = await startFailure(options);
    expect(line).toContain(`the consumer ${names.consumer} of the stream ${names.stream} has `);
    expect(line).toContain(expected);
    expect(line).toContain(`nats consumer rm ${names.stream} ${names.consumer}`);
  });

  it("is refused where another consumer takes the messages", async () => {
    const { options, manager, names } = await sharedServer();
    await start(options);
    await manager.consumers.delete(names.stream, names.consumer);
    await manager.consumers.add(names.stream, { durable_name: "other", ack_policy: AckPolicy.Explicit });
    expect(await startFailure(options)).toContain("another consumer takes the messages");
  });

  it("is refused where another stream takes the subjects", async () => {
    const { options, manager, names } = await sharedServer();
    const name = `${names.stream}_OTHER`;
    await manager.streams.add({ name, subjects: [names.publishSubject] });
    onTestFinished(async () => void (await manager.streams.delete(name)));
    expect(await startFailure(options)).toContain("another stream takes these subjects");
  });

  it("is refused where the server has not that much room", async () => {
    const { options } = await sharedServer({ queueMaxBytes: 2 ** 50 });
    expect(await startFailure(options)).toContain("lower QUEUE_MAX_BYTES and QUEUE_REPLICAS");
  });

  it("is refused where one server shall hold three replicas", async () => {
    const { options } = await sharedServer({ queueReplicas: 3 });
    expect(await startFailure(options)).toContain("set QUEUE_REPLICAS=1");
  });

  it("is refused where one pull could take more than half of what all workers may hold", async () => {
    expect(await startFailure(jetStreamOptions({ messagesPerPull: 5_001 }))).toContain(
      "WORKER_PULL=5001: must be at most 5000",
    );
  });
});

describe("a server that does not fit", () => {
  it("is refused for its message size", async () => {
    const nats = await startNats({ config: { maxPayload: MIB - 1 } });
    onTestFinished(() => nats.stop());
    expect(await startFailure(jetStreamOptions({ servers: nats.servers }))).toContain(
      "has max_payload=1048575: at least 1048576 (1MB) is needed",
    );
  });

  it("is waited for, up to the timeout", async () => {
    const port = await freeBasePort(["127.0.0.1"], natsPortOffsets(1));
    const line = await startFailure(
      jetStreamOptions({ servers: [`127.0.0.1:${port}`], connectTimeoutMs: 300 }),
    );
    expect(line).toContain(`no NATS server answers at 127.0.0.1:${port} within 300 ms`);
    expect(line).toContain("NATS_SERVERS");
  });

  it("is waited for, and the log says what for", async () => {
    const port = await freeBasePort(["127.0.0.1"], natsPortOffsets(1));
    const { lines, logger } = recordLog();
    const opening = openJetStreamQueue(jetStreamOptions({ servers: [`127.0.0.1:${port}`], logger }));
    await vi.waitFor(() => expect(lines.join()).toContain("waiting for a NATS server"), { timeout: 60_000 });
    const nats = await startNats({ port });
    onTestFinished(() => nats.stop());
    const opened = await opening;
    expect(await opened.queue.health()).toEqual({ healthy: true });
    await opened.close();
  });
});

describe("credentials and certificates", () => {
  it("are used, and refused at once where they are wrong", async () => {
    const nats = await startNats({ config: { user: "impressions", password: "right", tls: true } });
    onTestFinished(() => nats.stop());
    const options = jetStreamOptions({
      servers: nats.servers,
      user: "impressions",
      password: "right",
      tlsCaFile: nats.caFile,
    });
    const opened = await openJetStreamQueue(options);
    await opened.queue.publish({ id: "1", body: "a" });
    await opened.close();

    expect(await startFailure({ ...options, password: "wrong" })).toContain(
      "refuses the credentials ('Authorization Violation'): correct NATS_USER and NATS_PASSWORD, or NATS_CREDS",
    );
    expect(await startFailure({ ...options, user: undefined })).toContain("refuses the credentials");
    expect(await startFailure({ ...options, tlsCaFile: undefined })).toContain("set NATS_TLS_CA");

    const { path: directory, remove } = createTemporaryDirectory();
    onTestFinished(remove);
    const otherCa = join(directory, "other.pem");
    writeFileSync(otherCa, "no certificate");
    expect(await startFailure({ ...options, tlsCaFile: otherCa })).toContain("NATS_TLS_CA");
    const missing = join(directory, "missing.pem");
    expect(await startFailure({ ...options, tlsCaFile: missing })).toContain(
      `NATS_TLS_CA=${missing}: cannot be read`,
    );
    expect(await startFailure({ ...options, credsFile: missing })).toContain(
      `NATS_CREDS=${missing}: cannot be read`,
    );
    expect(await startFailure({ ...options, credsFile: otherCa })).toContain(
      "the file of NATS_CREDS holds no user credentials",
    );
    expect(
      await startFailure(jetStreamOptions({ servers: inject("natsServers"), tlsCaFile: nats.caFile })),
    ).toContain("unset NATS_TLS_CA");
  });
});
