import type { MaybePromise, Platform } from "./platform.ts";

/** A storage, a lock or a token did not answer in time. It may still do so. */
export class Unanswered extends Error {}

/** Resolves or rejects as `value` does, or rejects with Unanswered after `timeoutMs`. A value that is no promise is returned at once. */
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

/** Calls a function of the app or the platform. Its errors, also those of a promise that it returns, go to `onFault`. */
export function attempt(action: () => unknown, onFault: (error: unknown) => void = () => undefined): void {
  try {
    const result = action();
    if (isPromise(result)) result.then(undefined, onFault);
  } catch (error) {
    onFault(error);
  }
}
