import { StoreRefusedError } from "../ports/errors.ts";
import { type BatchRow, rowBytes } from "./batches.ts";
import type { ReplicasOf } from "./replicas.ts";

/** Cassandra warns of unlogged batches with more partitions (unlogged_batch_across_partitions_warn_threshold). */
export const PACK_PARTITIONS_MAX = 10;
/** And of larger ones, where they have several partitions (batch_size_warn_threshold: 5 KiB). */
export const PACK_BYTES_MAX = 4 * 1_024;

/**
 * Lets small batches of different partitions share requests: most views are the only one of their post in a pull, and a
 * request costs the database and the driver many times what a row costs. What is asked for in one turn of the event loop
 * is packed, so that nothing waits for anything.
 *
 * Only batches with the same replicas are packed: whichever of them takes the request passes it on to no other node than
 * it would have passed on each batch. Each partition stays a mutation of its own, applied as a whole; one that cannot be
 * written fails the others of its pack, which is why what is known to be in trouble is not brought here (see
 * WriteOptions). docs/adr/0031-packed-writes.md
 */
export interface Packer {
  /** @param rows of one partition key, at least one. */
  write(rows: readonly BatchRow[]): Promise<void>;
  /** Sends now what the end of this turn would send. */
  flush(): void;
}

interface Member {
  readonly rows: readonly BatchRow[];
  readonly settled: PromiseWithResolvers<void>;
}

/**
 * @param send writes rows in one request.
 * @param replicasNow asked once a turn. Where it cannot tell, a batch goes alone; where it throws, all of the turn do.
 */
export function createPacker(
  send: (rows: readonly BatchRow[]) => Promise<void>,
  replicasNow: () => ReplicasOf,
): Packer {
  let members: Member[] = [];
  let flushing: NodeJS.Immediate | null = null;

  function flush(): void {
    if (flushing !== null) clearImmediate(flushing);
    flushing = null;
    const all = members;
    members = [];
    for (const pack of packed(all)) void sendPack(pack);
  }

  function packed(all: readonly Member[]): Member[][] {
    try {
      return packsOf(all, replicasNow());
    } catch {
      // Sending says what is wrong, if anything is.
      return all.map((member) => [member]);
    }
  }

  async function sendPack(pack: readonly Member[]): Promise<void> {
    try {
      await send(pack.flatMap(({ rows }) => rows));
      for (const { settled } of pack) settled.resolve();
    } catch (error) {
      // Something in it is refused for what it is: whose it is shows alone.
      if (pack.length > 1 && error instanceof StoreRefusedError)
        for (const member of pack) void sendPack([member]);
      else for (const { settled } of pack) settled.reject(error);
    }
  }

  return {
    write(rows) {
      const settled = Promise.withResolvers<void>();
      members.push({ rows, settled });
      flushing ??= setImmediate(flush);
      return settled.promise;
    },
    flush,
  };
}

function packsOf(members: readonly Member[], replicasOf: ReplicasOf): Member[][] {
  const packs: Member[][] = [];
  const filling = new Map<string, { readonly pack: Member[]; bytes: number }>();
  for (const member of members) {
    const [first] = member.rows;
    const replicas = members.length === 1 || first === undefined ? null : replicasOf(first);
    const bytes = member.rows.reduce((sum, row) => sum + rowBytes(row), 0);
    if (replicas === null || bytes > PACK_BYTES_MAX) {
      packs.push([member]);
      continue;
    }
    let last = filling.get(replicas);
    if (
      last === undefined ||
      last.pack.length >= PACK_PARTITIONS_MAX ||
      last.bytes + bytes > PACK_BYTES_MAX
    ) {
      last = { pack: [], bytes: 0 };
      filling.set(replicas, last);
      packs.push(last.pack);
    }
    last.pack.push(member);
    last.bytes += bytes;
  }
  return packs;
}
