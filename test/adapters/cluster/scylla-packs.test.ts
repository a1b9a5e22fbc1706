import { Client } from "cassandra-driver";
import { afterAll, expect, it, onTestFinished, vi } from "vitest";
import { systemClock } from "../../../src/domain/time.ts";
import { StoreUnavailableError } from "../../../src/ports/errors.ts";
import { openConnection } from "../../../src/scylla/connection.ts";
import { createDatabase } from "../../../src/scylla/database.ts";
import { encoded } from "../../../src/scylla/rows.ts";
import type { BatchRow } from "../../../src/scylla/writes/batches.ts";
import { partitionKeyOf } from "../../../src/scylla/writes/replicas.ts";
import { EVERYTHING, viewOf } from "../../kit/views.ts";
import { dropTestKeyspaces, newKeyspace, settingsFor, silentLog } from "../../support/scylla.ts";

afterAll(dropTestKeyspaces);

/** Notes how many rows each request has that this process sends as a batch from now on. */
function notePacks(): number[] {
  const rows: number[] = [];
  const batch: typeof Client.prototype.batch = Client.prototype.batch;
  const spy = vi.spyOn(Client.prototype, "batch").mockImplementation(function (
    this: Client,
    ...sent: unknown[]
  ) {
    rows.push((sent[0] as unknown[]).length);
    return (batch as (...sent: unknown[]) => never).apply(this, sent);
  });
  onTestFinished(() => spy.mockRestore());
  return rows;
}

it("views of many posts and users share requests, and each is found where it belongs", async () => {
  const { store } = await (await newKeyspace()).open();
  const views = Array.from({ length: 40 }, (_, index) =>
    viewOf({ userId: `u${index % 8}`, postId: `p${index}`, viewedAtMs: Date.now() - index }),
  );
  // The first write to a post also enters its slice: here it is all about the rows.
  const writeViewers = () => Promise.all(views.map((view) => store.writeViewers(view.postId, [view])));
  await writeViewers();

  const packs = notePacks();
  await writeViewers();
  expect(packs).toEqual([10, 10, 10, 10]);
  packs.length = 0;
  const users = Map.groupBy(views, ({ userId }) => userId);
  await Promise.all([...users].map(([userId, own]) => store.writeHistory(userId, own)));
  // Five submissions a user; a request has at most ten users.
  expect(packs).toEqual([40]);

  for (const { userId, postId, viewedAtMs } of views) {
    const { rows } = await store.postViewers({ ownerId: postId, window: EVERYTHING, limit: 10, after: null });
    expect(rows.map((row) => [row.userId, row.lastViewedAtMs])).toEqual([[userId, viewedAtMs]]);
  }
});

it("a write that is to be apart shares no request", async () => {
  const { store } = await (await newKeyspace()).open();
  const views = Array.from({ length: 4 }, (_, index) =>
    viewOf({ userId: `u${index}`, postId: "p", viewedAtMs: Date.now() }),
  );
  const packs = notePacks();
  await Promise.all(views.map((view) => store.writeHistory(view.userId, [view], { uncoalesced: true })));
  // A row by itself is no batch.
  expect(packs).toEqual([]);
});

it("writes before the close are written, even if their request was not sent yet", async () => {
  const { name, client } = await newKeyspace();
  const connection = await openConnection({
    settings: settingsFor(name),
    verify: async () => undefined,
    waitForConnection: true,
    log: silentLog,
  });
  const database = createDatabase(connection, {
    inFlightMax: 16,
    readConsistency: "LOCAL_QUORUM",
    clock: systemClock,
  });
  const rowOf = (user: string): BatchRow => ({
    statement: "insertPack",
    parameters: [
      encoded.text(user),
      encoded.bigint(1_000),
      Buffer.alloc(8),
      Buffer.alloc(1),
      encoded.bigint(Date.now() * 1_000),
      encoded.int(3_600),
    ],
  });
  const users = ["a", "b", "c"];
  const written = users.map((user) => database.writeBatch([rowOf(user)], { uncoalesced: false }));
  await Promise.all([database.close(), ...written]);
  const { rows } = await client.execute("SELECT user_id FROM user_packs");
  expect(rows.map((row) => String(row.get("user_id"))).sort()).toEqual(users);
  await expect(database.writeBatch([rowOf("d")], { uncoalesced: false })).rejects.toThrow(
    StoreUnavailableError,
  );
});

it("a partition's key is what the database makes its token of", async () => {
  const { client } = await newKeyspace();
  const sliceStart = new Date(1_790_000_000_000);
  const tables = [
    {
      table: "viewers_by_post",
      key: { post_id: "post é", slice_seconds: 3_600, slice_start: sliceStart, shard: 3 },
      keyBytes: [
        encoded.text("post é"),
        encoded.int(3_600),
        encoded.bigint(sliceStart.getTime()),
        encoded.int(3),
      ],
      others: { viewed_at: new Date(), user_id: "u" },
    },
    {
      table: "user_packs",
      key: { user_id: "user 漢" },
      keyBytes: [encoded.text("user 漢")],
      others: { newest_at: new Date(), pack_id: Buffer.alloc(8) },
    },
  ];
  for (const { table, key, keyBytes, others } of tables) {
    const row = { ...key, ...others };
    const marks = Object.keys(row).map(() => "?");
    await client.execute(
      `INSERT INTO ${table} (${Object.keys(row).join(", ")}) VALUES (${marks.join(", ")})`,
      Object.values(row),
    );
    const { rows } = await client.execute(
      `SELECT token(${Object.keys(key).join(", ")}) AS ring_token FROM ${table}`,
    );
    const ours = client.metadata.newToken(partitionKeyOf(keyBytes) ?? "");
    expect(ours.toString()).toBe(String(rows[0]?.get("ring_token")));
  }
  expect(partitionKeyOf([encoded.text("p"), 60])).toBeNull();
});
