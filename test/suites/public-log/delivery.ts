import { setTimeout } from "node:timers/promises";
import type { View } from "../../../src/domain/impression.ts";
import { RecordImpressionsDocument } from "../../../src/generated/operations.ts";
import { request } from "../../kit/graphql-request.ts";
import { inParallel } from "./parallel.ts";

/** The views that an app collects before it sends them. */
const LIST_MAX = 20;
/** After this long without a view the app was closed, and sent what it had. */
const CLOSED_AFTER_MS = 60 * 60_000;
const SENDERS = 16;
/** Every so many lists one is sent a second time, as by an app that lost the answer. */
const RESENT_EVERY = 10;

/** Sends the views through the mutation, as the users' apps did: list after list, several at a time. */
export async function sendViews(url: string, views: readonly View[]): Promise<{ lists: number }> {
  const lists = listsOf(views);
  await inParallel(SENDERS, lists, async (list, index) => {
    await sendList(url, list);
    if (index % RESENT_EVERY === 0) await sendList(url, list);
  });
  return { lists: lists.length };
}

/** The lists that the apps of these users sent, in the order in which they began. `views` are in time order. */
function listsOf(views: readonly View[]): View[][] {
  const lists: View[][] = [];
  const open = new Map<string, View[]>();
  for (const view of views) {
    const list = open.get(view.userId);
    const newest = list?.at(-1);
    if (
      list !== undefined &&
      newest !== undefined &&
      list.length < LIST_MAX &&
      view.viewedAtMs - newest.viewedAtMs <= CLOSED_AFTER_MS
    ) {
      list.push(view);
    } else {
      const begun = [view];
      open.set(view.userId, begun);
      lists.push(begun);
    }
  }
  return lists;
}

async function sendList(url: string, list: readonly View[]): Promise<void> {
  const userId = list[0]?.userId ?? "";
  const impressions = list.map(({ postId, viewedAtMs, surface, position }) => ({
    postId,
    viewedAt: new Date(viewedAtMs).toISOString(),
    surface,
    position,
  }));
  for (;;) {
    const { data, errors } = await request(url, RecordImpressionsDocument, {
      input: { userId, impressions },
    });
    if (data?.recordImpressions.accepted === list.length) return;
    // Pressure is an answer too: the list stays with its sender, who comes again when told.
    const { code, retryAfterMs } = errors?.[0]?.extensions ?? {};
    if (code !== "OVERLOADED" && code !== "QUEUE_UNAVAILABLE") {
      throw new Error(`a list was not accepted: ${JSON.stringify({ data, errors })}`);
    }
    await setTimeout(retryAfterMs ?? 0);
  }
}

/** The views as lines for `impressions import`, which are also the lines that `impressions export` gives back. */
export function linesOf(views: readonly View[]): string[] {
  return views.map(({ userId, postId, viewedAtMs, surface, position, receivedAtUs }) =>
    JSON.stringify({
      userId,
      postId,
      viewedAt: new Date(viewedAtMs).toISOString(),
      surface,
      position,
      dwellMs: null,
      receivedAt: new Date(viewedAtMs)
        .toISOString()
        .replace("Z", `${String(receivedAtUs % 1_000).padStart(3, "0")}Z`),
    }),
  );
}
