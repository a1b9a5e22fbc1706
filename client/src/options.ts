import { type Impression, idProblem } from "./impression.ts";

/** Whose views these are. */
export type Account =
  | {
      /** The user. What another user of the same device left unsent is kept apart, and is never sent as this one's. */
      readonly userId: string;
      /** See the other form. With both, the token must be this user's. */
      readonly getToken?: GetToken;
    }
  | {
      /** Without it the token says who it is. Where several accounts sign in on one device, give both. */
      readonly userId?: undefined;
      /**
       * Asked before every request, so keep the token at hand. `refused` is true when the server has just refused the
       * last one: get a fresh one then. A rejection is an error that passes: the views wait.
       */
      readonly getToken: GetToken;
    };

export type GetToken = (refused: boolean) => string | Promise<string>;

/** What went wrong. Nothing needs to be done for the views themselves unless `dropped` says so. */
export interface ImpressionsError {
  /**
   * The server's code (BAD_USER_INPUT, OVERLOADED, UNAUTHENTICATED, ...), HTTP_<status> where something else answered, or
   * one of the SDK's: NETWORK, TIMEOUT, TOKEN, STORAGE, INVALID_IMPRESSION, CLOSED, PLATFORM (events that cannot be
   * listened to), INTERNAL (a fault that the SDK did not expect).
   */
  readonly code: string;
  readonly message: string;
  /** When the next attempt is made, in milliseconds from now, where there will be one. */
  readonly retryAfterMs?: number;
}

export interface Dropped {
  /** Oldest first. */
  readonly impressions: readonly Impression[];
  /** BOUND: more waited than `waitingMax`. REFUSED: the server will never take them; `onError` said why. */
  readonly reason: "BOUND" | "REFUSED";
  /** Dropped since this instance was made, these included. */
  readonly total: number;
}

/** The numbers, each with the reason for its default. */
export interface Tuning {
  /** A list longer than this is sent. 10: about a minute of scrolling; a request costs a phone's radio the same for 1 or for 10. */
  readonly sendAbove: number;
  /** The oldest view waits no longer than this. 30 s: a recommender that is asked for the next page knows the last one, and a radio that sleeps after 5-10 s stays asleep most of the time. */
  readonly sendAfterMs: number;
  /** Views in a request at most. 500: the server's limit. */
  readonly batchMax: number;
  /** Views that wait at most; over it the oldest are dropped. 5,000: a day of heavy scrolling without a network, under 1 MB of the 5 MB that a browser gives. */
  readonly waitingMax: number;
  /** How long a request may take. 15 s: the server itself answers within 5 s; the rest is for the worst mobile networks. */
  readonly requestTimeoutMs: number;
  /** First wait after a failure, at most (full jitter: from 0 to this). 2 s: a lift, a tunnel, a restart of one server. */
  readonly backoffMs: number;
  /** Longest wait between two attempts; it doubles up to here. 5 min: an outage of hours costs a phone a dozen small requests an hour. */
  readonly backoffMsMax: number;
  /** Wait after an answer that no repetition mends (not allowed, wrong address). 10 min: the cause has to be fixed first. */
  readonly blockedRetryMs: number;
  /** How long a storage, or a lock, may take to answer. 5 s: a phone's is slow when the app starts; one that takes longer does not keep views from being sent. */
  readonly storageTimeoutMs: number;
  /** `close` waits no longer than this for the server. 5 s: as long as the server itself may take. */
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
  /** Told of every failure; the SDK goes on by itself. What it throws is swallowed. */
  readonly onError?: (error: ImpressionsError) => void;
  /** Told of views that will never be sent. */
  readonly onDropped?: (dropped: Dropped) => void;
}

export interface Consent {
  /** Begins as after `pause()`, until `resume()` is called: for an app that asks its user first. */
  readonly paused?: boolean;
}

export type CoreOptions = Account & Partial<Tuning> & Callbacks & Consent;

/** The numbers with their defaults. @throws RangeError, TypeError: a mistake of the app's author, found at the first start. */
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
