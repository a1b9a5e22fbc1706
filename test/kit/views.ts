import type { View } from "../../src/domain/impression.ts";
import type { Position, WalkPage, WalkRequest } from "../../src/domain/walk.ts";
import type { ImpressionStore } from "../../src/ports/impression-store.ts";

/** Views of one call of the store, as the port allows. */
const VIEWS_PER_WRITE = 100;
/** Pages of a walk after which it is certain that the walk does not end. */
const PAGES_MAX = 10_000;

/** Everything, as the resolvers ask for it when the caller names no window. */
export const EVERYTHING = { sinceMs: 0, untilMs: Number.MAX_SAFE_INTEGER };

/** A view with what the test does not care about filled in: received when it was viewed. */
export function viewOf(
  given: Pick<View, "userId" | "postId" | "viewedAtMs"> &
    Partial<Omit<View, "userId" | "postId" | "viewedAtMs">>,
): View {
  return { receivedAtUs: given.viewedAtMs * 1_000, surface: null, position: null, dwellMs: null, ...given };
}

/** Stores views the way a worker does: viewers by post, and then, as the commit point, histories by user. */
export async function recordViews(store: ImpressionStore, views: readonly View[]): Promise<void> {
  await writeByOwner(views, "postId", (postId, group) => store.writeViewers(postId, group));
  await writeByOwner(views, "userId", (userId, group) => store.writeHistory(userId, group));
}

/** The first step alone: what a worker leaves behind that dies between the two. */
export async function recordHalf(store: ImpressionStore, views: readonly View[]): Promise<void> {
  await writeByOwner(views, "postId", (postId, group) => store.writeViewers(postId, group));
}

async function writeByOwner(
  views: readonly View[],
  owner: "postId" | "userId",
  write: (owner: string, group: readonly View[]) => Promise<void>,
): Promise<void> {
  const groups = Map.groupBy(views, (view) => view[owner]);
  const writes = [...groups].flatMap(([id, group]) =>
    Array.from({ length: Math.ceil(group.length / VIEWS_PER_WRITE) }, (_, index) =>
      write(id, group.slice(index * VIEWS_PER_WRITE, (index + 1) * VIEWS_PER_WRITE)),
    ),
  );
  await Promise.all(writes);
}

/** All rows of a walk, page after page, as a client gets them. */
export async function walkAll<Row>(
  page: (request: WalkRequest) => Promise<WalkPage<Row>>,
  request: Omit<WalkRequest, "after">,
  betweenPages: (page: WalkPage<Row>) => Promise<void> = async () => undefined,
): Promise<Row[]> {
  const rows: Row[] = [];
  let after: Position | null = null;
  let { window } = request;
  for (let pages = 0; pages < PAGES_MAX; pages++) {
    const result: WalkPage<Row> = await page({ ...request, window, after });
    if (result.rows.length > request.limit)
      throw new Error(`a page of ${request.limit} held ${result.rows.length}`);
    rows.push(...result.rows);
    if (result.next === null) return rows;
    after = result.next;
    window = { ...window, untilMs: result.boundMs };
    await betweenPages(result);
  }
  throw new Error("the walk does not end");
}
