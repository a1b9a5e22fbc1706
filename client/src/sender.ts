import { attempt } from "./bounded.ts";
import type { ServerClock } from "./clock.ts";
import type { ImpressionsError, Tuning } from "./options.ts";
import type { Outbox } from "./outbox.ts";
import type { WaitingView } from "./outbox-chunk.ts";
import type { MaybePromise, Platform } from "./platform.ts";
import type { SendOutcome } from "./protocol.ts";
import { createSendPace, type SendFailure } from "./send-pace.ts";
import { nextBatch, type Transport } from "./transport.ts";

/**
 * Decides when to send, and sends: one request at a time, so that a slow network is not filled with copies.
 *
 * It knows three reasons to send (the list is long, the oldest view has waited long enough, a flush was asked for) and
 * three to wait (no network, the server asked for time, the last attempt failed). `step` weighs them, sends or sets the
 * one timer; while nothing waits there is no timer.
 */
export interface Sender {
  /** The sender sends nothing before this call. */
  start(): void;
  /** Decides again what to do: call it after a change of the outbox. */
  step(): void;
  /** The app leaves the screen: sends all waiting views, without the backoff, but not before the time that the server named. */
  sendAll(): void;
  /** Like `sendAll`, and also tries while the system reports no network. Resolves when no view waits any more, or sending cannot continue. */
  flush(): Promise<void>;
  /** The app ends now: sends the views that are not in flight without waiting for an answer. They stay in the outbox. */
  sendLast(): void;
  /** The app is in front again, or the network is back. */
  awake(): void;
  isInFlight(view: WaitingView): boolean;
  /** Cancels the request in flight, and sends nothing until `resume`. */
  pause(): void;
  resume(): void;
  /** Aborts the request in flight and ignores its answer. */
  cancelRequest(): void;
  /** No timer and no request from now on. */
  stop(): void;
}

export interface SenderDependencies {
  readonly platform: Platform;
  readonly tuning: Tuning;
  readonly clock: ServerClock;
  readonly outbox: Outbox;
  readonly transport: Transport;
  readonly report: (error: ImpressionsError) => void;
  /** Runs before each request; may remove views from the outbox. */
  readonly beforeSending: () => MaybePromise<void>;
  readonly onAcknowledged: (count: number) => void;
  readonly onRefused: (views: readonly WaitingView[]) => void;
}

/**
 * Views in a request while the difference between the clocks is unknown. The answer to this request reveals it, so that all
 * other views get their true times. Nothing else reveals it, and the server corrects no times of a clock that is behind. An
 * app that leaves the screen may end before the answer comes, so it sends all views.
 */
const UNKNOWN_CLOCK_BATCH_MAX = 1;

interface InFlightRequest {
  views: ReadonlySet<WaitingView>;
  abort(): void;
}

export function createSender(deps: SenderDependencies): Sender {
  const { platform, tuning, clock, outbox, transport, report } = deps;
  const pace = createSendPace(platform, tuning);
  let phase: "starting" | "running" | "stopped" = "starting";
  let paused = false;
  let inFlight: InFlightRequest | undefined;
  let cancelTimer: (() => void) | undefined;
  let flushed: (() => void)[] = [];
  /** Send all waiting views, whether or not their list is long or old enough. */
  let draining = false;
  let tryOffline = false;
  /** The app left the screen, and may be killed at any moment. */
  let leaving = false;
  /** Unsent views of the list that was long or old enough. Views that come meanwhile begin a new list. */
  let listLeft = 0;
  let lastFailed = false;
  /** When the oldest view began to wait, on the monotonic clock. */
  let waitingSinceMs: number | undefined;

  function step(): void {
    cancelTimer?.();
    cancelTimer = undefined;
    if (paused || phase === "stopped") endPass();
    if (paused || phase !== "running" || inFlight !== undefined) return;
    const { length } = outbox.waiting;
    if (length === 0) {
      waitingSinceMs = undefined;
      endPass();
      return;
    }
    const nowMs = platform.monotonicMs();
    waitingSinceMs ??= nowMs;
    if (!tryOffline && !platform.online()) {
      endPass();
      return;
    }
    if (length > tuning.sendAbove || nowMs >= waitingSinceMs + tuning.sendAfterMs)
      listLeft = Math.max(listLeft, length);
    const wantedMs = draining || listLeft > 0 ? nowMs : waitingSinceMs + tuning.sendAfterMs;
    const atMs = Math.max(wantedMs, pace.notBeforeMs());
    if (atMs > nowMs) cancelTimer = platform.timer(Math.ceil(atMs - nowMs), step);
    else send();
  }

  function endPass(): void {
    draining = false;
    tryOffline = false;
    leaving = false;
    listLeft = 0;
    const ended = flushed;
    flushed = [];
    for (const resolve of ended) resolve();
  }

  function send(): void {
    const controller = new AbortController();
    const fail = (code: string, message: string) => {
      controller.abort();
      complete([...sending.views], { kind: "later", code, message, waitMs: 0 });
    };
    const cancelTimeout = platform.timer(tuning.requestTimeoutMs, () => fail("TIMEOUT", "no answer in time"));
    function abort(): void {
      cancelTimeout();
      controller.abort();
    }
    const sending: InFlightRequest = { views: new Set(), abort };
    inFlight = sending;
    // After a timeout, `stop` or a cancellation the result of this request is ignored.
    const isCancelled = () => inFlight !== sending;
    attempt(
      async () => {
        const outcome = await sendNext(sending, controller.signal, isCancelled);
        if (isCancelled()) return;
        cancelTimeout();
        if (outcome !== undefined) complete([...sending.views], outcome);
      },
      (error) => {
        if (isCancelled()) return;
        cancelTimeout();
        fail("INTERNAL", String(error));
      },
    );
  }

  /** Undefined: the request was cancelled, or no view is left to send. */
  async function sendNext(
    sending: InFlightRequest,
    signal: AbortSignal,
    isCancelled: () => boolean,
  ): Promise<SendOutcome | undefined> {
    const ready = deps.beforeSending();
    if (ready !== undefined) await ready;
    if (isCancelled()) return;
    if (outbox.waiting.length === 0) {
      cancelRequest();
      step();
      return;
    }
    // The storage comes first: a view that was sent must have the same time after a kill. With a synchronous storage the
    // request leaves in this same task, which may be the last one of a page.
    const viewsMax = clock.isKnown() || leaving ? pace.batchMax() : UNKNOWN_CLOCK_BATCH_MAX;
    const chosen = choose(outbox.waiting, viewsMax);
    sending.views = new Set(chosen);
    const saving = outbox.save();
    if (saving !== undefined) await saving;
    if (isCancelled()) return;
    // Corrections that could not be saved were undone, which may change the views that go together.
    const views = nextBatch(chosen, chosen.length, platform.bodyBytesMax);
    sending.views = new Set(views);
    return transport.send(views, signal, isCancelled);
  }

  function cancelRequest(): void {
    inFlight?.abort();
    inFlight = undefined;
  }

  /** The oldest views that may go in one request. Their times are final from now on. */
  function choose(from: readonly WaitingView[], viewsMax: number): readonly WaitingView[] {
    outbox.correct();
    const views = nextBatch(from, viewsMax, platform.bodyBytesMax);
    outbox.freeze(views);
    return views;
  }

  function complete(views: readonly WaitingView[], outcome: SendOutcome): void {
    inFlight = undefined;
    switch (outcome.kind) {
      case "accepted":
        lastFailed = false;
        pace.accepted(outcome.flushAfterMs);
        outbox.remove(new Set(views));
        listLeft = Math.max(0, listLeft - views.length);
        outbox.correct();
        waitingSinceMs = undefined;
        deps.onAcknowledged(views.length);
        break;
      case "split":
        pace.tooLarge(views.length);
        break;
      case "refused":
        report({ code: outcome.code, message: outcome.message });
        deps.onRefused(views.slice(outcome.place, outcome.place + 1));
        pace.refused();
        break;
      default:
        postpone(views, outcome);
    }
    step();
  }

  function postpone(views: readonly WaitingView[], outcome: SendFailure): void {
    const { code, message, kind } = outcome;
    lastFailed = true;
    const retryAfterMs = pace.failed(outcome, views.length);
    // This view stays, behind all others, so that it does not block them.
    if (kind === "blocked" && views.length === 1) outbox.defer(views);
    report({ code, message, retryAfterMs });
    endPass();
  }

  function drain(): void {
    draining = true;
    pace.hurry();
    step();
  }

  return {
    start() {
      if (phase === "starting") phase = "running";
      step();
    },
    step,
    sendAll() {
      leaving = true;
      drain();
    },
    flush() {
      const done = new Promise<void>((resolve) => flushed.push(resolve));
      tryOffline = true;
      // The server takes no request before a certain time: `flush` does not wait for it.
      if (lastFailed && pace.isHeld()) endPass();
      else drain();
      return done;
    },
    sendLast() {
      if (paused || phase === "stopped" || pace.isHeld()) return;
      const left = outbox.waiting.filter((view) => !inFlight?.views.has(view));
      if (left.length === 0) return;
      const views = choose(left, pace.batchMax());
      // The next run must not correct provisional times that were sent. Without a saved state nothing would stop it.
      if (outbox.save() !== undefined && views[0]?.chunk.frame !== null) return;
      transport.sendBlind(views);
    },
    awake() {
      if (outbox.waiting.length === 0) return;
      pace.awake();
      step();
    },
    pause() {
      paused = true;
      cancelRequest();
      step();
    },
    resume() {
      paused = false;
      step();
    },
    cancelRequest() {
      cancelRequest();
      step();
    },
    isInFlight: (view) => inFlight?.views.has(view) ?? false,
    stop() {
      phase = "stopped";
      cancelTimer?.();
      cancelRequest();
      endPass();
    },
  };
}
