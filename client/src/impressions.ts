import { attempt, bounded } from "./bounded.ts";
import { createClearMark } from "./clear-mark.ts";
import { createServerClock } from "./clock.ts";
import { type ViewDetails, viewProblem } from "./impression.ts";
import { type CoreOptions, type Dropped, type ImpressionsError, readTuning } from "./options.ts";
import { createOutbox } from "./outbox.ts";
import { type WaitingView, withoutEmpty } from "./outbox-chunk.ts";
import type { MaybePromise, Platform } from "./platform.ts";
import { createSender } from "./sender.ts";
import { createTransport } from "./transport.ts";

/** Records which posts a user has seen, and sends that to the server. */
export interface Impressions {
  /**
   * Records that the user has seen this post. Never throws and never waits: errors go to `onError`.
   * Another call with the same post records another view; the same post at the same instant is one view.
   */
  viewed(postId: string, details?: ViewDetails): void;
  /** Sends all waiting views. Resolves, and never rejects, when all are acknowledged or sending cannot continue for now. */
  flush(): Promise<Status>;
  /**
   * Sends all waiting views within `closeTimeoutMs`, saves the rest and ends. Call it when the user signs out, after
   * `disconnect()` of `observeViews` or `stop()` of `listViews`: these report the posts that are on the screen.
   */
  close(): Promise<Status>;
  /**
   * Stops recording and sending, for a user who has not agreed. Waiting views stay in memory and in the storage. A request
   * in flight is cancelled, and may have arrived. The pause lasts as long as this instance: see `paused`.
   */
  pause(): void;
  /** Ends the pause. Views that began before are not recorded. */
  resume(): void;
  /**
   * Deletes all waiting views of this account in memory and in the storage. Other tabs delete theirs before they send again.
   * Views that were sent are deleted on the server (`eraseUser`). Resolves, and never rejects, when the storage has succeeded
   * or failed (`onError`, STORAGE). Recording continues: call `pause` first to end it.
   */
  clear(): Promise<Status>;
  status(): Status;
}

export interface Status {
  /** Views that no server has acknowledged yet. */
  readonly waiting: number;
  /** Since this instance was created. */
  readonly acknowledged: number;
  readonly dropped: number;
}

/** Key of the stored clock offset, which all instances on the device share. */
const CLOCK_KEY = "impressions-clock";

/** Characters of a post id in a message: enough to find it, also where a whole text was given for an id. */
const POST_ID_SHOWN_MAX = 40;

/** The SDK on a custom platform. The entry points `browser`, `react-native` and `node` bring their own. */
export function createImpressionsOn(platform: Platform, options: CoreOptions): Impressions {
  const tuning = readTuning(options);
  const clock = createServerClock(platform);
  let closing: Promise<Status> | undefined;
  let paused = options.paused === true;
  /** When the last pause ended, on the monotonic clock. */
  let resumedMs: number | undefined;
  let acknowledged = 0;
  let dropped = 0;

  const report = (error: ImpressionsError) => attempt(() => options.onError?.(error));
  const bound = <Value>(value: MaybePromise<Value>) => bounded(platform, tuning.storageTimeoutMs, value);
  const onStorageFailure = (error: unknown) =>
    report({ code: "STORAGE", message: `not saved, kept in memory only: ${String(error)}` });

  const uniqueName = () =>
    `${platform.wallMs().toString(36)}-${Math.floor(platform.random() * 2 ** 52).toString(36)}`;

  const outbox = createOutbox({
    storage: platform.storage,
    locks: platform.locks,
    clock,
    bound,
    account: options.userId ?? "",
    newOwner: uniqueName,
    onFailure: onStorageFailure,
  });
  const mark = createClearMark({
    storage: platform.storage,
    bound,
    account: options.userId ?? "",
    onFailure: onStorageFailure,
  });
  const transport = createTransport({
    platform,
    clock,
    userId: options.userId,
    getToken: options.getToken,
    onClock: () => attempt(() => bound(platform.storage.set(CLOCK_KEY, clock.save())), onStorageFailure),
  });
  const sender = createSender({
    platform,
    tuning,
    clock,
    outbox,
    transport,
    report,
    beforeSending: () => mark.look(outbox.forget),
    onAcknowledged(count) {
      acknowledged += count;
    },
    onRefused: (views) => drop(views, "REFUSED"),
  });

  function drop(views: readonly WaitingView[], reason: Dropped["reason"]): void {
    outbox.remove(new Set(views));
    dropped += views.length;
    const lost = { impressions: views.map(withoutEmpty), reason, total: dropped };
    attempt(() => options.onDropped?.(lost));
  }

  function keepBound(): void {
    const over = outbox.waiting.length - tuning.waitingMax;
    // A view in flight may have arrived; dropping it would save nothing.
    if (over > 0) drop(outbox.waiting.filter((view) => !sender.isInFlight(view)).slice(0, over), "BOUND");
  }

  const status = (): Status => ({ waiting: outbox.waiting.length, acknowledged, dropped });

  let stopListening: () => void = () => undefined;
  const onPlatformFault = (error: unknown) => report({ code: "PLATFORM", message: String(error) });
  attempt(() => {
    stopListening = platform.listen({
      background: () => sender.sendAll(),
      exit() {
        attempt(outbox.save);
        sender.sendLast();
        outbox.suspend();
      },
      awake() {
        attempt(outbox.resume, onStorageFailure);
        sender.awake();
      },
    });
  }, onPlatformFault);
  async function readClock(): Promise<void> {
    const known = await bound(platform.storage.get(CLOCK_KEY));
    if (known != null) clock.assume(known);
  }
  async function adopt(): Promise<void> {
    await outbox.adopt();
    keepBound();
  }
  const told = (work: () => Promise<void>) => work().catch(onStorageFailure);
  if (paused) sender.pause();
  // The clock is read first, since adopted views may be sent at once. The start takes no longer than a request may take.
  const started = within(
    platform,
    tuning.requestTimeoutMs,
    Promise.all([mark.begin(), told(readClock)]).then(() => told(adopt)),
  );
  void started.then(() => sender.start());

  function record(postId: string, details: ViewDetails): void {
    const { surface, position, dwellMs, at = platform.wallMs() } = details;
    const atMs = Math.round(Number(at));
    const problem = viewProblem(postId, details, atMs);
    if (problem !== null) {
      report({ code: "INVALID_IMPRESSION", message: `${callOf(postId)}: ${problem}` });
      return;
    }
    // The view began before `resume`. Its age decides, since the wall clock may have been set.
    const ageMs = platform.wallMs() - atMs;
    if (resumedMs !== undefined && ageMs > platform.monotonicMs() - resumedMs + 1) return;
    const stamp = clock.stamp(atMs);
    outbox.add(
      withoutEmpty({
        postId,
        viewedAtMs: stamp.viewedAtMs,
        surface,
        position,
        dwellMs: dwellMs === undefined ? dwellMs : Math.round(dwellMs),
      }),
      stamp,
    );
    keepBound();
    sender.step();
  }

  return {
    viewed(postId, details) {
      if (closing !== undefined)
        return report({ code: "CLOSED", message: `${callOf(postId)} was called after close` });
      if (paused) return;
      // Arguments may be anything, also objects that throw when they are read.
      attempt(
        () => record(postId, details ?? {}),
        (error) => report({ code: "INVALID_IMPRESSION", message: String(error) }),
      );
    },
    async flush() {
      await sender.flush();
      return status();
    },
    close() {
      closing ??= (async () => {
        attempt(stopListening, onPlatformFault);
        await within(platform, tuning.closeTimeoutMs, sender.flush());
        sender.stop();
        await within(platform, tuning.closeTimeoutMs, outbox.release());
        return status();
      })();
      return closing;
    },
    pause() {
      paused = true;
      sender.pause();
    },
    resume() {
      if (paused) resumedMs = platform.monotonicMs();
      paused = false;
      sender.resume();
    },
    async clear() {
      const forget = told(outbox.clear);
      sender.cancelRequest();
      await told(async () => mark.set(uniqueName()));
      // The adoption of an earlier run's views may still be running.
      await Promise.all([forget, started]);
      return status();
    },
    status,
  };
}

/** The call as a developer finds it in the code, also where the id is none. */
function callOf(postId: unknown): string {
  return `viewed(${typeof postId === "string" ? JSON.stringify(postId.slice(0, POST_ID_SHOWN_MAX)) : typeof postId})`;
}

/** Resolves when the promise does, but not later than this. */
function within(platform: Platform, milliseconds: number, promise: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const cancel = platform.timer(milliseconds, resolve);
    void promise.finally(() => {
      cancel();
      resolve();
    });
  });
}
