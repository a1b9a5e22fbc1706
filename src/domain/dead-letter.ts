import { createHash } from "node:crypto";

/** Why something that was acknowledged could not be stored. Part of the public contract. */
export const DEAD_LETTER_REASONS = [
  "UNREADABLE_MESSAGE",
  "INVALID_USER_ID",
  "INVALID_POST_ID",
  "INVALID_FIELD",
  "VIEWED_IN_FUTURE",
  "OLDER_THAN_RETENTION",
  "REJECTED_BY_STORE",
  "CRASHED_WORKER",
] as const;

export type DeadLetterReason = (typeof DEAD_LETTER_REASONS)[number];

export interface DeadLetter {
  /** From `deadLetterId`: the same impression of the same message always gets the same id. */
  readonly id: string;
  readonly reason: DeadLetterReason;
  readonly detail: string;
  /** Null where the message could not be read, and for what is longer than an id can be. */
  readonly userId: string | null;
  /** Null where the message could not be read. */
  readonly receivedAtUs: number | null;
  readonly failedAtMs: number;
  /** How often the message had been delivered when it failed. */
  readonly deliveries: number;
  /**
   * What arrived: `{ userId, receivedAtUs, impression }` for one impression, `{ base64 }` for an unreadable message. A part
   * of it where `isCutOff`.
   */
  readonly payload: DeadLetterPayload;
}

export type DeadLetterPayload =
  | { readonly userId: unknown; readonly receivedAtUs: number; readonly impression: unknown }
  | { readonly base64: string };

/** Ends the detail of a letter whose payload was too large to be kept whole. */
export const CUT_OFF_NOTE = "(too large: the end of the payload is cut off)";

/** Ends the detail of a letter of an impression of which too long values were cut. */
export const VALUES_CUT_NOTE = "(values longer than any valid one are cut)";

/** Whether a part of what arrived is lost: it must not be put back as if that were all. */
export function isCutOff({ detail }: Pick<DeadLetter, "detail">): boolean {
  return detail.endsWith(CUT_OFF_NOTE) || detail.endsWith(VALUES_CUT_NOTE);
}

/**
 * A dead letter's id: a hash of where the impression stood, so that handling a message twice makes one dead letter.
 *
 * @param index the impression's place in the whole message, from 0; -1 for the whole message.
 */
export function deadLetterId(stream: string, sequence: number, index: number): string {
  return createHash("sha256").update(`${stream}\n${sequence}\n${index}`).digest("hex").slice(0, 32);
}
