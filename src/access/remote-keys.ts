import { hash } from "node:crypto";
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";
import { LRUCache } from "lru-cache";
import type { Clock } from "../domain/time.ts";
import type { Logger } from "../telemetry/logger.ts";

/** One fetch of the key set. */
const FETCH_MS_MAX = 5_000;
/** Keys of a provider take a few KiB. */
const KEY_SET_BYTES_MAX = 256 * 1024;
/** After a fetch that failed none is begun for so long, and a reserve that was used up grows by one fetch in so long. */
export const FETCH_INTERVAL_MS = 5_000;
/**
 * So many fetches at once for key ids that are not in the set: a caller that makes ids up has to make up this many within a
 * minute to keep a new key waiting. A provider is asked 12 times a minute and these 10 more at the most, by each process.
 */
export const FETCHES_IN_RESERVE = 10;
/** Key ids that a fetch of the last FETCH_INTERVAL_MS did not find, 100 bytes each; over it the least recently used is forgotten. */
const MISSING_IDS_MAX = 1_000;
/** Between two lines in the log that say that the reserve is used up. */
const RESERVE_LOG_INTERVAL_MS = 60_000;
/** Older keys are fetched anew before they are used: a key that was withdrawn verifies for so long. */
export const REFRESH_MS = 10 * 60_000;
/** While the provider cannot be reached the last keys are used for so long: its tokens outlive an outage of its. */
export const KEYS_MS_MAX = 24 * 3_600_000;

/** The keys cannot be fetched, so it is unknown whether a token is good. */
export class KeysUnavailableError extends Error {
  override readonly name = "KeysUnavailableError";
}

/**
 * The keys at a URL (a JSON Web Key Set, RFC 7517), kept and fetched anew when they grow old, or when a token names one
 * that is not among them. Such a token is refused only by a set that was asked for after it came: a new key is taken at
 * once, whatever ids strangers make up, and where the reserve of fetches is used up it is unknown which it is.
 *
 * Not jose's own createRemoteJWKSet: that gives up good keys when their refresh fails, fetches again for each request while
 * it fails, and reads an answer of any size.
 *
 * The function that it gives throws KeysUnavailableError where that is unknown, and jose's error where no key matches.
 */
export function createRemoteKeys(
  url: string,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): JWTVerifyGetKey {
  let held: { readonly find: JWTVerifyGetKey; readonly fetchedMs: number; readonly fetch: number } | null =
    null;
  let begun = 0;
  let triedMs = Number.NEGATIVE_INFINITY;
  let failed = false;
  let fetching: Promise<void> | null = null;
  const reserve = createReserve(clock, () =>
    logger.warn(
      { url },
      "tokens name keys that are not in the key set, more of them than it may be fetched for: callers are asked to come again",
    ),
  );
  const missing = createMissingIds(clock);

  async function fetchKeys(): Promise<void> {
    triedMs = clock.monotonicMs();
    const fetch = ++begun;
    try {
      held = { find: createLocalJWKSet(await fetchKeySet(url)), fetchedMs: triedMs, fetch };
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

  /** @param mayBegin whether one may be begun where none runs that can be joined. */
  async function refresh(mayBegin: () => boolean): Promise<void> {
    if (fetching === null) {
      if (failed && clock.monotonicMs() - triedMs < FETCH_INTERVAL_MS)
        throw new KeysUnavailableError("the last fetch of the key set failed a moment ago");
      if (!mayBegin()) throw new KeysUnavailableError("the reserve of fetches is used up");
    }
    fetching ??= fetchKeys();
    await fetching;
  }

  async function current(): Promise<JWTVerifyGetKey> {
    const ageMs = held === null ? Number.POSITIVE_INFINITY : clock.monotonicMs() - held.fetchedMs;
    if (ageMs > KEYS_MS_MAX) {
      await refresh(() => true);
    } else if (ageMs > REFRESH_MS) {
      const wasFailing = failed;
      const refreshed = refresh(() => true).catch(() => undefined);
      // No request waits for a provider that did not answer the last time: the keys at hand are used on.
      if (!wasFailing) await refreshed;
    }
    if (held === null) throw new KeysUnavailableError("there is no key set");
    return held.find;
  }

  return async (header, token) => {
    const begunBefore = begun;
    for (;;) {
      try {
        return await (await current())(header, token);
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey) || missing.has(header.kid)) throw error;
        // The set at hand, or one that is on its way, may be older than the key.
        if (held !== null && held.fetch > begunBefore) {
          missing.add(header.kid);
          throw error;
        }
        await refresh(reserve.take);
      }
    }
  };
}

/** Fetches that may be begun: as many as FETCHES_IN_RESERVE at once, and one in FETCH_INTERVAL_MS in the long run. */
function createReserve({ monotonicMs }: Clock, onUsedUp: () => void): { take: () => boolean } {
  let fullAtMs = Number.NEGATIVE_INFINITY;
  let saidMs = Number.NEGATIVE_INFINITY;
  return {
    take() {
      const nowMs = monotonicMs();
      const withOneMoreMs = Math.max(fullAtMs, nowMs) + FETCH_INTERVAL_MS;
      if (withOneMoreMs <= nowMs + FETCHES_IN_RESERVE * FETCH_INTERVAL_MS) {
        fullAtMs = withOneMoreMs;
        return true;
      }
      if (nowMs - saidMs >= RESERVE_LOG_INTERVAL_MS) {
        saidMs = nowMs;
        onUsedUp();
      }
      return false;
    },
  };
}

/** Ids that were looked for in vain a moment ago, so that a caller that repeats one uses up no reserve. */
function createMissingIds({ monotonicMs }: Clock) {
  /** By the id's hash, since an id is as long as its sender likes. */
  const lookedForMs = new LRUCache<string, number>({ max: MISSING_IDS_MAX });
  const keyOf = (id = "") => hash("sha256", id, "base64");
  return {
    has(id: string | undefined): boolean {
      const atMs = lookedForMs.get(keyOf(id));
      return atMs !== undefined && monotonicMs() - atMs < FETCH_INTERVAL_MS;
    },
    add(id: string | undefined): void {
      lookedForMs.set(keyOf(id), monotonicMs());
    },
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
