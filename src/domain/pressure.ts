/** Below this share of a limit in use there is no pressure. */
const PRESSURE_FREE_SHARE = 0.5;
/** What clients are asked to wait when a limit is all but reached. */
const FLUSH_AFTER_MS_MAX = 60_000;

/**
 * When a client should send its next list at the earliest: 0 while less than half of every limit is in use, then
 * rising to a minute, each answer drawn from the upper half of its range so that clients do not come back together.
 *
 * @param usedShares the used share of each limit in the chain (0 to 1).
 * @param random uniform in [0, 1).
 */
export function flushAfterMs(usedShares: readonly number[], random: number): number {
  const used = Math.min(1, Math.max(0, ...usedShares));
  if (used < PRESSURE_FREE_SHARE) return 0;
  const pressure = (used - PRESSURE_FREE_SHARE) / (1 - PRESSURE_FREE_SHARE);
  return Math.ceil(Math.max(pressure, 0.01) * FLUSH_AFTER_MS_MAX * (0.5 + random / 2));
}
