import { attempt } from "./bounded.ts";
import type { ServerClock } from "./clock.ts";
import type { ImpressionsError, Tuning } from "./options.ts";
import type { Outbox } from "./outbox.ts";
import type { WaitingView } from "./outbox-chunk.ts";
import type { MaybePromise, Platform } from "./platform.ts";
import type { SendOutcome } from "./protocol.ts";
import { nextBatch, type Transport } from "./transport.ts";

/**
 * Decides when to send, and sends: one request at a time, so that a slow network is not filled with copies.
 *
 * It knows three reasons to send (the list is long, the oldest view has waited long enough, a flush was asked for) and
 * three to wait (no network, the server asked for time, the last attempt failed). `step` weighs them, sends or sets the
 * one timer; while nothing waits there is no timer.
 */
export interface Sender {
  /** Nothing is sent before. */
  start(): void;
  /** Looks again: something has changed. */
  step(): void;
  /** The app leaves the screen: sends all that waits, in spite of an earlier failure; not in spite of the server's wish. */
  sendAll(): void;
  /** The same, even where the system says that there is no network. Resolves when all is settled or it cannot go on. */
  flush(): Promise<void>;
  /** The app ends now: hands over what is not on its way. It keeps waiting as if nothing had been done. */
  sendLast(): void;
  /** The app or the network is back. */
  awake(): void;
  isInFlight(view: WaitingView): boolean;
  /** Nothing is sent until `resume`. What is on its way is given up. */
  pause(): void;
  resume(): void;
  /** Aborts the request on its way: its answer is not wanted any more. */
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
  /** Asked before each request; may take views out of the outbox. */
  readonly beforeSending: () => MaybePromise<void>;
  readonly onAcknowledged: (count: number) => void;
  readonly onRefused: (views: readonly WaitingView[]) => void;
}

/**
 * Views in a request while nothing is known of the difference between the clocks: its answer tells that, so that all
 * others have their true times. Nothing but an answer tells it, and the server moves no times of a clock that is behind. An
 * app that leaves the screen may not live to hear it, and sends all.
 */
const UNKNOWN_CLOCK_BATCH_MAX = 1;
/** A whole cell that gets its network back should not answer in one instant. */
const AWAKE_SPREAD_MS = 1_000;

type Failure = Extract<SendOutcome, { kind: "later" | "blocked" }>;

/** The request on its way. */
interface InFlightRequest {
  views: ReadonlySet<WaitingView>;
  abort(): void;
}

export function createSender(deps: SenderDependencies): Sender {
  const { platform, tuning, clock, outbox, transport, report } = deps;
  let phase: "starting" | "running" | "stopped" = "starting";
  let paused = false;
  let inFlight: InFlightRequest | undefined;
  let cancelTimer: (() => void) | undefined;
  let flushed: (() => void)[] = [];
  /** All that waits is to be sent, whether or not it is long or old enough. */
  let draining = false;
  let tryOffline = false;
  /** The app may be killed any moment. */
  let leaving = false;
  /** Views of the list that was long or old enough, which are still to be sent: what comes meanwhile begins a new list. */
  let listLeft = 0;
  /** When the oldest view began to wait; these are on the monotonic clock. */
  let waitingSinceMs: number | undefined;
  let serverNotBeforeMs = 0;
  let backoffUntilMs = 0;
  let failures = 0;
  /** The last attempt failed. */
  let lastFailed = false;
  let batchMax = tuning.batchMax;
  /** Halved by BATCH_TOO_LARGE, and never raised again. */
  let batchMaxEver = tuning.batchMax;

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
    const atMs = Math.max(wantedMs, serverNotBeforeMs, backoffUntilMs);
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
    // Given up for its time, or by `stop`: whatever comes of it now is no longer looked at.
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

  /** Undefined: it is over, or there is nothing left to send. */
  async function sendNext(
    sending: InFlightRequest,
    signal: AbortSignal,
    isCancelled: () => boolean,
  ): Promise<SendOutcome | undefined> {
    const looked = deps.beforeSending();
    if (looked !== undefined) await looked;
    if (isCancelled()) return;
    if (outbox.waiting.length === 0) {
      cancelRequest();
      step();
      return;
    }
    // First the storage: what goes on the wire must have the same times after a kill. A storage that answers at once lets
    // the request leave in this same instant, which may be a page's last.
    const viewsMax = clock.isKnown() || leaving ? batchMax : UNKNOWN_CLOCK_BATCH_MAX;
    const chosen = choose(outbox.waiting, viewsMax);
    sending.views = new Set(chosen);
    const saving = outbox.save();
    if (saving !== undefined) await saving;
    if (isCancelled()) return;
    // Times that could not be saved are what they were.
    const views = nextBatch(chosen, chosen.length, platform.bodyBytesMax);
    sending.views = new Set(views);
    return transport.send(views, signal, isCancelled);
  }

  function cancelRequest(): void {
    inFlight?.abort();
    inFlight = undefined;
  }

  /** The oldest that may go together, in the times that they will have for ever. */
  function choose(from: readonly WaitingView[], viewsMax: number): readonly WaitingView[] {
    outbox.correct();
    const views = nextBatch(from, viewsMax, platform.bodyBytesMax);
    outbox.freeze(views);
    return views;
  }

  function complete(views: readonly WaitingView[], outcome: SendOutcome): void {
    inFlight = undefined;
    const nowMs = platform.monotonicMs();
    switch (outcome.kind) {
      case "accepted":
        failures = 0;
        lastFailed = false;
        backoffUntilMs = 0;
        serverNotBeforeMs = nowMs + outcome.flushAfterMs;
        batchMax = Math.min(batchMaxEver, batchMax * 2);
        outbox.remove(new Set(views));
        listLeft = Math.max(0, listLeft - views.length);
        outbox.correct();
        waitingSinceMs = undefined;
        deps.onAcknowledged(views.length);
        break;
      case "split":
        batchMax = batchMaxEver = Math.ceil(views.length / 2);
        break;
      case "refused":
        refuse(views.slice(outcome.place, outcome.place + 1), outcome, nowMs);
        break;
      default:
        postpone(views, outcome, nowMs);
    }
    step();
  }

  function refuse(
    views: readonly WaitingView[],
    { code, message }: Extract<SendOutcome, { kind: "refused" }>,
    nowMs: number,
  ): void {
    report({ code, message });
    deps.onRefused(views);
    // The rest goes on at once; a server that refuses one after the other is not asked without a pause.
    if (failures++ > 0) backoffUntilMs = nowMs + backoffMs();
  }

  /** Full jitter: from 0 to a bound that doubles with each failure. */
  function backoffMs(): number {
    return platform.random() * Math.min(tuning.backoffMsMax, tuning.backoffMs * 2 ** Math.min(failures, 30));
  }

  function postpone(views: readonly WaitingView[], outcome: Failure, nowMs: number): void {
    const { code, message, kind } = outcome;
    backoffUntilMs = nowMs + (kind === "blocked" ? tuning.blockedRetryMs : backoffMs());
    failures++;
    lastFailed = true;
    if (kind === "later") serverNotBeforeMs = nowMs + outcome.waitMs;
    // A network that brings no answer to much may bring one to less; and where one view is what the server, or something
    // before it, does not take, smaller lists find it. It is kept, behind those that it would keep back.
    if ((code === "TIMEOUT" || code === "BAD_USER_INPUT") && views.length > 1)
      batchMax = Math.floor(views.length / 2);
    if (kind === "blocked" && views.length === 1) outbox.defer(views);
    report({ code, message, retryAfterMs: Math.ceil(Math.max(backoffUntilMs, serverNotBeforeMs) - nowMs) });
    endPass();
  }

  function drain(): void {
    draining = true;
    backoffUntilMs = 0;
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
      // The server has refused to take more before a certain time: not worth waiting for.
      if (lastFailed && serverNotBeforeMs > platform.monotonicMs()) endPass();
      else drain();
      return done;
    },
    sendLast() {
      if (paused || phase === "stopped" || serverNotBeforeMs > platform.monotonicMs()) return;
      const left = outbox.waiting.filter((view) => !inFlight?.views.has(view));
      if (left.length === 0) return;
      const views = choose(left, batchMax);
      // Provisional times must not be corrected by a next run once they were sent; corrected ones stay anyhow.
      if (outbox.save() !== undefined && views[0]?.chunk.frame !== null) return;
      transport.sendBlind(views);
    },
    awake() {
      if (outbox.waiting.length === 0) return;
      failures = 0;
      backoffUntilMs = platform.monotonicMs() + platform.random() * AWAKE_SPREAD_MS;
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
