/** Runs `work` on every item, in their order, `lanes` at a time. The first failure ends it. */
export async function inParallel<Item>(
  lanes: number,
  items: readonly Item[],
  work: (item: Item, index: number) => Promise<void>,
): Promise<void> {
  const remaining = items.entries();
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      // One iterator for all of them: each takes the next free item.
      for (const [index, item] of remaining) await work(item, index);
    }),
  );
}
