import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "../kit/random.ts";
import type { Ledger, SentImpression } from "./ledger.ts";

const IMPRESSIONS_PER_LIST_MAX = 10;
const VIEWED_AGO_MS_MAX = 3_600_000;
/** A client that was refused comes again after a moment; one that obeyed retryAfterMs would make a test long. */
const RETRY_DELAY_MS_MAX = 250;

export interface SendersOptions {
  readonly ledger: Ledger;
  /** Where the API is now: it may be another one after a crash. */
  readonly url: () => string;
  readonly random: Random;
  /** Clients that send at once, each one list after the other. */
  readonly senders: number;
  readonly users: number;
  readonly posts: number;
  /** Lists after which they end by themselves; until `stop` unless given. */
  readonly lists?: number;
}

/** Clients that send lists, each keeping its list until it is acknowledged, as the app does. */
export interface Senders {
  /** Resolves when all lists are acknowledged. */
  readonly finished: Promise<void>;
  /** No new lists, and no further try of those that are not acknowledged. */
  stop(): Promise<void>;
}

export function startSenders(options: SendersOptions): Senders {
  const { ledger, random } = options;
  let left = options.lists ?? Number.POSITIVE_INFINITY;
  let stopping = false;

  async function sender(): Promise<void> {
    while (left > 0 && !stopping) {
      left--;
      const userId = `user-${random.integer(1, options.users)}`;
      const list = randomList(random, options.posts);
      for (;;) {
        const { outcome } = await ledger.send(options.url(), userId, list);
        if (outcome === "acknowledged" || stopping) break;
        await sleep(random.integer(1, RETRY_DELAY_MS_MAX));
      }
    }
  }

  const finished = Promise.all(Array.from({ length: options.senders }, sender)).then(() => undefined);
  return {
    finished,
    async stop() {
      stopping = true;
      await finished;
    },
  };
}

/** A list as an app would send it, each view once. */
export function randomList(random: Random, posts: number): SentImpression[] {
  const nowMs = Date.now();
  return Array.from({ length: random.integer(1, IMPRESSIONS_PER_LIST_MAX) }, () => ({
    postId: `post-${random.integer(1, posts)}`,
    viewedAt: new Date(nowMs - random.integer(0, VIEWED_AGO_MS_MAX)).toISOString(),
  }));
}
