/** The tables whose partitions are written: a post's viewers, a user's history. */
export type Table = "viewers" | "history";

/** Names a partition among all tables. */
export function partitionOf(table: Table, owner: string): string {
  return `${table} ${owner}`;
}

/** The partition as a log line names it: the logger knows what to do with a `userId`. */
export function partitionFields(
  partition: string,
): { readonly userId: string } | { readonly postId: string } {
  const [table, owner] = [partition.split(" ", 1)[0], partition.slice(partition.indexOf(" ") + 1)];
  return table === ("history" satisfies Table) ? { userId: owner } : { postId: owner };
}
