import { Client } from "cassandra-driver";
import { expect, onTestFinished, test, vi } from "vitest";
import { systemClock } from "../../src/domain/time.ts";
import { openScyllaStore } from "../../src/scylla/open.ts";
import { migrateScylla } from "../../src/scylla/schema/migrate.ts";
import { EVERYTHING, viewOf } from "../kit/views.ts";
import { startCassandra } from "../servers/cassandra.ts";
import { connectTo, newKeyspaceName, RETENTION_DAYS, silentLog } from "../support/scylla.ts";

/** Which node has a token, as the nodes themselves say it. */
async function readRing(client: Client): Promise<(token: bigint) => string> {
  const nodes = [
    ...(await client.execute("SELECT broadcast_address AS address, tokens FROM system.local")).rows,
    ...(await client.execute("SELECT peer AS address, tokens FROM system.peers")).rows,
  ];
  const ring = nodes
    .flatMap((row) =>
      (row.get("tokens") as string[]).map((token) => ({
        token: BigInt(token),
        node: String(row.get("address")),
      })),
    )
    .sort((one, other) => (one.token < other.token ? -1 : 1));
  return (token) => (ring.find((range) => range.token >= token) ?? ring[0])?.node ?? "nobody";
}

test("where a node has a part of the data, only writes to the same nodes share a request", async () => {
  const cassandra = await startCassandra({ nodes: 3 });
  onTestFinished(() => cassandra.stop());
  const settings = {
    contactPoints: cassandra.contactPoints,
    localDataCenter: cassandra.localDataCenter,
    keyspace: newKeyspaceName(),
    requestTimeoutMs: 30_000,
  };
  const common = { retentionDays: RETENTION_DAYS, clock: systemClock, logger: silentLog };
  await migrateScylla({ settings, ...common, createKeyspace: { replicationFactor: 1 } });
  const { store } = await openScyllaStore({
    ...settings,
    ...common,
    inFlightMax: 64,
    waitForConnection: true,
  });
  onTestFinished(() => store.close());

  const packs: string[][] = [];
  const batch: typeof Client.prototype.batch = Client.prototype.batch;
  const spy = vi.spyOn(Client.prototype, "batch").mockImplementation(function (
    this: Client,
    ...sent: unknown[]
  ) {
    const rows = sent[0] as { params: Buffer[] }[];
    packs.push([...new Set(rows.map(({ params: [user] }) => String(user)))]);
    return (batch as (...sent: unknown[]) => never).apply(this, sent);
  });
  onTestFinished(() => spy.mockRestore());

  const users = Array.from({ length: 60 }, (_, index) => `user-${index}`);
  const views = users.map((userId) => viewOf({ userId, postId: "p", viewedAtMs: Date.now() }));
  await store.writeViewers("p", views);
  packs.length = 0;
  await Promise.all(views.map((view) => store.writeHistory(view.userId, [view])));

  const client = await connectTo(settings);
  onTestFinished(() => client.shutdown());
  const nodeOf = await readRing(client);
  const { rows } = await client.execute("SELECT DISTINCT user_id, token(user_id) AS ring FROM user_packs");
  const homes = new Map(rows.map((row) => [String(row.get("user_id")), nodeOf(row.get("ring") as bigint)]));
  expect(new Set(homes.values()).size).toBe(3);
  // What is left over for a node may be a row alone, which is no batch and not noted.
  const shared = packs.flat();
  expect(new Set(shared).size).toBe(shared.length);
  expect(shared.length).toBeGreaterThanOrEqual(users.length - new Set(homes.values()).size);
  for (const pack of packs) expect(new Set(pack.map((user) => homes.get(user))).size).toBe(1);
  expect(packs.length).toBeLessThan(users.length / 4);

  const walk = { ownerId: "p", window: EVERYTHING, limit: 100, after: null };
  expect((await store.postViewers(walk)).rows.map(({ userId }) => userId).sort()).toEqual([...users].sort());
});
