/**
 * What the SDK needs from the place where it runs. `browser.ts`, `react-native.ts` and `node.ts` each build one; a test
 * builds one in virtual time.
 */

/** Something now, or a promise of it: a storage that answers at once lets the SDK save while a page is being closed. */
export type MaybePromise<Value> = Value | Promise<Value>;

/**
 * Where views wait that no server has acknowledged. A value is at most a few kilobytes; `set` replaces a value as a
 * whole or not at all. A storage that throws or rejects loses nothing: the views stay in memory and `onError` is told.
 */
export interface ImpressionStorage {
  /** All keys, also those of others: ours begin with `impressions`. */
  keys(): MaybePromise<readonly string[]>;
  get(key: string): MaybePromise<string | null>;
  set(key: string, value: string): MaybePromise<void>;
  remove(key: string): MaybePromise<void>;
}

/**
 * Tells which instances are alive. Every instance writes under a name of its own, so that two tabs never touch each
 * other's views; what an instance leaves behind when it is killed is taken over by the next one.
 */
export interface OwnerLocks {
  /** A function that gives the name back, or null while another living instance has it. */
  acquire(owner: string): MaybePromise<(() => void) | null>;
}

/** What happens to the app. */
export interface LifecycleListener {
  /** No longer on the screen: send what waits, the app may be killed any moment. */
  background(): void;
  /** About to end, now: save and send what can be sent without waiting for an answer. */
  exit(): void;
  /** Back on the screen, or back on the network. */
  awake(): void;
}

export interface HttpRequest {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  /** The header as it came, or null. */
  readonly retryAfter: string | null;
  readonly text: string;
  /** The address that answered, where the request was redirected. */
  readonly redirectedTo?: string;
}

export interface Platform {
  /** The device's clock, epoch milliseconds. May jump. */
  wallMs(): number;
  /** Milliseconds from anywhere; never runs backwards, may stand still while the device sleeps. */
  monotonicMs(): number;
  /** Runs `task` once, after `delayMs`; the answer cancels it. */
  timer(delayMs: number, task: () => void): () => void;
  /** Uniform in [0, 1). */
  random(): number;
  /** Rejects where there is no HTTP answer. */
  post(request: HttpRequest): Promise<HttpAnswer>;
  /** Hands a body to the system to be sent even if the app ends now; true if it took it. No answer is ever seen. */
  beacon?(body: string): boolean;
  /** False only where the system is sure that there is no network. */
  online(): boolean;
  /** Begins to report; the answer ends it. */
  listen(listener: LifecycleListener): () => void;
  readonly storage: ImpressionStorage;
  readonly locks: OwnerLocks;
  /** Bytes of a request body at most. */
  readonly bodyBytesMax: number;
}
