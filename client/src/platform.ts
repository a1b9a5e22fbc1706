/**
 * What the SDK needs from its environment. `browser.ts`, `react-native.ts` and `node.ts` each build a `Platform`; the tests
 * build one in virtual time.
 */

/** A value or a promise of it: with a synchronous storage the SDK can save while a page is being closed. */
export type MaybePromise<Value> = Value | Promise<Value>;

/**
 * Stores the views that no server has acknowledged. A value has at most a few kilobytes. `set` replaces a value as a whole
 * or not at all. If the storage throws or rejects, the views stay in memory and `onError` reports it.
 */
export interface ImpressionStorage {
  /** All keys, also those of other software: the SDK's begin with `impressions`. */
  keys(): MaybePromise<readonly string[]>;
  get(key: string): MaybePromise<string | null>;
  set(key: string, value: string): MaybePromise<void>;
  remove(key: string): MaybePromise<void>;
}

/**
 * Tells which instances are alive. Every instance stores views under its own name, so that two tabs never touch each
 * other's views. The next instance takes over the views of a killed one.
 */
export interface OwnerLocks {
  /** A function that releases the name, or null while another living instance holds it. */
  acquire(owner: string): MaybePromise<(() => void) | null>;
}

/** Events in the life of the app. */
export interface LifecycleListener {
  /** The app left the screen and may be killed at any moment: the SDK sends all waiting views. */
  background(): void;
  /** The app is about to end: the SDK saves, and sends without waiting for an answer. */
  exit(): void;
  /** The app is back on the screen, or the network is back. */
  awake(): void;
}

export interface HttpRequest {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  /** The header's text, or null. */
  readonly retryAfter: string | null;
  readonly text: string;
  /** The final address, where the request was redirected. */
  readonly redirectedTo?: string;
}

export interface Platform {
  /** The device's clock, in epoch milliseconds. It may jump. */
  wallMs(): number;
  /** Milliseconds since any fixed instant. Never runs backwards; may stand still while the device sleeps. */
  monotonicMs(): number;
  /** Runs `task` once, after `delayMs`; the returned function cancels it. */
  timer(delayMs: number, task: () => void): () => void;
  /** Uniform in [0, 1). */
  random(): number;
  /** Rejects where no HTTP answer comes. */
  post(request: HttpRequest): Promise<HttpAnswer>;
  /** Queues a body that the system sends even if the app ends now; true if the system took it. There is never an answer. */
  beacon?(body: string): boolean;
  /** False only where the system is certain that there is no network. */
  online(): boolean;
  /** Registers the listener; the returned function removes it. */
  listen(listener: LifecycleListener): () => void;
  readonly storage: ImpressionStorage;
  readonly locks: OwnerLocks;
  /** Bytes of a request body at most. */
  readonly bodyBytesMax: number;
}
