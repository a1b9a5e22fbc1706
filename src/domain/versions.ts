import type { Impression, View } from "./impression.ts";
import { fnv1aFmix32 } from "./shard-hash.ts";
import type { UnjudgedImpression } from "./validation.ts";

/** Which of several versions of one view (one user, post and `viewedAt`) stays: docs/adr/0040. */

/** What two versions of a view may differ in. */
export type Details = Pick<Impression, "surface" | "position" | "dwellMs">;

/** How many ranks versions that were received at once may have: two different ones in so many have the same. */
export const DETAILS_RANKS = 2_880;

/**
 * A place among versions that were received at once: nothing orders them in time, so what they say has to, in the same
 * way on every engine and in every process. Part of the stored format.
 *
 * @returns an integer from 0, less than DETAILS_RANKS.
 */
export function detailsRank(details: Details): number {
  return fnv1aFmix32(detailsText(details)) % DETAILS_RANKS;
}

/** Of two views with one identity, the one that stays: the later received; of those received at once the greater rank. */
export function laterReceived(first: View, second: View): View {
  const order = second.receivedAtUs - first.receivedAtUs || compareDetails(second, first);
  return order >= 0 ? second : first;
}

/** Orders the details of versions that were received at once; 0 only where they are the same. */
export function compareDetails(a: Details, b: Details): number {
  const byRank = detailsRank(a) - detailsRank(b);
  if (byRank !== 0) return byRank;
  const [textA, textB] = [detailsText(a), detailsText(b)];
  return textA === textB ? 0 : textA < textB ? -1 : 1;
}

function detailsText({ surface, position, dwellMs }: Details): string {
  return `${position} ${dwellMs} ${JSON.stringify(surface)}`;
}

/**
 * For each impression of a list, how many of those before it are versions of the same view; null where there are none
 * at all, as usual. Added to the list's receivedAt in microseconds this makes the last version the latest received, also
 * where the versions come to the store one by one, by way of the dead letters or of an export.
 */
export function earlierVersions(impressions: readonly UnjudgedImpression[]): readonly number[] | null {
  if (impressions.length === 1) return null;
  if (new Set(impressions.map(({ viewedAtMs }) => viewedAtMs)).size === impressions.length) return null;
  const versions = new Map<string, number>();
  return impressions.map((impression) => {
    const key = versionKey(impression);
    if (key === null) return 0;
    const earlier = versions.get(key) ?? 0;
    versions.set(key, earlier + 1);
    return earlier;
  });
}

/** A text key of a view among those of its user; null where there is none: it is rejected whatever its place. */
export function versionKey({ postId, viewedAtMs }: UnjudgedImpression): string | null {
  return typeof postId === "string" && typeof viewedAtMs === "number" ? `${viewedAtMs} ${postId}` : null;
}
