import type { types } from "cassandra-driver";
import type { View } from "../../src/domain/impression.ts";
import type { Reads } from "../../src/scylla/database.ts";
import type { Slice } from "../../src/scylla/slices.ts";

/**
 * The tables of views in memory, and the store's reads of them, answered as migrations/ order the rows: what the read
 * algorithms are tested on without a database, with rows that no writer would leave. test/adapters/cluster/scylla-memory-reads.test.ts
 * holds it against the real one.
 */
export interface MemoryTables {
  /** posts_by_user */
  readonly timeline: Pick<View, "userId" | "postId" | "viewedAtMs">[];
  /** views_by_user_post: a view exists once it is here. */
  readonly membership: View[];
  /** viewers_by_post */
  readonly viewers: (Pick<View, "userId" | "postId" | "viewedAtMs"> & {
    readonly slice: Slice;
    readonly shard: number;
  })[];
  /** viewer_slices */
  readonly markers: (Slice & { readonly postId: string })[];
}

export const noRows = (): MemoryTables => ({ timeline: [], membership: [], viewers: [], markers: [] });

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

function answersOf({
  timeline,
  membership,
  viewers,
  markers,
}: MemoryTables): Readonly<Record<string, Answer>> {
  /** Rows of posts one after the other, newest first. */
  const ofUser = (userId: unknown, postIds: unknown, sinceMs: number, untilMs: number) =>
    membership
      .filter(
        (view) =>
          view.userId === userId &&
          (postIds as string[]).includes(view.postId) &&
          view.viewedAtMs >= sinceMs &&
          view.viewedAtMs < untilMs,
      )
      .sort((a, b) => compareBytes(a.postId, b.postId) || b.viewedAtMs - a.viewedAtMs)
      .map(columnsOf);
  const limited = (rows: Columns[], limit: unknown) => rows.slice(0, Number(limit));

  return {
    readTimeline: ([userId, untilAt, untilId, sinceAt, sinceId, limit]) =>
      limited(
        timeline
          .filter((row) => row.userId === userId)
          .filter(({ viewedAtMs, postId }) => {
            const place: Place = [viewedAtMs, postId];
            return (
              comparePlaces(place, placeOf(untilAt, untilId)) < 0 &&
              comparePlaces(place, placeOf(sinceAt, sinceId)) >= 0
            );
          })
          .sort((a, b) => comparePlaces([b.viewedAtMs, b.postId], [a.viewedAtMs, a.postId]))
          .map(columnsOf),
        limit,
      ),
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
    newestViewsOfPosts: ([userId, postIds, untilAt, sinceAt, limit]) =>
      limited(ofUser(userId, postIds, msOf(sinceAt), msOf(untilAt)), limit),
    newestPostsSeen: ([userId, postIds, sinceAt, limit]) =>
      limited(ofUser(userId, postIds, msOf(sinceAt), Number.POSITIVE_INFINITY), limit),
    newestDetailsOfPosts: ([userId, postIds, sinceAt, limit]) =>
      limited(ofUser(userId, postIds, msOf(sinceAt), Number.POSITIVE_INFINITY), limit),
    // Partition after partition, in no order that a reader may rely on: here by the ids turned round.
    newestViewsOfUsers: ([userIds, postId, untilAt, sinceAt, limit]) =>
      limited(
        (userIds as string[])
          .toSorted((a, b) => compareBytes([...b].reverse().join(""), [...a].reverse().join("")))
          .flatMap((userId) => ofUser(userId, [postId], msOf(sinceAt), msOf(untilAt))),
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

function columnsOf({
  userId,
  postId,
  viewedAtMs,
  ...rest
}: Pick<View, "userId" | "postId" | "viewedAtMs">): Columns {
  const { surface = null, position = null, dwellMs = null } = rest as Partial<View>;
  return {
    user_id: userId,
    post_id: postId,
    viewed_at: new Date(viewedAtMs),
    details: { surface, position, dwell_ms: dwellMs },
  };
}
