import type { Job, Outcome } from "../transaction.ts";

/** What `writer.ts` and the thread that it starts (`writer-thread.ts`) say to each other. */

/** What the thread is given when it starts. */
export interface ThreadData {
  readonly database: "queue" | "store";
  readonly file: string;
}

/** Batches are run in the order in which they are sent, each as one transaction. */
export type ToThread = { readonly kind: "batch"; readonly jobs: readonly Job[] } | { readonly kind: "close" };

/** First one of the first two, then the outcomes of each batch, in order. */
export type FromThread =
  | { readonly kind: "ready" }
  | { readonly kind: "cannot-open"; readonly reason: string }
  | { readonly kind: "outcomes"; readonly outcomes: readonly Outcome[] };

/** An operation that every database has: a write that changes nothing, to find out whether the disk takes writes. */
export const PROBE = "probe";

/** Another one, which stands outside of every transaction: see `scrub` in database.ts. */
export const SCRUB = "scrub";
