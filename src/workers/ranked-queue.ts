import { createFifo, type Fifo } from "./fifo.ts";

/** What waits, the lowest rank first, and of one rank first in, first out. */
export interface RankedQueue<Item> {
  push(item: Item, rank: number): void;
  /** Takes the first; undefined where nothing waits. */
  take(): Item | undefined;
  size(): number;
}

/** For few ranks that mostly come in rising order, with many items each. */
export function createRankedQueue<Item>(): RankedQueue<Item> {
  const ranks: number[] = [];
  const items = new Map<number, Fifo<Item>>();
  let size = 0;

  function insert(rank: number): void {
    const before = ranks.findLastIndex((other) => other < rank);
    ranks.splice(before + 1, 0, rank);
  }

  return {
    push(item, rank) {
      let same = items.get(rank);
      if (same === undefined) {
        same = createFifo();
        items.set(rank, same);
        insert(rank);
      }
      same.push(item);
      size++;
    },
    take() {
      const [rank] = ranks;
      if (rank === undefined) return undefined;
      const same = items.get(rank);
      const item = same?.take();
      size--;
      if (same?.size() === 0) {
        items.delete(rank);
        ranks.shift();
      }
      return item;
    },
    size: () => size,
  };
}
