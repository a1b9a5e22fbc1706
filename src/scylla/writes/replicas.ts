import type { Client } from "cassandra-driver";
import type { WriteName } from "../statements.ts";
import type { BatchRow } from "./batches.ts";

/** How many of a statement's first parameters are the partition key; for those that write views. */
const PARTITION_KEY_COLUMNS: Partial<Record<WriteName, number>> = {
  insertViewer: 4,
  insertPack: 1,
};
/** A name for "all nodes". */
const EVERY_NODE = "every node";

/** Names the nodes that hold a row: the same name for the same nodes. Null where they are unknown. */
export type ReplicasOf = (row: BatchRow) => string | null;

/** The hosts of each driver when it was first asked: the driver reads the ring when it connects, and never again. */
const hostsOfRing = new WeakMap<Client, string>();

/**
 * Looks at the ring as the driver knows it; not to be kept for long. It cannot tell about other statements than those that
 * write views, before the driver knows the ring, or once hosts have come or gone since.
 */
export function replicasIn(client: Client): ReplicasOf {
  const { metadata, hosts, keyspace } = client;
  const names = [...hosts.keys()].sort().join(" ");
  const known = hostsOfRing.get(client) ?? names;
  hostsOfRing.set(client, known);
  if (names !== known) return () => null;
  let isOnEveryNode = false;
  return (row) => {
    const columns = PARTITION_KEY_COLUMNS[row.statement];
    if (columns === undefined) return null;
    if (isOnEveryNode) return EVERY_NODE;
    const key = partitionKeyOf(row.parameters.slice(0, columns));
    const replicas: readonly { readonly address: string }[] | null | undefined =
      key === null ? null : metadata.getReplicas(keyspace, key);
    if (replicas === null || replicas === undefined) return null;
    isOnEveryNode = replicas.length === hosts.length;
    if (isOnEveryNode) return EVERY_NODE;
    return replicas
      .map(({ address }) => address)
      .sort()
      .join(" ");
  };
}

/**
 * A partition key as the ring hashes it: a single column as it is, each of several with its length and an end.
 *
 * @param columns encoded; where one is not, there is no key.
 */
export function partitionKeyOf(columns: readonly unknown[]): Buffer | null {
  if (!columns.every((column) => Buffer.isBuffer(column))) return null;
  const [only, ...others] = columns;
  if (only === undefined || others.length === 0) return only ?? null;
  return Buffer.concat(
    columns.flatMap((column) => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(column.length);
      return [length, column, Buffer.alloc(1)];
    }),
  );
}
