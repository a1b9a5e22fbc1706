import { hash } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { Caller } from "../domain/caller.ts";
import type { Clock } from "../domain/time.ts";

/** 300 bytes each; the least recently used leave first. A token that was pushed out is verified again: 0.05 to 0.2 ms. */
export const VERIFIED_TOKENS_MAX = 20_000;
/** A key that was withdrawn is noticed after so long, for a token that keeps coming. */
export const VERIFIED_MS_MAX = 5 * 60_000;

/**
 * Callers whose tokens were verified a moment ago, so that a token that keeps coming is verified once in five minutes. The
 * tokens themselves are not kept, only their SHA-256.
 */
export interface VerifiedTokens {
  find(token: string): Caller | null;
  /** @param expiresAtMs from when on the token is refused, by the wall clock. */
  add(token: string, caller: Caller, expiresAtMs: number): void;
}

interface Entry {
  readonly caller: Caller;
  readonly expiresAtMs: number;
  readonly verifiedMs: number;
}

export function createVerifiedTokens({ nowMs, monotonicMs }: Clock): VerifiedTokens {
  const entries = new LRUCache<string, Entry>({ max: VERIFIED_TOKENS_MAX });
  return {
    find(token) {
      const key = keyOf(token);
      const entry = entries.get(key);
      if (entry === undefined) return null;
      if (nowMs() < entry.expiresAtMs && monotonicMs() - entry.verifiedMs < VERIFIED_MS_MAX)
        return entry.caller;
      entries.delete(key);
      return null;
    },
    add(token, caller, expiresAtMs) {
      entries.set(keyOf(token), { caller, expiresAtMs, verifiedMs: monotonicMs() });
    },
  };
}

function keyOf(token: string): string {
  return hash("sha256", token, "base64");
}
