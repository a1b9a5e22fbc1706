/** Runs a task as soon as fewer than the limit are running. */
export type Limit = <Result>(task: () => Promise<Result>) => Promise<Result>;

/** A gate that lets `max` tasks run at once, the others in order of arrival. */
export function limitConcurrency(max: number): Limit {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (task) => {
    if (running >= max) await new Promise<void>((resolve) => waiting.push(resolve));
    else running++;
    try {
      return await task();
    } finally {
      // A waiting task takes over the place; the count stays.
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  };
}
