import { expect, vi } from "vitest";
import {
  DeadLettersDocument,
  type DeadLettersQuery,
  RecordImpressionsDocument,
  SeenPostsDocument,
} from "../../src/generated/operations.ts";
import { query, request } from "../kit/graphql-request.ts";
import { walkPostViewers, walkSeenPosts } from "../kit/walks.ts";

/** A view as a client sends it. */
export interface SentImpression {
  readonly postId: string;
  /** RFC 3339, to the millisecond. */
  readonly viewedAt: string;
  readonly position?: number;
  readonly surface?: string;
}

/** The outcome of one mutation: acknowledged, refused, or unknown. */
export interface Attempt {
  readonly outcome: "acknowledged" | "refused" | "unknown";
  /** HTTP; 0 where there was no answer. */
  readonly status: number;
  /** `extensions.code` of a refusal. */
  readonly code: string | undefined;
  readonly retryAfterMs: number | undefined;
}

/** The result of a check, in impressions. */
export interface LedgerFigures {
  readonly acknowledged: number;
  /** Acknowledged ones that the reads show. */
  readonly stored: number;
  /** Acknowledged ones in the dead letters. */
  readonly deadLettered: number;
  /** Stored ones whose sender never heard of it: allowed, and none is required. */
  readonly storedUnacknowledged: number;
}

/**
 * What was sent and what came back, written down in the test's own process, outside of the system.
 *
 * `check` holds the system against it: every acknowledged impression is found by `seenPosts` and by `postViewers`,
 * exactly once, or else in the dead letters, exactly once; one that was refused or never answered may be there or not,
 * and never twice; and there is nothing that was never sent.
 */
export interface Ledger {
  /** Sends one mutation and writes down what became of it. Never rejects. */
  send(url: string, userId: string, impressions: readonly SentImpression[]): Promise<Attempt>;
  /** Impressions that were acknowledged by now. */
  acknowledged(): number;
  /** Mutations by outcome: `acknowledged`, `unknown`, or the code of the refusal. */
  outcomes(): Readonly<Record<string, number>>;
  users(): readonly string[];
  posts(): readonly string[];
  check(url: string): Promise<LedgerFigures>;
}

/** Reads of a check that run at once. */
const READS_AT_ONCE = 8;
const PAGE = 100;
const READ_PATIENCE = { timeout: 60_000, interval: 250 };

/** The instants of one user's views of one post. */
interface Pair {
  readonly acknowledged: Set<string>;
  readonly others: Set<string>;
}

export function createLedger(): Ledger {
  const pairs = new Map<string, Map<string, Pair>>();
  const outcomes: Record<string, number> = {};

  function note(userId: string, impressions: readonly SentImpression[], isAcknowledged: boolean): void {
    const posts = pairs.get(userId) ?? new Map<string, Pair>();
    pairs.set(userId, posts);
    for (const { postId, viewedAt } of impressions) {
      const pair = posts.get(postId) ?? { acknowledged: new Set(), others: new Set() };
      posts.set(postId, pair);
      if (isAcknowledged) {
        pair.acknowledged.add(viewedAt);
        pair.others.delete(viewedAt);
      } else if (!pair.acknowledged.has(viewedAt)) pair.others.add(viewedAt);
    }
  }

  const allPairs = () =>
    [...pairs].flatMap(([userId, posts]) => [...posts].map(([postId, pair]) => ({ userId, postId, pair })));
  const postIds = () => [...new Set(allPairs().map(({ postId }) => postId))];

  return {
    async send(url, userId, impressions) {
      const input = { userId, impressions: [...impressions] };
      const answer = await request(url, RecordImpressionsDocument, { input }).catch(() => null);
      const accepted = answer?.data?.recordImpressions.accepted;
      const outcome =
        answer === null ? "unknown" : accepted === impressions.length ? "acknowledged" : "refused";
      const { code, retryAfterMs } = answer?.errors?.[0]?.extensions ?? {};
      note(userId, impressions, outcome === "acknowledged");
      const key = outcome === "refused" ? String(code) : outcome;
      outcomes[key] = (outcomes[key] ?? 0) + 1;
      return { outcome, status: answer?.status ?? 0, code, retryAfterMs };
    },

    acknowledged: () => allPairs().reduce((sum, { pair }) => sum + pair.acknowledged.size, 0),
    outcomes: () => outcomes,
    users: () => [...pairs.keys()],
    posts: postIds,

    async check(url) {
      const letters = await patiently(() => walkDeadLetters(url));
      const identities = letters.map(({ payload }) => identityIn(payload)).filter((id) => id !== null);
      expect(new Set(identities).size, "a dead letter twice").toBe(identities.length);
      const lettered = new Set(identities);

      /** Views that the histories show, by user and post. */
      const shown = new Map<string, { readonly views: number; readonly lastViewedAt: string }>();
      await eachOf([...pairs.keys()], async (userId) => {
        const seen = await patiently(() => walkSeenPosts(url, userId, PAGE));
        for (const { post, views, lastViewedAt } of seen) {
          const key = keyOf(userId, post.id);
          expect(shown.has(key), `seenPosts shows ${key} twice`).toBe(false);
          shown.set(key, { views, lastViewedAt: String(lastViewedAt) });
        }
      });
      await eachOf(postIds(), async (postId) => {
        const viewers = await patiently(() => walkPostViewers(url, postId, PAGE));
        const found = new Map(viewers.map((viewer) => [viewer.user.id, viewer]));
        expect(found.size, `postViewers of ${postId} shows a viewer twice`).toBe(viewers.length);
        for (const { userId } of allPairs().filter((pair) => pair.postId === postId)) {
          const viewer = found.get(userId);
          const asViewer = viewer && { views: viewer.views, lastViewedAt: String(viewer.lastViewedAt) };
          expect(asViewer, `postViewers of ${postId}: ${userId}`).toEqual(shown.get(keyOf(userId, postId)));
          found.delete(userId);
        }
        expect([...found.keys()], `postViewers of ${postId} shows strangers`).toEqual([]);
      });

      const figures = { acknowledged: 0, stored: 0, deadLettered: 0, storedUnacknowledged: 0 };
      await eachOf(allPairs(), async ({ userId, postId, pair }) => {
        const key = keyOf(userId, postId);
        const views = shown.get(key)?.views ?? 0;
        shown.delete(key);
        const isLettered = (viewedAt: string) => lettered.has(`${key}\n${viewedAt}`);
        const owed = [...pair.acknowledged].filter((viewedAt) => !isLettered(viewedAt));
        const known = pair.acknowledged.size + pair.others.size;
        expect(views, `views lost: ${key}`).toBeGreaterThanOrEqual(owed.length);
        expect(views, `views twice: ${key}`).toBeLessThanOrEqual(known);
        // Where counting does not tell them apart, each instant is looked at.
        if (known > owed.length) {
          for (const viewedAt of owed) {
            const found = await patiently(() => viewsAt(url, userId, postId, viewedAt));
            expect(found, `${key} ${viewedAt}`).toBe(1);
          }
        }
        figures.acknowledged += pair.acknowledged.size;
        figures.stored += owed.length;
        figures.deadLettered += pair.acknowledged.size - owed.length;
        figures.storedUnacknowledged += views - owed.length;
      });
      expect([...shown.keys()], "views that were never sent").toEqual([]);
      return figures;
    },
  };
}

/** Every dead letter that the API shows. */
export async function walkDeadLetters(url: string) {
  const letters: DeadLettersQuery["deadLetters"]["nodes"][number][] = [];
  let after: string | null = null;
  for (;;) {
    const page: DeadLettersQuery = await patiently(() =>
      query(url, DeadLettersDocument, { first: PAGE, after }),
    );
    letters.push(...page.deadLetters.nodes);
    if (!page.deadLetters.pageInfo.hasNextPage) return letters;
    after = page.deadLetters.pageInfo.endCursor ?? null;
  }
}

/** How many views there are of this post by this user in this very millisecond. */
async function viewsAt(url: string, userId: string, postId: string, viewedAt: string): Promise<number> {
  const until = new Date(Date.parse(viewedAt) + 1).toISOString();
  const { seenPosts } = await query(url, SeenPostsDocument, { userId, first: 500, since: viewedAt, until });
  return seenPosts.nodes.find(({ post }) => post.id === postId)?.views ?? 0;
}

/** Which impression a dead letter is about; null for a message that could not be read. */
function identityIn(payload: unknown): string | null {
  const { userId, impression } = (payload ?? {}) as {
    userId?: string;
    impression?: { postId?: string; viewedAtMs?: number };
  };
  if (userId === undefined || impression?.postId === undefined || impression.viewedAtMs === undefined)
    return null;
  return `${keyOf(userId, impression.postId)}\n${new Date(impression.viewedAtMs).toISOString()}`;
}

/** A server that has just come back, or a machine that is busy, may be answered for with a 503 for a moment. */
function patiently<Read>(read: () => Promise<Read>): Promise<Read> {
  return vi.waitFor(read, READ_PATIENCE);
}

function keyOf(userId: string, postId: string): string {
  return `${userId}\n${postId}`;
}

async function eachOf<Item>(items: readonly Item[], visit: (item: Item) => Promise<void>): Promise<void> {
  const left = [...items];
  const work = async () => {
    for (let item = left.pop(); item !== undefined; item = left.pop()) await visit(item);
  };
  await Promise.all(Array.from({ length: READS_AT_ONCE }, work));
}
