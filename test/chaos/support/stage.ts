import type { Client } from "cassandra-driver";
import {
  type ConsumerInfo,
  connect,
  type JetStreamManager,
  type NatsConnection,
  type StreamInfo,
} from "nats";
import { expect, inject, onTestFinished, vi } from "vitest";
import { decodeMessage } from "../../../src/domain/queue-message.ts";
import { PipelineDocument, type PipelineQuery } from "../../../src/generated/operations.ts";
import { type JetStreamNames, namesOf } from "../../../src/jetstream/names.ts";
import { createClusterInstallation } from "../../kit/cluster-installation.ts";
import { query } from "../../kit/graphql-request.ts";
import type { ServiceProcess } from "../../kit/service-process.ts";
import { type CassandraOptions, type CassandraServers, startCassandra } from "../../servers/cassandra.ts";
import type {} from "../../servers/global-setup.ts";
import { type NatsOptions, type NatsServers, startNats } from "../../servers/nats.ts";
import { startTcpProxy, type TcpProxy } from "../../servers/tcp-proxy.ts";
import { cqlFrames, natsFrames } from "../../servers/wire-frames.ts";
import type { LedgerFigures } from "../../support/ledger.ts";
import { viewsInPack } from "../../support/stored-packs.ts";

/** Never decides a good run; only ends one that hangs. */
export const PATIENCE = { timeout: 300_000, interval: 50 };

/** One installation for a scenario: streams and a keyspace of its own, its processes, and proxies where it wants them. */
export interface Stage {
  readonly keyspace: string;
  readonly names: JetStreamNames;
  /** The test's own connections, past every proxy. */
  readonly nats: NatsConnection;
  readonly manager: JetStreamManager;
  readonly client: Client;
  start(role: "api" | "worker", environment?: Readonly<Record<string, string>>): Promise<ServiceProcess>;
  /** A proxy in front of the (first) NATS server: give its address as NATS_SERVERS. */
  natsProxy(): Promise<TcpProxy>;
  /** A proxy in front of the (first) Cassandra node: give its address as SCYLLA_CONTACT_POINTS. */
  cqlProxy(): Promise<TcpProxy>;
  stream(): Promise<StreamInfo>;
  consumer(): Promise<ConsumerInfo>;
  /** Deliveries beyond the first of each message. */
  redelivered(): Promise<number>;
  /** Resolves when the queue is empty. */
  drained(): Promise<void>;
  /** Sequences of those messages in the queue of which every view is behind its commit point. */
  committedMessages(): Promise<readonly number[]>;
  /** Rows of this user in every table, by table. */
  rowsOf(userId: string): Promise<Readonly<Record<string, number>>>;
}

export interface StageServers {
  /** The run's shared one unless given. */
  readonly nats?: NatsServers;
  /** The run's shared one unless given. */
  readonly cassandra?: CassandraServers;
  readonly environment?: Readonly<Record<string, string>>;
}

export async function openStage({ nats, cassandra, environment = {} }: StageServers = {}): Promise<Stage> {
  const natsServers = nats?.servers ?? inject("natsServers");
  const contactPoints = cassandra?.contactPoints ?? inject("scyllaContactPoints");
  const installation = createClusterInstallation(
    {
      natsServers,
      contactPoints,
      localDataCenter: cassandra?.localDataCenter ?? inject("scyllaLocalDc"),
      isShared: cassandra === undefined,
    },
    nats?.nodes.length ?? 1,
  );
  onTestFinished(installation.dispose);
  const migrated = await installation.migrate("--create-keyspace", String(contactPoints.length));
  expect(migrated).toMatchObject({ code: 0 });
  const client = installation.client();
  await client.connect();
  const connection = await connect({ servers: natsServers, maxReconnectAttempts: -1 });
  onTestFinished(() => connection.close());
  const manager = await connection.jetstreamManager();
  const { keyspace } = installation;
  const names = namesOf(installation.environment.NATS_NAMESPACE);

  async function proxyTo(target: string | undefined, split: Parameters<typeof startTcpProxy>[1]) {
    const proxy = await startTcpProxy(target ?? "", split);
    onTestFinished(proxy.close);
    return proxy;
  }
  const stream = () => manager.streams.info(names.stream);
  const consumer = () => manager.consumers.info(names.stream, names.consumer);

  return {
    keyspace,
    names,
    nats: connection,
    manager,
    client,
    start: (role, more) => installation.start(role, { ...environment, ...more }),
    natsProxy: () => proxyTo(natsServers[0], natsFrames),
    cqlProxy: () => proxyTo(contactPoints[0], cqlFrames),
    stream,
    consumer,
    async redelivered() {
      const { config } = await stream();
      const { delivered } = await consumer();
      // The stream counts from an instant: see jetstream/topology.ts.
      const first = Math.max(0, delivered.stream_seq - Math.max(1, config.first_seq) + 1);
      return delivered.consumer_seq - first;
    },
    async drained() {
      await vi.waitFor(async () => expect((await stream()).state.messages).toBe(0), PATIENCE);
    },
    async committedMessages() {
      const committed = await committedViews(client, keyspace);
      const { first_seq: first, last_seq: last, messages } = (await stream()).state;
      const found: number[] = [];
      for (let seq = first; messages > 0 && seq <= last; seq++) {
        const stored = await manager.streams.getMessage(names.stream, { seq }).catch(() => null);
        if (stored !== null && viewsIn(stored.data).every((view) => committed.has(view))) found.push(seq);
      }
      return found;
    },
    async rowsOf(userId) {
      const tables = ["user_packs", "viewers_by_post"];
      const counts = tables.map(async (table) => {
        const cql = `SELECT count(*) AS rows FROM ${keyspace}.${table} WHERE user_id = ? ALLOW FILTERING`;
        const { rows } = await client.execute(cql, [userId], { prepare: true });
        return [table, Number(rows[0]?.get("rows"))] as const;
      });
      return Object.fromEntries(await Promise.all(counts));
    },
  };
}

/** Every view whose history is written: user, post and instant. */
async function committedViews(client: Client, keyspace: string): Promise<ReadonlySet<string>> {
  const views = new Set<string>();
  const cql = `SELECT user_id, newest_at, pack_id, pack FROM ${keyspace}.user_packs`;
  for await (const row of await client.execute(cql, [], { prepare: true }))
    for (const { postId, viewedAtMs } of viewsInPack(row))
      views.add(`${row.get("user_id")} ${postId} ${viewedAtMs}`);
  return views;
}

function viewsIn(body: Uint8Array): string[] {
  const message = decodeMessage(body);
  if (message.kind !== "message") throw new Error(message.detail);
  return message.submissions.flatMap(({ userId, impressions }) =>
    impressions.map(({ postId, viewedAtMs }) => `${userId} ${postId} ${viewedAtMs}`),
  );
}

/** A NATS of the scenario's own, to be broken. */
export async function ownNats(options: NatsOptions = {}): Promise<NatsServers> {
  const nats = await startNats(options);
  onTestFinished(() => nats.stop());
  return nats;
}

/** A Cassandra of the scenario's own, to be broken. */
export async function ownCassandra(options: CassandraOptions = {}): Promise<CassandraServers> {
  const cassandra = await startCassandra(options);
  onTestFinished(() => cassandra.stop());
  return cassandra;
}

export async function pipelineOf(url: string): Promise<PipelineQuery["pipeline"]> {
  return (await query(url, PipelineDocument, {})).pipeline;
}

/** Waits until a process has logged this message. */
export async function logged({ log }: Pick<ServiceProcess, "log">, message: string): Promise<void> {
  await vi.waitFor(() => expect(log.some((line) => line.includes(message))).toBe(true), PATIENCE);
}

/** Nothing was lost, and nothing stands in the dead letters. */
export function expectAllStored(figures: LedgerFigures): void {
  expect(figures.acknowledged).toBeGreaterThan(0);
  expect(figures).toMatchObject({ stored: figures.acknowledged, deadLettered: 0 });
}
