import type { types } from "cassandra-driver";
import type { View } from "../../src/domain/impression.ts";
import type { Reads } from "../../src/scylla/database.ts";
import type { PackRow } from "../../src/scylla/packs/history.ts";
import { packsOf } from "../../src/scylla/packs/pack-codec.ts";
import type { Slice } from "../../src/scylla/slices.ts";

/**
 * The tables of views in memory, and the store's reads of them, answered as migrations/ order the rows: what the read
 * algorithms are tested on without a database, with rows that no writer would leave. test/adapters/cluster/scylla-memory-reads.test.ts
 * holds it against the real one.
 */
export interface MemoryTables {
  /** user_packs: a view exists once a pack with it is here. */
  readonly packs: (PackRow & { readonly userId: string })[];
  /** viewers_by_post */
  readonly viewers: (Pick<View, "userId" | "postId" | "viewedAtMs"> & {
    readonly slice: Slice;
    readonly shard: number;
  })[];
  /** viewer_slices */
  readonly markers: (Slice & { readonly postId: string })[];
}

export const noRows = (): MemoryTables => ({ packs: [], viewers: [], markers: [] });

/** Enters views as the writer does that got them together; a row that is there already stays as the later received. */
export function enterPacks({ packs }: Pick<MemoryTables, "packs">, views: readonly View[]): void {
  for (const together of Map.groupBy(
    views,
    ({ userId, receivedAtUs }) => `${receivedAtUs} ${userId}`,
  ).values()) {
    for (const { newestAtMs, id, bytes } of packsOf(together)) {
      const [{ userId, receivedAtUs } = { userId: "", receivedAtUs: 0 }] = together;
      const at = packs.findIndex(
        (row) => row.userId === userId && row.newestAtMs === newestAtMs && id.equals(row.id),
      );
      const row = { userId, newestAtMs, id, bytes, receivedAtUs };
      if (at === -1) packs.push(row);
      else if ((packs[at]?.receivedAtUs ?? 0) < receivedAtUs) packs[at] = row;
    }
  }
}

/** A statement that was read, and how many rows it gave. */
export interface AskedStatement {
  readonly statement: string;
  readonly parameters: readonly unknown[];
  readonly pageRows: number;
  readonly rows: number;
}

type Columns = Readonly<Record<string, unknown>>;
type Answer = (parameters: readonly unknown[]) => Columns[];

export function createMemoryReads(tables: MemoryTables): Reads & { readonly asked: AskedStatement[] } {
  const asked: AskedStatement[] = [];
  const answers = answersOf(tables);

  async function read(
    statement: string,
    parameters: readonly unknown[],
    pageRows: number,
  ): Promise<types.Row[]> {
    const answer = answers[statement];
    if (answer === undefined) throw new Error(`no answer to ${statement}`);
    const rows = answer(parameters);
    asked.push({ statement, parameters, pageRows, rows: rows.length });
    return rows.map(
      (columns) => ({ get: (column: string) => columns[column] ?? null }) as unknown as types.Row,
    );
  }

  return {
    asked,
    read,
    async *pages(statement, parameters, pageRows) {
      const rows = await read(statement, parameters, pageRows);
      for (let start = 0; start < Math.max(rows.length, 1); start += pageRows)
        yield rows.slice(start, start + pageRows);
    },
  };
}

function answersOf({ packs, viewers, markers }: MemoryTables): Readonly<Record<string, Answer>> {
  /** A user's packs, newest first. */
  const ofUser = (userId: unknown, beforeAt: unknown, fromAt: unknown) =>
    packs
      .filter(
        (row) => row.userId === userId && row.newestAtMs < msOf(beforeAt) && row.newestAtMs >= msOf(fromAt),
      )
      .sort((a, b) => b.newestAtMs - a.newestAtMs || Buffer.compare(a.id, b.id))
      .map(columnsOfPack);
  const limited = (rows: Columns[], limit: unknown) => rows.slice(0, Number(limit));

  return {
    readPacks: ([userId, beforeAt, fromAt]) => ofUser(userId, beforeAt, fromAt),
    // Partition after partition, in no order that a reader may rely on: here by the ids turned round.
    readPacksOfUsers: ([userIds, beforeAt, fromAt]) =>
      (userIds as string[])
        .toSorted((a, b) => compareBytes([...b].reverse().join(""), [...a].reverse().join("")))
        .flatMap((userId) => ofUser(userId, beforeAt, fromAt)),
    readViewers: ([postId, seconds, startAt, shard, untilAt, untilId, sinceAt, sinceId, limit]) =>
      limited(
        viewers
          .filter(
            (row) =>
              row.postId === postId &&
              row.slice.seconds === seconds &&
              row.slice.startMs === msOf(startAt) &&
              row.shard === shard,
          )
          .filter(({ viewedAtMs, userId }) => {
            const place: Place = [viewedAtMs, userId];
            return (
              comparePlaces(place, placeOf(untilAt, untilId)) < 0 &&
              comparePlaces(place, placeOf(sinceAt, sinceId)) >= 0
            );
          })
          .sort((a, b) => comparePlaces([b.viewedAtMs, b.userId], [a.viewedAtMs, a.userId]))
          .map(columnsOf),
        limit,
      ),
    readOldestViewer: ([postId, seconds, startAt, shard, sinceAt]) =>
      viewers
        .filter(
          (row) =>
            row.postId === postId &&
            row.slice.seconds === seconds &&
            row.slice.startMs === msOf(startAt) &&
            row.shard === shard &&
            row.viewedAtMs >= msOf(sinceAt),
        )
        .sort((a, b) => comparePlaces([a.viewedAtMs, a.userId], [b.viewedAtMs, b.userId]))
        .slice(0, 1)
        .map(columnsOf),
    readSliceMarkers: ([postId, seconds, belowAt, aboveAt, limit]) =>
      limited(
        markers
          .filter(
            (marker) =>
              marker.postId === postId &&
              marker.seconds === seconds &&
              marker.startMs < msOf(belowAt) &&
              marker.startMs > msOf(aboveAt),
          )
          .sort((a, b) => b.startMs - a.startMs)
          .map(({ startMs }) => ({ slice_start: new Date(startMs) })),
        limit,
      ),
  };
}

type Place = readonly [viewedAtMs: number, id: string];

const msOf = (value: unknown) => (value as Date).getTime();
const placeOf = (at: unknown, id: unknown): Place => [msOf(at), id as string];

function comparePlaces([aMs, a]: Place, [bMs, b]: Place): number {
  return aMs - bMs || compareBytes(a, b);
}

function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function columnsOf({ userId, postId, viewedAtMs }: Pick<View, "userId" | "postId" | "viewedAtMs">): Columns {
  return { user_id: userId, post_id: postId, viewed_at: new Date(viewedAtMs) };
}

function columnsOfPack({
  userId,
  newestAtMs,
  id,
  bytes,
  receivedAtUs,
}: MemoryTables["packs"][number]): Columns {
  return {
    user_id: userId,
    newest_at: new Date(newestAtMs),
    pack_id: id,
    pack: bytes,
    received_at_us: receivedAtUs,
  };
}
