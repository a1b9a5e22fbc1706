import { ERROR_CATALOGUE } from "../errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { ObservedRequest } from "./request-observer.ts";

/** Between two lines: an outage fails thousands of requests a second, and one line says as much. */
const SUMMARY_INTERVAL_MS = 10_000;

/**
 * Says in the log that requests are answered 503 or run out of time: the first one at once, with its id, and then how
 * many more there are, every 10 s for as long as there are any.
 */
export function createFailedRequestLog(logger: Logger): (request: ObservedRequest) => void {
  let counted: Counted | null = null;

  function summarize(): void {
    const { requests, outOfTime, byCode, byOperation } = counted ?? nothing();
    if (requests === 0) {
      counted = null;
      return;
    }
    logger.warn(
      { requests, outOfTime, byCode, byOperation, forMs: SUMMARY_INTERVAL_MS },
      "more requests could not be served",
    );
    counted = nothing();
    setTimeout(summarize, SUMMARY_INTERVAL_MS).unref();
  }

  return ({ requestId, operation, code, durationMs, ranOutOfTime }) => {
    const isFailed = code !== "OK" && code !== "CLIENT_GONE" && ERROR_CATALOGUE[code].status === 503;
    if (!isFailed && !ranOutOfTime) return;
    if (counted !== null) {
      counted.requests++;
      if (ranOutOfTime) counted.outOfTime++;
      counted.byCode[code] = (counted.byCode[code] ?? 0) + 1;
      counted.byOperation[operation] = (counted.byOperation[operation] ?? 0) + 1;
      return;
    }
    logger.warn(
      { requestId, operation, code, durationMs: Math.round(durationMs) },
      ranOutOfTime
        ? "a request ran out of time: the store did not answer within it"
        : "a request could not be served",
    );
    counted = nothing();
    setTimeout(summarize, SUMMARY_INTERVAL_MS).unref();
  };
}

interface Counted {
  requests: number;
  outOfTime: number;
  readonly byCode: Record<string, number>;
  readonly byOperation: Record<string, number>;
}

function nothing(): Counted {
  return { requests: 0, outOfTime: 0, byCode: {}, byOperation: {} };
}
