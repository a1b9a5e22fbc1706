import { attempt, Unanswered } from "./bounded.ts";
import { decodeChunk, KEY_PREFIX, type OutboxChunk } from "./outbox-chunk.ts";
import type { ImpressionStorage, MaybePromise, OwnerLocks } from "./platform.ts";

type Release = () => void;

/** Takes over the views that dead instances left in the storage. */
export interface Adoption {
  /** Null where another instance holds the name, and where the lock times out. */
  acquire(owner: string): Promise<Release | null>;
  /** The chunks of dead owners, and the releases of their names, which this instance holds from now on. */
  takeOver(
    own: string,
  ): Promise<{ readonly chunks: readonly OutboxChunk[]; readonly releases: readonly Release[] }>;
  /** Removes the stored entries of this account, of all instances, except the wanted ones. */
  removeAll(isWanted: (key: string) => boolean): Promise<void>;
}

export function createAdoption(deps: {
  readonly storage: ImpressionStorage;
  readonly locks: OwnerLocks;
  /** Limits how long the adoption waits for the storage and the locks. */
  readonly bound: <Value>(value: MaybePromise<Value>) => MaybePromise<Value>;
  readonly account: string;
  readonly onFailure: (error: unknown) => void;
}): Adoption {
  const { storage, locks, bound, account, onFailure } = deps;

  async function acquire(owner: string): Promise<Release | null> {
    let acquiring: MaybePromise<Release | null> = null;
    try {
      acquiring = locks.acquire(owner);
      return await bound(acquiring);
    } catch (error) {
      onFailure(error);
      // A lock that arrives late is released.
      if (error instanceof Unanswered) attempt(async () => (await acquiring)?.());
      return null;
    }
  }

  async function ourKeys(): Promise<readonly string[]> {
    const keys = [...((await bound(storage.keys())) ?? [])].map(String);
    return keys.filter((key) => key.startsWith(KEY_PREFIX)).sort();
  }

  async function adoptFrom(keys: readonly string[], release: Release) {
    const chunks: OutboxChunk[] = [];
    /** A chunk of another account, or an unreadable one: its name is released, so that another instance can take it over. */
    let left = false;
    for (const key of keys) {
      const text = await read(key);
      const found = typeof text === "string" ? decode(key, text) : text;
      if (found === undefined) left = true;
      else if (found !== null && found.views.length > 0) chunks.push(found);
      else if (found !== null) await remove(key);
    }
    if (left) attempt(release);
    return { chunks, releases: left ? [] : [release] };
  }

  /** Undefined where the read failed, null where the storage has no value. */
  async function read(key: string): Promise<string | null | undefined> {
    try {
      return (await bound(storage.get(key))) ?? null;
    } catch (error) {
      // A storage that hangs is not asked for the other values.
      if (error instanceof Unanswered) throw error;
      onFailure(error);
    }
  }

  /** Undefined where the chunk belongs to another account. */
  function decode(key: string, text: string): OutboxChunk | undefined {
    const { chunk, damage } = decodeChunk(key, text, account);
    if (damage !== null) onFailure(new Error(`${key}: ${damage}`));
    return chunk;
  }

  async function remove(key: string): Promise<void> {
    try {
      await bound(storage.remove(key));
    } catch (error) {
      if (error instanceof Unanswered) throw error;
      onFailure(error);
    }
  }

  return {
    acquire,
    async takeOver(own) {
      const keysOf = new Map<string, string[]>();
      for (const key of await ourKeys()) {
        const owner = key.split("/")[1] ?? "";
        if (owner !== own) keysOf.set(owner, [...(keysOf.get(owner) ?? []), key]);
      }
      const chunks: OutboxChunk[] = [];
      const releases: Release[] = [];
      for (const [owner, keys] of keysOf) {
        const release = await acquire(owner);
        if (release === null) continue;
        try {
          const found = await adoptFrom(keys, release);
          chunks.push(...found.chunks);
          releases.push(...found.releases);
        } catch (error) {
          attempt(release);
          onFailure(error);
          break;
        }
      }
      return { chunks, releases };
    },
    async removeAll(isWanted) {
      for (const key of await ourKeys()) {
        const text = await read(key);
        if (isWanted(key)) continue;
        if (typeof text === "string" && decodeChunk(key, text, account).chunk !== undefined)
          await remove(key);
      }
    },
  };
}
