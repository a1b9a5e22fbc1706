import { randomBytes } from "node:crypto";
import { userHash } from "../domain/user-hash.ts";
import type { Database } from "./database.ts";
import { bytesOf, textOf } from "./rows.ts";

/** All keys are in one partition. */
const SCOPE = "impressions";
/** More than ever come into being: processes that looked for a key at once, before there was any. */
const KEYS_MAX = 100;
const ID_BYTES = 8;
const KEY_BYTES = 32;

/**
 * The hashes of this installation's users. The process that needs a key first makes it. Where several do at once, each of
 * theirs stays: a hash says by nothing which key made it, so a search for a user tries all of them.
 */
export interface UserHashes {
  /** Learns the keys that there are. @throws StoreUnavailableError */
  refresh(): Promise<void>;
  /** The user's hash under each key that is known. */
  allOf(userId: string): string[];
  /** The user's hash under one key, which is stored by then. @throws StoreUnavailableError */
  keptOf(userId: string): Promise<string>;
}

export function createUserHashes(database: Database): UserHashes {
  let keys: Uint8Array[] = [];

  async function refresh(): Promise<void> {
    const rows = await database.read("readUserHashKeys", [SCOPE, KEYS_MAX], KEYS_MAX);
    // In the order of their ids, so that all processes come to prefer the same one.
    keys = [...rows]
      .sort((a, b) => (textOf(a, "id") < textOf(b, "id") ? -1 : 1))
      .map((row) => bytesOf(row, "key"));
  }

  async function key(): Promise<Uint8Array> {
    if (keys[0] === undefined) await refresh();
    if (keys[0] === undefined) {
      const id = randomBytes(ID_BYTES).toString("hex");
      await database.write("insertUserHashKey", [SCOPE, id, randomBytes(KEY_BYTES), BigInt(1)]);
      await refresh();
    }
    const [preferred] = keys;
    if (preferred === undefined) throw new Error("a key that was just stored is not there");
    return preferred;
  }

  return {
    refresh,
    allOf: (userId) => keys.map((known) => userHash(known, userId)),
    keptOf: async (userId) => userHash(await key(), userId),
  };
}
