/** The limits of the public contract, each with its unit. Tunable numbers are in config.ts instead. */

/** Impressions in one mutation, and in one queue message (a single mutation always fits whole). */
export const IMPRESSIONS_PER_MUTATION_MAX = 500;
/** HTTP request body. */
export const BODY_BYTES_MAX = 256 * 1024;
/** A submission as it stands in a queue message: under half of the 1 MiB payload that every queue must take. */
export const SUBMISSION_BYTES_MAX = 512 * 1024;
/** Any string of a mutation, in Unicode code points; longer refuses the mutation whole. */
export const STRING_CODE_POINTS_MAX = 512;
/** User and post ids, in Unicode code points. */
export const ID_CODE_POINTS_MAX = 128;
export const SURFACE_CODE_POINTS_MAX = 64;
export const POSITION_MAX = 100_000;
/** One day. */
export const DWELL_MS_MAX = 86_400_000;
/** `first` of a connection. */
export const PAGE_SIZE_MAX = 500;
export const PAGE_SIZE_DEFAULT = 50;
/** Candidates in one `unseenPosts`. */
export const CANDIDATES_MAX = 1_000;
/** Ids in one `users` or `posts`. */
export const NODES_MAX = 100;
/** Ids in a DeadLetterFilter. */
export const DEAD_LETTER_IDS_MAX = 1_000;
/**
 * Views of one user of one post that are counted, the newest ones of a window: the greatest `views` of an answer, and the
 * greatest `minViews` of a SeenRule. A count reads the rows, and only a broken app has a million of them.
 */
export const VIEWS_COUNT_MAX = 1_000;
/** How far a viewedAt may lie ahead of receivedAt, and how far a sender's clock may be ahead before it is corrected. */
export const CLOCK_TOLERANCE_MS = 5 * 60_000;
/** How far the clocks of two hosts may differ: an erasure also covers what was received this much after it. */
export const HOST_CLOCK_SKEW_US_MAX = 5_000_000;
/** The greatest RETENTION_DAYS. What keeps an erased user out is kept for as long, whatever the setting is now. */
export const RETENTION_DAYS_MAX = 3_650;
export const RETENTION_MS_MAX = RETENTION_DAYS_MAX * 86_400_000;

/**
 * Rows of a slice of a post's viewers (scylla/slices.ts) after which a process goes on in the next finer length. A slice holds at most this much of every process that
 * ever wrote into it, and of the finest length whatever came in a minute.
 */
export const SLICE_ROWS_MAX = 25_000;
