import { afterAll, describe, expect, it, onTestFinished } from "vitest";
import type { View } from "../../../src/domain/impression.ts";
import { DAY_MS, MINUTE_MS, systemClock } from "../../../src/domain/time.ts";
import { openConnection } from "../../../src/scylla/connection.ts";
import { createDatabase, type Database } from "../../../src/scylla/database.ts";
import { createErasedUsers } from "../../../src/scylla/erased-users.ts";
import { SLICE_LENGTHS_SECONDS } from "../../../src/scylla/slices.ts";
import { createUserHashes } from "../../../src/scylla/user-hashes.ts";
import { createHistoryWrites } from "../../../src/scylla/writes/history-writes.ts";
import { createViewerWrites } from "../../../src/scylla/writes/viewer-writes.ts";
import { createRandom } from "../../kit/random.ts";
import { EVERYTHING, recordViews, viewOf, walkAll } from "../../kit/views.ts";
import { createOracle } from "../../support/oracle.ts";
import {
  dropTestKeyspaces,
  newKeyspace,
  settingsFor,
  silentLog,
  type TestKeyspace,
} from "../../support/scylla.ts";

afterAll(dropTestKeyspaces);

interface PartitionSize {
  readonly seconds: number;
  readonly startMs: number;
  readonly shard: number;
  readonly rows: number;
}

/** The database's own counters. */
async function partitionsOf({ client }: TestKeyspace): Promise<PartitionSize[]> {
  const { rows } = await client.execute(
    "SELECT slice_seconds, slice_start, shard, count(*) AS n FROM viewers_by_post GROUP BY post_id, slice_seconds, slice_start, shard",
  );
  return rows.map((row) => ({
    seconds: Number(row.get("slice_seconds")),
    startMs: Number(row.get("slice_start")),
    shard: Number(row.get("shard")),
    rows: Number(row.get("n")),
  }));
}

async function markersOf({ client }: TestKeyspace): Promise<Set<string>> {
  const { rows } = await client.execute("SELECT slice_seconds, slice_start FROM viewer_slices");
  return new Set(rows.map((row) => `${row.get("slice_seconds")}:${Number(row.get("slice_start"))}`));
}

/** Midnight a week ago, so that the minutes of a test lie in one day. */
const WEEK_AGO = Math.floor(Date.now() / DAY_MS) * DAY_MS - 7 * DAY_MS;

describe("a viral post", () => {
  const PROCESSES = 3;
  const SLICE_ROWS_MAX = 60;
  const VIEWERS = 4_000;

  it("keeps every viewer while several processes escalate, and no slice grows beyond its bound", async () => {
    const keyspace = await newKeyspace();
    const processes = await Promise.all(
      Array.from({ length: PROCESSES }, () => keyspace.open({ sliceRowsMax: SLICE_ROWS_MAX })),
    );
    const random = createRandom(1);
    const oracle = createOracle();
    const startMs = WEEK_AGO + 10 * 60 * MINUTE_MS;
    const views: View[] = Array.from({ length: VIEWERS }, (_, index) =>
      // Most of them within three minutes, some over the days before.
      viewOf({
        userId: `user-${index}`,
        postId: "viral",
        viewedAtMs: random.chance(0.9)
          ? startMs + random.integer(0, 3 * MINUTE_MS)
          : startMs - random.integer(0, 6 * DAY_MS),
      }),
    );
    // Views again, later and earlier, and the very same once more, through whichever process.
    const again = views
      .filter(() => random.chance(0.2))
      .map((view) => ({ ...view, viewedAtMs: view.viewedAtMs + random.integer(-5_000, 5_000) }))
      .map((view) => ({ ...view, receivedAtUs: view.viewedAtMs * 1_000 }));
    const duplicates = views.filter(() => random.chance(0.2));
    const all = random.shuffle([...views, ...again, ...duplicates]);
    for (const view of all) oracle.add(view);

    const calls = Array.from({ length: Math.ceil(all.length / 100) }, (_, index) =>
      all.slice(index * 100, index * 100 + 100),
    );
    for (let first = 0; first < calls.length; first += PROCESSES) {
      await Promise.all(
        calls.slice(first, first + PROCESSES).map((call, turn) => {
          const process = processes[turn];
          if (process === undefined) throw new Error("unreachable");
          return recordViews(process.store, call);
        }),
      );
    }

    const expected = oracle.postViewers("viral", EVERYTHING);
    expect(expected).toHaveLength(VIEWERS);
    for (const [index, limit] of [50, 500].entries()) {
      const store = processes[index]?.store;
      if (store === undefined) throw new Error("unreachable");
      const rows = await walkAll((request) => store.postViewers(request), {
        ownerId: "viral",
        window: EVERYTHING,
        limit,
      });
      expect(rows).toEqual(expected);
    }

    const partitions = await partitionsOf(keyspace);
    const markers = await markersOf(keyspace);
    expect(new Set(partitions.map(({ seconds }) => seconds))).toEqual(new Set(SLICE_LENGTHS_SECONDS));
    expect(new Set(partitions.map(({ shard }) => shard))).toEqual(new Set([0, 1, 2, 3]));
    for (const { seconds, startMs: start, shard, rows } of partitions) {
      expect(markers).toContain(`${seconds}:${start}`);
      if (seconds > 60)
        expect({ shard, within: rows <= SLICE_ROWS_MAX * PROCESSES }).toEqual({ shard: 0, within: true });
    }
  });

  it("lets a process that comes later start where the others are", async () => {
    const keyspace = await newKeyspace();
    const crowd = (name: string, count: number) =>
      Array.from({ length: count }, (_, index) =>
        viewOf({ userId: `${name}-${index}`, postId: "p", viewedAtMs: WEEK_AGO + index }),
      );
    const first = await keyspace.open({ sliceRowsMax: 10 });
    await recordViews(first.store, crowd("early", 100));
    const before = await partitionsOf(keyspace);
    const late = await keyspace.open({ sliceRowsMax: 10 });
    await recordViews(late.store, crowd("late", 100));
    const coarse = (partitions: PartitionSize[]) => partitions.filter(({ seconds }) => seconds > 60);
    expect(coarse(before)).toHaveLength(3);
    expect(coarse(await partitionsOf(keyspace))).toEqual(coarse(before));
  });
});

describe("a post whose slices hold little", () => {
  it("is walked in bounded pages, through slices that hold nothing at all", async () => {
    const keyspace = await newKeyspace();
    // Nothing fits into the coarser slices: every view is in a slice of a minute.
    const { store } = await keyspace.open({ sliceRowsMax: 0 });
    const views = Array.from({ length: 150 }, (_, index) =>
      viewOf({ userId: `u${index % 140}`, postId: "p", viewedAtMs: WEEK_AGO + index * MINUTE_MS }),
    );
    // And long before that it was a cold post.
    const old = Array.from({ length: 10 }, (_, index) =>
      viewOf({ userId: `old${index}`, postId: "p", viewedAtMs: WEEK_AGO - (40 + index) * DAY_MS }),
    );
    const earlier = await keyspace.open();
    await recordViews(earlier.store, old);
    await recordViews(store, views);
    // As after an erasure: markers whose rows are gone.
    const marker = "INSERT INTO viewer_slices (post_id, slice_seconds, slice_start) VALUES ('p', ?, ?)";
    for (let index = 0; index < 300; index++) {
      const minute = new Date(WEEK_AGO + (100 + index) * MINUTE_MS);
      const hour = new Date(WEEK_AGO + (6 - index) * 60 * MINUTE_MS);
      await keyspace.client.execute(marker, [60, minute]);
      await keyspace.client.execute(marker, [3_600, hour]);
    }
    const oracle = createOracle();
    for (const view of [...old, ...views]) oracle.add(view);
    for (const limit of [10, 500]) {
      let short = 0;
      const rows = await walkAll(
        (request) => store.postViewers(request),
        { ownerId: "p", window: EVERYTHING, limit },
        async (page) => {
          if (page.rows.length < limit) short++;
        },
      );
      expect(rows).toEqual(oracle.postViewers("p", EVERYTHING));
      expect(short).toBeGreaterThan(0);
    }
  });
});

describe("the statements of a write", () => {
  /** A database that notes what it is asked for, in the order in which it begins and ends. */
  function noting(database: Database): { database: Database; notes: string[] } {
    const notes: string[] = [];
    const note = async <Result>(what: string, run: () => Promise<Result>): Promise<Result> => {
      notes.push(`${what} begins`);
      const result = await run();
      notes.push(`${what} ends`);
      return result;
    };
    return {
      notes,
      database: {
        ...database,
        read: (statement, parameters, rows) =>
          note(statement, () => database.read(statement, parameters, rows)),
        write: (statement, parameters) => note(statement, () => database.write(statement, parameters)),
        writeBatch: (rows, options) =>
          note(rows.map(({ statement }) => statement).join("+"), () => database.writeBatch(rows, options)),
      },
    };
  }

  it("are the marker, then the rows; then nothing but rows; and no read but the hint", async () => {
    const keyspace = await newKeyspace();
    const connection = await openConnection({
      settings: settingsFor(keyspace.name),
      verify: async () => undefined,
      waitForConnection: true,
      log: silentLog,
    });
    const real = createDatabase(connection, {
      inFlightMax: 16,
      readConsistency: "LOCAL_QUORUM",
      clock: systemClock,
    });
    onTestFinished(() => real.close());
    const { database, notes } = noting(real);
    const options = { retentionMs: 90 * DAY_MS, clock: systemClock };
    const erasedUsers = createErasedUsers({
      userHashes: createUserHashes(real),
      database: real,
      refreshIntervalMs: 10_000,
      log: silentLog,
      ...options,
    });
    onTestFinished(() => erasedUsers.close());
    const writeViewers = createViewerWrites({ database, erasedUsers, sliceRowsMax: 10, ...options });
    const writeHistory = createHistoryWrites({ database, erasedUsers, ...options });
    const taken = () => notes.splice(0);

    const view = (index: number) =>
      viewOf({ userId: `u${index}`, postId: "p", viewedAtMs: WEEK_AGO + index });
    await writeViewers("p", [view(1)]);
    expect(taken()).toEqual([
      "hintFinerSlice begins",
      "hintFinerSlice ends",
      "insertSliceMarker begins",
      "insertSliceMarker ends",
      "insertViewer begins",
      "insertViewer ends",
    ]);
    await writeViewers("p", [view(2), view(3)]);
    expect(taken()).toEqual(["insertViewer+insertViewer begins", "insertViewer+insertViewer ends"]);

    // Two that come to a new slice at once: neither writes its row before the marker is there.
    await Promise.all([writeViewers("q", [view(4)]), writeViewers("q", [view(5)])]);
    const both = taken();
    expect(both.filter((what) => what === "insertSliceMarker begins")).toHaveLength(1);
    expect(both.indexOf("insertViewer begins")).toBeGreaterThan(both.indexOf("insertSliceMarker ends"));

    await writeHistory("u1", [view(1), { ...view(1), postId: "q" }]);
    const [begins] = taken();
    expect(begins).toBe("insertPack begins");
  });
});
