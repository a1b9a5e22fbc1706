import { type Impression, idProblem } from "./impression.ts";

/** The user whose views are recorded. */
export type Account =
  | {
      /** The user's id. Unsent views of another user of the same device stay separate, and are never sent for this one. */
      readonly userId: string;
      /** Returns the user's token, where the server asks for one (AUTH=jwt). Its subject must be `userId`. */
      readonly getToken?: GetToken;
    }
  | {
      /** Without it the token identifies the user. Where several accounts sign in on one device, give both. */
      readonly userId?: undefined;
      /** Returns the user's token. */
      readonly getToken: GetToken;
    };

/**
 * Returns a token with the scope `impressions:write`: the token itself, without `Bearer` in front. The SDK calls it before
 * every request, so keep the token at hand. `refused` is true when the server has just refused the last token: return a
 * fresh one then. A rejection is a temporary error: the views wait.
 */
export type GetToken = (refused: boolean) => string | Promise<string>;

/** A problem that the SDK met. The views are safe unless `onDropped` reports them. */
export interface ImpressionsError {
  /**
   * The server's code (BAD_USER_INPUT, OVERLOADED, UNAUTHENTICATED, ...), HTTP_<status> where another server answered, or
   * one of the SDK's: NETWORK, TIMEOUT, TOKEN, STORAGE, INVALID_IMPRESSION, CLOSED, PLATFORM (the platform's events are not
   * available), INTERNAL (an unexpected error).
   */
  readonly code: string;
  readonly message: string;
  /** Milliseconds until the next attempt, where there will be one. */
  readonly retryAfterMs?: number;
}

export interface Dropped {
  /** Oldest first. */
  readonly impressions: readonly Impression[];
  /** BOUND: more views waited than `waitingMax`. REFUSED: the server will never take them; `onError` got the reason. */
  readonly reason: "BOUND" | "REFUSED";
  /** Number of views dropped since this instance was created, including these. */
  readonly total: number;
}

/** All numeric options, each with the reason for its default. */
export interface Tuning {
  /** The SDK sends when more views than this wait. 10: about a minute of scrolling; a request costs a phone's radio the same for 1 or for 10. */
  readonly sendAbove: number;
  /** The SDK sends when the oldest view has waited this long. 30 s: the recommender knows the last page when the app asks for the next one, and a radio that sleeps after 5-10 s stays asleep most of the time. */
  readonly sendAfterMs: number;
  /** Most views in a request. 500: the server's limit. */
  readonly batchMax: number;
  /** Most views that wait; above it the oldest are dropped. 5,000: a day of heavy scrolling without a network, under 1 MB of the 5 MB that a browser allows. */
  readonly waitingMax: number;
  /** How long a request may take. 15 s: the server answers within 5 s; the rest is for the worst mobile networks. */
  readonly requestTimeoutMs: number;
  /** Longest first wait after a failure (full jitter: from 0 to this). 2 s: a lift, a tunnel, a restart of one server. */
  readonly backoffMs: number;
  /** Upper limit of the wait, which doubles with each failure. 5 min: during an outage a phone makes about a dozen small requests an hour. */
  readonly backoffMsMax: number;
  /** Wait after an answer that a retry does not change (not allowed, wrong address). 10 min: the cause has to be fixed first. */
  readonly blockedRetryMs: number;
  /** How long the storage or a lock may take to answer. 5 s: a phone's storage is slow when the app starts. After the timeout views are sent from memory. */
  readonly storageTimeoutMs: number;
  /** How long `close` waits for the server, and then again for the storage. 5 s: as long as the server may take to answer. */
  readonly closeTimeoutMs: number;
}

export const DEFAULT_TUNING: Tuning = {
  sendAbove: 10,
  sendAfterMs: 30_000,
  batchMax: 500,
  waitingMax: 5_000,
  requestTimeoutMs: 15_000,
  backoffMs: 2_000,
  backoffMsMax: 300_000,
  blockedRetryMs: 600_000,
  storageTimeoutMs: 5_000,
  closeTimeoutMs: 5_000,
};

export interface Callbacks {
  /** Called for every problem; the SDK recovers by itself. Errors that the callback throws are ignored. */
  readonly onError?: (error: ImpressionsError) => void;
  /** Called with views that will never be sent. */
  readonly onDropped?: (dropped: Dropped) => void;
}

export interface Consent {
  /** Starts paused, until `resume()` is called: for an app that asks its user first. */
  readonly paused?: boolean;
}

export type CoreOptions = Account & Partial<Tuning> & Callbacks & Consent;

/** The numeric options with their defaults. @throws RangeError, TypeError: a wrong option, a programming error in the app. */
export function readTuning(options: CoreOptions): Tuning {
  const { userId, getToken } = options;
  if (userId === undefined && getToken === undefined) throw new TypeError("give userId, getToken, or both");
  const problem = userId === undefined ? null : idProblem(userId);
  if (problem !== null) throw new TypeError(`userId ${problem}`);
  const tuning: Record<string, number> = {};
  for (const [name, standard] of Object.entries(DEFAULT_TUNING)) {
    const value = options[name as keyof Tuning] ?? standard;
    if (!(value >= (name === "sendAbove" ? 0 : 1) && value < 2 ** 31))
      throw new RangeError(`${name} must be a number from 1 to ${2 ** 31 - 1}, not ${value}`);
    tuning[name] = value;
  }
  if (Number(tuning.batchMax) > 500)
    throw new RangeError("batchMax must be at most 500: the server takes no more");
  return tuning as unknown as Tuning;
}
