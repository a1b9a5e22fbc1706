import type { types } from "cassandra-driver";
import type { Impression } from "../../src/domain/impression.ts";
import { decodePack } from "../../src/scylla/packs/pack-codec.ts";

/** The views in a row of user_packs, read with its columns newest_at, pack_id and pack, by whatever client. */
export function viewsInPack(row: types.Row): Impression[] {
  const newestAtMs = (row.get("newest_at") as Date).getTime();
  return decodePack(row.get("pack") as Buffer, newestAtMs, row.get("pack_id") as Buffer);
}
