import { Counter, Gauge, type Registry } from "prom-client";
import type { GuardedClock } from "../domain/guarded-clock.ts";

/** What the guarded clock thinks of the host's, at each scrape. */
export function createClockMetrics(registers: Registry[], clock: Pick<GuardedClock, "state">): void {
  new Gauge({
    name: "impressions_clock_jump_seconds",
    help: "How far the host's clock has jumped ahead (negative: back) without being believed yet; 0 while it is.",
    registers,
    collect() {
      this.set(clock.state().jumpMs / 1_000);
    },
  });
  new Counter({
    name: "impressions_clock_jumps_total",
    help: "Jumps of the host's clock by more than a minute, against its monotonic clock.",
    registers,
    collect() {
      this.reset();
      this.inc(clock.state().jumps);
    },
  });
}
