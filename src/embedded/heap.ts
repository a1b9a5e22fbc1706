/** A binary heap: the item that comes before all others is always at hand. */
export interface Heap<Item> {
  readonly size: () => number;
  readonly peek: () => Item | undefined;
  readonly push: (item: Item) => void;
  readonly pop: () => Item | undefined;
}

/** @param rank the item with the smallest rank comes first. An item's rank must not change while it is inside. */
export function createHeap<Item>(rank: (item: Item) => number): Heap<Item> {
  const items: Item[] = [];

  const isBefore = (a: number, b: number) => rank(items[a] as Item) < rank(items[b] as Item);

  function swap(a: number, b: number): void {
    [items[a], items[b]] = [items[b] as Item, items[a] as Item];
  }

  return {
    size: () => items.length,
    peek: () => items[0],

    push(item) {
      let index = items.push(item) - 1;
      for (let parent = (index - 1) >> 1; index > 0 && isBefore(index, parent); parent = (index - 1) >> 1) {
        swap(index, parent);
        index = parent;
      }
    },

    pop() {
      if (items.length === 0) return undefined;
      swap(0, items.length - 1);
      const first = items.pop();
      for (let index = 0; ; ) {
        const [left, right] = [2 * index + 1, 2 * index + 2];
        let least = index;
        if (left < items.length && isBefore(left, least)) least = left;
        if (right < items.length && isBefore(right, least)) least = right;
        if (least === index) return first;
        swap(least, index);
        index = least;
      }
    },
  };
}
