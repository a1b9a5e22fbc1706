import { setTimeout as sleepUnaborted } from "node:timers/promises";

/** Resolves after the delay, or when the signal aborts, whichever comes first. Never rejects. */
export async function sleep(delayMs: number, signal: AbortSignal): Promise<void> {
  await sleepUnaborted(delayMs, undefined, { signal }).catch(() => undefined);
}

/**
 * Waits for an answer, but no longer than so many milliseconds. Nothing stops what was asked: a later answer, or a later
 * error, is passed over.
 *
 * @param late gives the answer instead once the time is over; what it throws is thrown.
 */
export async function within<Answer, Late = Answer>(
  timeoutMs: number,
  asked: Promise<Answer>,
  late: () => Late,
): Promise<Answer | Late> {
  const silence = Promise.withResolvers<Late>();
  const timer = setTimeout(() => {
    try {
      silence.resolve(late());
    } catch (error) {
      silence.reject(error);
    }
  }, timeoutMs);
  try {
    return await Promise.race([asked, silence.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The delay before a try that follows failed ones: twice as long after each, between two bounds. Callers that must not come
 * together multiply it by a random share.
 *
 * @param failures in a row, from 1.
 */
export function exponentialDelayMs(
  failures: number,
  { minMs, maxMs }: { readonly minMs: number; readonly maxMs: number },
): number {
  return Math.min(maxMs, minMs * 2 ** Math.min(failures - 1, DOUBLINGS_MAX));
}

/** More of them leave the range of a number; every delay has reached its maximum long before. */
const DOUBLINGS_MAX = 40;
