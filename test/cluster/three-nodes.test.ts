import { afterAll, beforeAll, expect, test } from "vitest";
import {
  PipelineDocument,
  RecordImpressionsDocument,
  UnseenPostsDocument,
} from "../../src/generated/operations.ts";
import { type ClusterInstallation, createClusterInstallation } from "../kit/cluster-installation.ts";
import { query } from "../kit/graphql-request.ts";
import type { ServiceProcess } from "../kit/service-process.ts";
import { walkPostViewers, walkSeenPosts } from "../kit/walks.ts";
import { type CassandraServers, startCassandra } from "../servers/cassandra.ts";
import { type NatsServers, startNats } from "../servers/nats.ts";
import { runDoctor } from "../support/doctor.ts";

/** JetStream with three replicas, Cassandra with replication factor 3, an API and two workers. */
let nats: NatsServers;
let cassandra: CassandraServers;
let installation: ClusterInstallation;
let api: ServiceProcess;

beforeAll(async () => {
  const startedMs = performance.now();
  [nats, cassandra] = await Promise.all([startNats({ nodes: 3 }), startCassandra({ nodes: 3 })]);
  console.info(`six servers started in ${((performance.now() - startedMs) / 1_000).toFixed(1)} s`);
  installation = createClusterInstallation(
    {
      natsServers: nats.servers,
      contactPoints: cassandra.contactPoints,
      localDataCenter: cassandra.localDataCenter,
      isShared: false,
    },
    3,
  );
  expect(await installation.migrate("--create-keyspace", "3")).toMatchObject({ code: 0 });
  api = await installation.start("api");
  await Promise.all([installation.start("worker"), installation.start("worker")]);
});

afterAll(async () => {
  await installation?.dispose();
  await Promise.all([nats?.stop(), cassandra?.stop()]);
});

const record = (userId: string, impressions: { postId: string; viewedAt: string }[]) =>
  query(api.url, RecordImpressionsDocument, { input: { userId, impressions } });

const settled = () =>
  expect
    .poll(async () => (await query(api.url, PipelineDocument, {})).pipeline.pending, { timeout: 120_000 })
    .toBe(0);

test("from the mutation to the reads on three nodes of each", async () => {
  const nowMs = Date.now();
  const at = (secondsAgo: number) => new Date(nowMs - secondsAgo * 1_000).toISOString();
  const users = Array.from({ length: 50 }, (_, index) => `user-${index}`);
  await Promise.all(
    users.map((user, index) =>
      record(user, [
        { postId: "shared", viewedAt: at(index) },
        { postId: `own-${index}`, viewedAt: at(index + 1) },
        { postId: "null", viewedAt: at(0) },
      ]),
    ),
  );
  await settled();
  const { pipeline } = await query(api.url, PipelineDocument, {});
  expect(pipeline).toMatchObject({ engine: "cluster", deadLetters: users.length, storeHealthy: true });
  expect(pipeline.workers.length).toBeGreaterThanOrEqual(2);
  expect((await walkPostViewers(api.url, "shared", 7)).map(({ user }) => user.id)).toEqual(users);
  expect((await walkSeenPosts(api.url, "user-3", 1)).map(({ post }) => post.id)).toEqual(["shared", "own-3"]);
  expect(
    await query(api.url, UnseenPostsDocument, {
      userId: "user-9",
      candidates: ["own-9", "own-8", "shared", "new"],
    }),
  ).toEqual({ unseenPosts: ["own-8", "new"] });
});

test("every node is reached at the port of the contact points", async () => {
  const { findings } = await runDoctor(installation.environment);
  expect(findings.store).toMatch(/^ok: 3 nodes of Cassandra /);
});

test("one Cassandra node and one NATS node dead: writes and reads go on", async () => {
  await Promise.all([cassandra.nodes[2]?.kill("SIGKILL"), nats.nodes[2]?.kill("SIGKILL")]);
  const viewedAt = new Date().toISOString();
  const users = Array.from({ length: 30 }, (_, index) => `later-${index}`);
  for (const user of users) {
    // A mutation that was on the dead leader's way fails with a retryable code: its sender comes again.
    await expect
      .poll(() => record(user, [{ postId: "late", viewedAt }]).then(() => true, String), { timeout: 60_000 })
      .toBe(true);
  }
  await settled();
  expect(new Set((await walkPostViewers(api.url, "late")).map(({ user }) => user.id))).toEqual(
    new Set(users),
  );
  await Promise.all([cassandra.nodes[2]?.restart(), nats.nodes[2]?.restart()]);
});
