import { StoreRefusedError } from "../../ports/errors.ts";
import { type BatchRow, rowBytes } from "./batches.ts";
import type { ReplicasOf } from "./replicas.ts";

/** Cassandra warns of unlogged batches with more partitions (unlogged_batch_across_partitions_warn_threshold). */
export const COALESCED_PARTITIONS_MAX = 10;
/** And of larger ones, where they have several partitions (batch_size_warn_threshold: 5 KiB). */
export const COALESCED_BYTES_MAX = 4 * 1_024;

/**
 * Coalesces small batches of different partitions into shared requests: most views are the only one of their post in a pull,
 * and a request costs the database and the driver many times what a row costs. Batches that are written in one turn of the
 * event loop are coalesced, so that none waits for another.
 *
 * Only batches with the same replicas share a request: its coordinator, one of them, passes it on to no other node than it
 * would have passed on each batch. Each partition stays a mutation of its own, applied as a whole. A partition that cannot be
 * written fails the whole request, so writes to unhealthy partitions are not coalesced (see WriteOptions).
 * docs/adr/0031-packed-writes.md
 */
export interface WriteCoalescer {
  /** @param rows of one partition key, at least one. */
  write(rows: readonly BatchRow[]): Promise<void>;
  /** Sends now what the end of this turn would send. */
  flush(): void;
}

interface Member {
  readonly rows: readonly BatchRow[];
  readonly written: PromiseWithResolvers<void>;
}

/**
 * @param send writes rows in one request.
 * @param replicasNow asked once a turn. Where it cannot tell, a batch goes alone; where it throws, all of the turn do.
 */
export function createWriteCoalescer(
  send: (rows: readonly BatchRow[]) => Promise<void>,
  replicasNow: () => ReplicasOf,
): WriteCoalescer {
  let members: Member[] = [];
  let flushing: NodeJS.Immediate | null = null;

  function flush(): void {
    if (flushing !== null) clearImmediate(flushing);
    flushing = null;
    const all = members;
    members = [];
    for (const request of requestsOf(all)) void sendTogether(request);
  }

  function requestsOf(all: readonly Member[]): Member[][] {
    try {
      return coalesce(all, replicasNow());
    } catch {
      // Sending shows what is wrong, if anything is.
      return all.map((member) => [member]);
    }
  }

  async function sendTogether(request: readonly Member[]): Promise<void> {
    try {
      await send(request.flatMap(({ rows }) => rows));
      for (const { written } of request) written.resolve();
    } catch (error) {
      // One of the rows is refused for what it is: separate requests show which.
      if (request.length > 1 && error instanceof StoreRefusedError)
        for (const member of request) void sendTogether([member]);
      else for (const { written } of request) written.reject(error);
    }
  }

  return {
    write(rows) {
      const written = Promise.withResolvers<void>();
      members.push({ rows, written });
      flushing ??= setImmediate(flush);
      return written.promise;
    },
    flush,
  };
}

function coalesce(members: readonly Member[], replicasOf: ReplicasOf): Member[][] {
  const requests: Member[][] = [];
  const filling = new Map<string, { readonly request: Member[]; bytes: number }>();
  for (const member of members) {
    const [first] = member.rows;
    const replicas = members.length === 1 || first === undefined ? null : replicasOf(first);
    const bytes = member.rows.reduce((sum, row) => sum + rowBytes(row), 0);
    if (replicas === null || bytes > COALESCED_BYTES_MAX) {
      requests.push([member]);
      continue;
    }
    let last = filling.get(replicas);
    if (
      last === undefined ||
      last.request.length >= COALESCED_PARTITIONS_MAX ||
      last.bytes + bytes > COALESCED_BYTES_MAX
    ) {
      last = { request: [], bytes: 0 };
      filling.set(replicas, last);
      requests.push(last.request);
    }
    last.request.push(member);
    last.bytes += bytes;
  }
  return requests;
}
