import type { MaybePromise, Platform } from "./platform.ts";

/** What is not ours did not answer in time. It may still do so. */
export class Unanswered extends Error {}

/** What comes of `value`, or a rejection with Unanswered after `timeoutMs`. What is there at once stays at once. */
export function bounded<Value>(
  { timer }: Pick<Platform, "timer">,
  timeoutMs: number,
  value: MaybePromise<Value>,
): MaybePromise<Value> {
  if (!isPromise(value)) return value;
  return new Promise((resolve, reject) => {
    const cancel = timer(timeoutMs, () => reject(new Unanswered(`no answer within ${timeoutMs} ms`)));
    const ended =
      <Result>(passOn: (result: Result) => void) =>
      (result: Result) => {
        cancel();
        passOn(result);
      };
    value.then(ended(resolve), ended(reject));
  });
}

export function isPromise<Value>(value: MaybePromise<Value>): value is Promise<Value> {
  return typeof (value as { then?: unknown } | undefined | null)?.then === "function";
}

/** Calls what the app or the platform gave; its faults, also those of a promise that it answers, go to `onFault`. */
export function attempt(action: () => unknown, onFault: (error: unknown) => void = () => undefined): void {
  try {
    const result = action();
    if (isPromise(result)) result.then(undefined, onFault);
  } catch (error) {
    onFault(error);
  }
}
