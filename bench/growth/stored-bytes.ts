import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Client } from "cassandra-driver";

const TABLES = ["user_packs", "viewers_by_post", "viewer_slices"] as const;

/** Bytes of a table in SSTables: as they lie there, and all that were written to come there. */
export interface StoredBytes {
  readonly live: number;
  /** Flushed and compacted, without the commit log. */
  readonly written: number;
}

/** Of each table of the keyspace; everything in memory is flushed by then. */
export async function storedBytes(
  client: Client,
  nodeDirectory: string,
  keyspace: string,
): Promise<Record<(typeof TABLES)[number], StoredBytes>> {
  const { rows } = await client.execute(
    "SELECT keyspace_name, columnfamily_name, bytes_in FROM system.compaction_history",
  );
  const entries = TABLES.map((table) => {
    const compacted = rows
      .filter((row) => row.keyspace_name === keyspace && row.columnfamily_name === table)
      .reduce((sum, row) => sum + Number(row.bytes_in), 0);
    const live = bytesIn(join(nodeDirectory, "data", keyspace), table);
    // Each file was written once, and is either live or compacted away: the sum is all written bytes.
    return [table, { live, written: live + compacted }] as const;
  });
  return Object.fromEntries(entries) as Record<(typeof TABLES)[number], StoredBytes>;
}

function bytesIn(keyspaceDirectory: string, table: string): number {
  return readdirSync(keyspaceDirectory)
    .filter((name) => name.startsWith(`${table}-`))
    .flatMap((name) =>
      readdirSync(join(keyspaceDirectory, name), { withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => statSync(join(keyspaceDirectory, name, entry.name)).size),
    )
    .reduce((sum, bytes) => sum + bytes, 0);
}
