import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";
import type { Clock } from "../domain/time.ts";
import type { Logger } from "../telemetry/logger.ts";

/** One fetch of the key set. */
const FETCH_MS_MAX = 5_000;
/** Keys of a provider take a few KiB. */
const KEY_SET_BYTES_MAX = 256 * 1024;
/** The set is asked for no more often than this, whatever key ids tokens name and however often it fails. */
export const FETCH_INTERVAL_MS = 5_000;
/** Older keys are fetched anew before they are used: a key that was withdrawn verifies for so long. */
export const REFRESH_MS = 10 * 60_000;
/** While the provider cannot be reached the last keys are used for so long: its tokens outlive an outage of its. */
export const KEYS_MS_MAX = 24 * 3_600_000;

/** The keys cannot be fetched, so nobody can tell whether a token is good. */
export class KeysUnavailableError extends Error {
  override readonly name = "KeysUnavailableError";
}

/**
 * The keys at a URL (a JSON Web Key Set, RFC 7517), kept and fetched anew when they grow old, or when a token names one
 * that is not among them.
 *
 * Not jose's own createRemoteJWKSet: that gives up good keys when their refresh fails, fetches again for each request while
 * it fails, and reads an answer of any size.
 */
export function createRemoteKeys(
  url: string,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): JWTVerifyGetKey {
  let held: { readonly find: JWTVerifyGetKey; readonly fetchedMs: number } | null = null;
  let triedMs = Number.NEGATIVE_INFINITY;
  let failed = false;
  let fetching: Promise<void> | null = null;

  async function fetchKeys(): Promise<void> {
    triedMs = clock.monotonicMs();
    try {
      held = { find: createLocalJWKSet(await fetchKeySet(url)), fetchedMs: triedMs };
      failed = false;
    } catch (error) {
      failed = true;
      logger.warn(
        { err: error, url },
        "the keys for tokens could not be fetched; tried again when a token comes",
      );
      throw new KeysUnavailableError("the key set cannot be fetched", { cause: error });
    } finally {
      fetching = null;
    }
  }

  /** Whether one runs that can be joined, or the last is long enough ago. */
  function mayFetch(): boolean {
    return fetching !== null || clock.monotonicMs() - triedMs >= FETCH_INTERVAL_MS;
  }

  async function refresh(): Promise<void> {
    if (!mayFetch()) throw new KeysUnavailableError("the last fetch of the key set failed a moment ago");
    fetching ??= fetchKeys();
    await fetching;
  }

  async function current(): Promise<JWTVerifyGetKey> {
    const ageMs = held === null ? Number.POSITIVE_INFINITY : clock.monotonicMs() - held.fetchedMs;
    if (ageMs > KEYS_MS_MAX) {
      await refresh();
    } else if (ageMs > REFRESH_MS) {
      const wasFailing = failed;
      const refreshed = refresh().catch(() => undefined);
      // Nobody waits for a provider that did not answer the last time: the keys at hand are used on.
      if (!wasFailing) await refreshed;
    }
    if (held === null) throw new KeysUnavailableError("there is no key set");
    return held.find;
  }

  return async (header, token) => {
    try {
      return await (await current())(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      // A key that we don't have yet, or one that never was. While the last fetch stands as failed we can't tell which.
      if (!mayFetch() && !failed) throw error;
      await refresh();
      return (await current())(header, token);
    }
  };
}

/** @throws an Error: it cannot be fetched within FETCH_MS_MAX, or is no JSON; whether it is a key set is not looked at. */
export async function fetchKeySet(url: string): Promise<JSONWebKeySet> {
  const response = await fetch(url, {
    headers: { accept: "application/jwk-set+json, application/json" },
    redirect: "error",
    signal: AbortSignal.timeout(FETCH_MS_MAX),
  });
  if (!response.ok || response.body === null) throw new Error(`status ${response.status}`);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.byteLength;
    if (bytes > KEY_SET_BYTES_MAX) throw new Error(`the key set is larger than ${KEY_SET_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString("utf8")) as JSONWebKeySet;
}
