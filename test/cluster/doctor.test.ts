import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type ClusterInstallation, createClusterInstallation } from "../kit/cluster-installation.ts";
import { type CassandraServers, startCassandra } from "../servers/cassandra.ts";
import { type NatsServers, startNats } from "../servers/nats.ts";
import { runDoctor, troubleIn } from "../support/doctor.ts";

const PATIENCE = { timeout: 120_000, interval: 1_000 };

let nats: NatsServers;
let cassandra: CassandraServers;
let installation: ClusterInstallation;

beforeAll(async () => {
  [nats, cassandra] = await Promise.all([startNats({ nodes: 3 }), startCassandra({ nodes: 3 })]);
  installation = createClusterInstallation(
    {
      natsServers: nats.servers,
      contactPoints: cassandra.contactPoints,
      localDataCenter: cassandra.localDataCenter,
      isShared: false,
    },
    3,
  );
  await installation.migrate("--create-keyspace", "3");
  await (await installation.start("serve")).kill("SIGTERM");
});

afterAll(async () => {
  await installation?.dispose();
  await Promise.all([nats?.stop(), cassandra?.stop()]);
});

test("the doctor tells a whole cluster from one that has lost a node", async () => {
  const doctor = (changes: Readonly<Record<string, string>> = {}) =>
    runDoctor({ ...installation.environment, ...changes });
  const whole = await doctor();
  expect(troubleIn(whole)).toEqual({});
  expect(whole.findings).toMatchObject({
    queue: expect.stringMatching(/^ok: NATS .*, cluster impressions$/),
    store: expect.stringMatching(/^ok: 3 nodes of Cassandra /),
    "store keyspace": expect.stringContaining("3 of 3 nodes"),
  });
  expect((await doctor({ QUEUE_REPLICAS: "1" })).findings["queue replicas"]).toMatch(
    /^warning: QUEUE_REPLICAS=1 on a NATS cluster/,
  );

  await Promise.all([nats.nodes[2]?.kill(), cassandra.nodes[2]?.kill()]);
  await vi.waitFor(async () => {
    const report = await doctor();
    expect(troubleIn(report)).toEqual({
      "queue replicas": expect.stringMatching(/^warning: nats-3 is away or behind: one more loss/),
      store: expect.stringMatching(/^warning: 3 nodes .*127\.0\.0\.3:\d+ does not answer/),
    });
    expect(report.code).toBe(0);
  }, PATIENCE);
});
