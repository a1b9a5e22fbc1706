import type { types } from "cassandra-driver";
import { afterAll, expect, it, onTestFinished } from "vitest";
import { DAY_MS, systemClock } from "../../../src/domain/time.ts";
import { openConnection } from "../../../src/scylla/connection.ts";
import { createDatabase } from "../../../src/scylla/database.ts";
import { packsOf } from "../../../src/scylla/packs/pack-codec.ts";
import { timestampOf } from "../../../src/scylla/rows.ts";
import { SLICE_LENGTHS_SECONDS, shardOf, sliceAt } from "../../../src/scylla/slices.ts";
import type { ReadName } from "../../../src/scylla/statements.ts";
import { createRandom } from "../../kit/random.ts";
import { viewOf } from "../../kit/views.ts";
import { createMemoryReads, enterPacks, noRows } from "../../support/memory-reads.ts";
import { dropTestKeyspaces, newKeyspace, settingsFor, silentLog } from "../../support/scylla.ts";

afterAll(dropTestKeyspaces);

/** Some of them have another order in UTF-16 than in UTF-8. */
const IDS = ["a", "aa", "b", "\uff61", "\u{1f600}"] as const;
const VIEWS = 150;
const QUESTIONS = 400;

it("the rows in memory are read as the database reads them", async () => {
  const keyspace = await newKeyspace();
  const connection = await openConnection({
    settings: settingsFor(keyspace.name),
    verify: async () => undefined,
    waitForConnection: true,
    log: silentLog,
  });
  const database = createDatabase(connection, {
    inFlightMax: 16,
    readConsistency: "LOCAL_QUORUM",
    clock: systemClock,
  });
  onTestFinished(() => database.close());
  const random = createRandom(1);
  const { pick } = random;
  const noonMs = Math.floor(Date.now() / DAY_MS) * DAY_MS - DAY_MS / 2;
  const someMs = () => noonMs + pick([0, 0, 60_000, 3_600_000, DAY_MS]) + random.integer(-1, 1);
  const receivedAtUs = BigInt(noonMs) * 1_000n;
  const ttl = (10 * DAY_MS) / 1_000;

  const tables = noRows();
  for (let index = 0; index < VIEWS; index++) {
    const view = viewOf({
      ...{ userId: pick(IDS), postId: pick(IDS), viewedAtMs: someMs() },
      ...{ dwellMs: index, receivedAtUs: Number(receivedAtUs) },
    });
    const { userId, postId, viewedAtMs } = view;
    const slice = sliceAt(viewedAtMs, pick(SLICE_LENGTHS_SECONDS));
    const shard = shardOf(slice.seconds, userId);
    const at = timestampOf(viewedAtMs);
    const start = timestampOf(slice.startMs);
    const isThere = tables.viewers.some(
      (row) =>
        row.userId === userId &&
        row.postId === postId &&
        row.viewedAtMs === viewedAtMs &&
        row.slice.seconds === slice.seconds,
    );
    if (!isThere) tables.viewers.push({ userId, postId, viewedAtMs, slice, shard });
    if (
      !tables.markers.some(
        (known) =>
          known.postId === postId && known.seconds === slice.seconds && known.startMs === slice.startMs,
      )
    )
      tables.markers.push({ postId, ...slice });
    enterPacks(tables, [view]);
    for (const { newestAtMs, id, bytes } of packsOf([view]))
      await database.write("insertPack", [userId, timestampOf(newestAtMs), id, bytes, receivedAtUs, ttl]);
    await database.write("insertViewer", [
      postId,
      slice.seconds,
      start,
      shard,
      at,
      userId,
      receivedAtUs,
      ttl,
    ]);
    await database.write("insertSliceMarker", [postId, slice.seconds, start, ttl]);
  }

  const memory = createMemoryReads(tables);
  // The store asks about one id at least: the driver sends an empty list as null, which the database refuses.
  const ids = () => [...new Set([pick(IDS), ...IDS.filter(() => random.chance(0.4))])];
  const at = () => timestampOf(someMs());
  const limit = () => random.integer(1, 40);
  const questions: readonly (() => [ReadName, readonly unknown[]])[] = [
    () => ["readPacks", [pick(IDS), at(), at()]],
    () => ["readPacksOfUsers", [ids(), at(), at()]],
    () => {
      const slice = sliceAt(someMs(), pick(SLICE_LENGTHS_SECONDS));
      const partition = [
        pick(IDS),
        slice.seconds,
        timestampOf(slice.startMs),
        random.integer(0, slice.seconds === 60 ? 3 : 0),
      ];
      return random.chance(0.5)
        ? ["readViewers", [...partition, at(), pick([...IDS, ""]), at(), "", limit()]]
        : ["readOldestViewer", [...partition, at()]];
    },
    () => [
      "readSliceMarkers",
      [pick(IDS), pick(SLICE_LENGTHS_SECONDS), at(), timestampOf(someMs() - 30 * DAY_MS), limit()],
    ],
  ];
  let found = 0;
  for (let question = 0; question < QUESTIONS; question++) {
    const [statement, parameters] = pick(questions)();
    const columns = COLUMNS[statement] ?? [];
    const inMemory = (await memory.read(statement, parameters, 1_000)).map((row) => textOf(row, columns));
    const stored = (await database.read(statement, parameters, 1_000)).map((row) => textOf(row, columns));
    // The users' partitions come in the order of their tokens, which memory does not know.
    const inOrder = (rows: readonly string[]) => (statement === "readPacksOfUsers" ? rows.toSorted() : rows);
    expect(inOrder(inMemory), `${statement} ${JSON.stringify(parameters)}`).toEqual(inOrder(stored));
    found += stored.length;
  }
  expect(found).toBeGreaterThan(QUESTIONS);
});

/** The columns that the read algorithms use of each answer. */
const COLUMNS: Partial<Record<ReadName, readonly string[]>> = {
  readPacks: ["newest_at", "pack_id", "pack", "received_at_us"],
  readPacksOfUsers: ["user_id", "newest_at", "pack_id", "pack", "received_at_us"],
  readViewers: ["viewed_at", "user_id"],
  readOldestViewer: ["viewed_at"],
  readSliceMarkers: ["slice_start"],
};

function textOf(row: types.Row, columns: readonly string[]): string {
  return JSON.stringify(columns.map((column) => plainOf(row.get(column))));
}

/** A bigint comes as a number, or as the driver's own type. */
function plainOf(value: unknown): unknown {
  return typeof value === "bigint" ? Number(value) : value;
}
