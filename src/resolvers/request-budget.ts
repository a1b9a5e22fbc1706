import { setMaxListeners } from "node:events";
import type { Clock } from "../domain/time.ts";

/** The request's time is over before the store has answered. */
export class RequestTimeoutError extends Error {
  override readonly name = "RequestTimeoutError";
  readonly timeoutMs: number;

  constructor(timeoutMs: number) {
    super(`the store did not answer within the request's ${timeoutMs} ms`);
    this.timeoutMs = timeoutMs;
  }
}

/** The answer is not waited for any more: it was sent, or the client went away. */
export class RequestOverError extends Error {
  override readonly name = "RequestOverError";
}

/** One for all: every request ends, and an error made for each would capture a stack each time (0.1 ms a request). */
const REQUEST_OVER = new RequestOverError("the request is over");

/** How long a request may read. Made when the request arrives; costs next to nothing where nothing is read. */
export interface RequestBudget {
  /** Aborted, with the reason, when the time is over or the request is. Reads for the request then stop. */
  signal(): AbortSignal;
  /** Whether its time was over before the request was. */
  ranOut(): boolean;
  /** The request is over: answered, or given up by its client. Repeated calls do nothing. */
  end(): void;
}

export function startRequestBudget(timeoutMs: number, { monotonicMs }: Clock): RequestBudget {
  const startedMs = monotonicMs();
  let controller: AbortController | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;
  let ranOut = false;

  function open(): AbortController {
    const opened = new AbortController();
    // Every read that waits listens; how many may wait is bounded elsewhere.
    setMaxListeners(0, opened.signal);
    if (isOver) opened.abort(REQUEST_OVER);
    else {
      const leftMs = Math.max(0, timeoutMs - (monotonicMs() - startedMs));
      timer = setTimeout(() => {
        ranOut = true;
        opened.abort(new RequestTimeoutError(timeoutMs));
      }, leftMs);
    }
    return opened;
  }

  return {
    signal() {
      // Not before it is asked for: recordImpressions, the hot path, reads nothing.
      controller ??= open();
      return controller.signal;
    },
    ranOut: () => ranOut,
    end() {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      controller?.abort(REQUEST_OVER);
    },
  };
}
