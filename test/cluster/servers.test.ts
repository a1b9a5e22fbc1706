import { types } from "cassandra-driver";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { type CassandraServers, startCassandra } from "../servers/cassandra.ts";
import { cassandraClient, natsClient } from "../servers/clients.ts";
import { type NatsServers, startNats } from "../servers/nats.ts";
import { waitUntil } from "../servers/wait.ts";

const DEADLINE_MS = 60_000;

describe("three nodes", () => {
  let nats: NatsServers;
  let cassandra: CassandraServers;

  beforeAll(async () => {
    [nats, cassandra] = await Promise.all([startNats({ nodes: 3 }), startCassandra({ nodes: 3 })]);
  });
  afterAll(() => Promise.all([nats?.stop(), cassandra?.stop()]));

  it("NATS: a stream of three replicas goes on without a dead node, which catches up", async () => {
    const client = await natsClient(nats.servers.slice(1));
    const manager = await client.jetstreamManager();
    await manager.streams.add({ name: "WHOLE", subjects: ["whole"], num_replicas: 3 });

    await nats.nodes[0]?.kill();
    await waitUntil({
      what: "a publish without the dead node",
      probe: async () => void (await client.jetstream().publish("whole", "while one is dead")),
      deadlineMs: DEADLINE_MS,
    });
    await nats.nodes[0]?.restart();
    await nats.ready();

    await waitUntil({
      what: "every replica of the stream is current",
      probe: async () => {
        const { cluster, state } = await manager.streams.info("WHOLE");
        expect(cluster?.replicas).toMatchObject([{ current: true }, { current: true }]);
        expect(state.messages).toBeGreaterThan(0);
      },
      deadlineMs: DEADLINE_MS,
    });
  });

  it("Cassandra: a quorum goes on without a dead node, which answers again after its restart", async () => {
    const client = await cassandraClient(cassandra);
    await client.execute(
      "CREATE KEYSPACE k WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 3}",
    );
    await client.execute("CREATE TABLE k.whole (id int PRIMARY KEY, text text)");

    await cassandra.nodes[2]?.kill();
    const insert = "INSERT INTO k.whole (id, text) VALUES (1, 'while one is dead')";
    // Until the others have noticed the death, a write may time out.
    await waitUntil({
      what: "a write without the dead node",
      probe: async () =>
        void (await client.execute(insert, [], {
          consistency: types.consistencies.localQuorum,
          isIdempotent: true,
        })),
      deadlineMs: DEADLINE_MS,
    });
    await cassandra.nodes[2]?.restart();
    await cassandra.ready();

    const { rows } = await client.execute("SELECT text FROM k.whole WHERE id = 1", [], {
      consistency: types.consistencies.all,
    });
    expect(rows[0]?.text).toBe("while one is dead");
  });
});

it("Cassandra: two nodes are ready once each has the other as a replica", async () => {
  const cassandra = await startCassandra({ nodes: 2 });
  onTestFinished(() => cassandra.stop());
  const client = await cassandraClient(cassandra);
  await client.execute(
    "CREATE KEYSPACE k WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 2}",
  );
  await client.execute("CREATE TABLE k.both (id int PRIMARY KEY)");
  await client.execute("INSERT INTO k.both (id) VALUES (1)", [], { consistency: types.consistencies.all });
});
