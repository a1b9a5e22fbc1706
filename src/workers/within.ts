import { StoreUnavailableError } from "../ports/errors.ts";

/**
 * Waits for a store write, but not for ever: one that is never answered must not keep its slot, its queue and its
 * messages.
 *
 * @throws StoreUnavailableError it has not ended in time; it may still be carried out.
 */
export async function within(timeoutMs: number, write: () => Promise<void>): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new StoreUnavailableError(`no answer to a write within ${timeoutMs} ms`)),
    timeoutMs,
  );
  try {
    await Promise.race([write(), promise]);
  } finally {
    clearTimeout(timer);
  }
}
