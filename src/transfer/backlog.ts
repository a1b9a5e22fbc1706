/**
 * While more messages than this wait in the queue an import pauses: what users view in the meantime waits behind it.
 * A message holds at most 500 impressions.
 */
export const BACKLOG_MESSAGES_MAX = 1_000;
