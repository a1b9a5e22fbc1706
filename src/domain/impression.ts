/**
 * The words of the domain. An **impression** is what a client reports; a **view** is an impression that passed
 * validation and can be stored. Both are the fact that a user viewed a post at an instant.
 */

/** What a client says about one post on the screen. `null` means that the client did not say. */
export interface Impression {
  readonly postId: string;
  /** Epoch milliseconds, after the clock shift (`clockShiftMs`). */
  readonly viewedAtMs: number;
  /** Where in the app it was shown: HOME, SEARCH, ... */
  readonly surface: string | null;
  /** Place in the list that was shown, from 0. */
  readonly position: number | null;
  /** How long it stayed on the screen. */
  readonly dwellMs: number | null;
}

/** One list of impressions as one sender submitted it, stamped by the API. Never split between messages. */
export interface Submission {
  readonly userId: string;
  /**
   * Epoch **microseconds**, of the list's first impression: a later version of a view that the list holds already has
   * been received a microsecond later (`impressionsOf`). Lists of a process leave each other room for that.
   */
  readonly receivedAtUs: number;
  readonly impressions: readonly Impression[];
}

/**
 * A valid impression with its owner. Its identity is (userId, postId, viewedAtMs): of two views with one identity
 * the one that `laterReceived` names replaces the other as a whole.
 */
export interface View extends Impression {
  readonly userId: string;
  /** Epoch microseconds; the write timestamp of every row made from the view. */
  readonly receivedAtUs: number;
}

/** A text key of a view's identity, for maps. Ids hold no control characters, so NUL cannot occur in them. */
export function identityOf(view: View): string {
  return `${view.userId}\u0000${view.postId}\u0000${view.viewedAtMs}`;
}
