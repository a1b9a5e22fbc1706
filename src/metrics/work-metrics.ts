import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { DEAD_LETTER_REASONS } from "../domain/dead-letter.ts";
import type { WorkerCounters } from "../workers/counters.ts";
import type { WorkersState } from "../workers/worker-pool.ts";

/** What the workers and the erasures count. */
export interface WorkMetrics {
  readonly onStored: (lagMs: number) => void;
  watchWorkers(workers: {
    counts(): Readonly<WorkerCounters>;
    state(): WorkersState;
    paused(): boolean;
  }): void;
  watchErasures(erasures: { oldestAgeMs(): number; stuck(): number; failed(): number }): void;
}

/** Counters of the workers by the count that they show; `deadLettered` has a label. */
const COUNTERS = {
  stored: [
    "impressions_stored_total",
    "Impressions that are stored and acked, those that were sent again included.",
  ],
  expired: [
    "impressions_expired_total",
    "Impressions whose retention ended while they waited in the queue: acked, and not stored.",
  ],
  deadLettersOmitted: [
    "impressions_dead_letters_omitted_total",
    "Impressions acked as dead letters and only counted: their user has many dead letters already.",
  ],
  deadLettersFailed: [
    "impressions_dead_letter_failures_total",
    "Dead letters that could not be written: their messages are tried again.",
  ],
  pulls: ["impressions_worker_pulls_total", "Pulls that brought messages."],
  messages: [
    "impressions_worker_messages_total",
    "Messages delivered to the workers, repeated ones included.",
  ],
  redeliveries: [
    "impressions_worker_redeliveries_total",
    "Messages delivered to the workers that had been delivered before.",
  ],
  acknowledged: ["impressions_worker_acknowledged_messages_total", "Messages that are acked."],
  nacked: ["impressions_worker_nacked_messages_total", "Messages nacked, to be tried again."],
  isolatedAttempts: [
    "impressions_worker_isolated_attempts_total",
    "Isolated attempts at messages that had been delivered often.",
  ],
} as const satisfies Record<Exclude<keyof WorkerCounters, "deadLettered">, readonly [string, string]>;

/** The names that these had before; they go with the next release. */
const FORMER_COUNTERS = {
  impressions_worker_returned_messages_total: "nacked",
  impressions_worker_lone_tries_total: "isolatedAttempts",
} as const satisfies Record<string, keyof typeof COUNTERS>;

export function createWorkMetrics(registers: Registry[]): WorkMetrics {
  const lag = new Histogram({
    name: "impressions_store_lag_seconds",
    help: "From an impression's receipt to the moment at which it is stored; what is stored again counts again.",
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200, 43_200],
    registers,
  });

  function counter(name: string, help: string, value: () => number): void {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(value());
      },
    });
  }

  function gauge(name: string, help: string, value: () => number): void {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value());
      },
    });
  }

  return {
    onStored: (lagMs) => lag.observe(Math.max(0, lagMs) / 1_000),

    watchWorkers(workers) {
      for (const [count, [name, help]] of Object.entries(COUNTERS))
        counter(name, help, () => workers.counts()[count as keyof typeof COUNTERS]);
      for (const [name, count] of Object.entries(FORMER_COUNTERS))
        counter(name, `Deprecated: ${COUNTERS[count][0]}.`, () => workers.counts()[count]);
      new Counter({
        name: "impressions_dead_lettered_total",
        help: "Impressions acked as dead letters, by reason; a message that could not be read counts as one.",
        labelNames: ["reason"],
        registers,
        collect() {
          this.reset();
          const { deadLettered } = workers.counts();
          for (const reason of DEAD_LETTER_REASONS) this.inc({ reason }, deadLettered[reason]);
        },
      });
      gauge(
        "impressions_worker_loops",
        "Worker loops of this process (WORKERS).",
        () => workers.state().loops,
      );
      gauge(
        "impressions_worker_messages_in_flight",
        "Messages that this process has pulled, and neither acked nor nacked.",
        () => workers.state().messagesInFlight,
      );
      gauge(
        "impressions_worker_messages_in_hand",
        "Deprecated: impressions_worker_messages_in_flight.",
        () => workers.state().messagesInFlight,
      );
      gauge(
        "impressions_worker_write_slots",
        "Store writes that may run at once now; found by itself between the two bounds.",
        () => workers.state().concurrency.current,
      );
      gauge(
        "impressions_worker_write_slots_min",
        "The lower bound of impressions_worker_write_slots.",
        () => workers.state().concurrency.min,
      );
      gauge(
        "impressions_worker_write_slots_max",
        "The upper bound of impressions_worker_write_slots (WORKER_CONCURRENCY_MAX).",
        () => workers.state().concurrency.max,
      );
      gauge(
        "impressions_worker_breaker_open",
        "1 while the workers take the store for down and pull nothing, else 0.",
        () => (workers.paused() ? 1 : 0),
      );
    },

    watchErasures(erasures) {
      gauge(
        "impressions_erasure_oldest_age_seconds",
        "Age of the oldest erasure that is not finished, as this process last saw it; 0 where there is none.",
        () => erasures.oldestAgeMs() / 1_000,
      );
      gauge(
        "impressions_erasures_stuck",
        "Erasures that are not finished and whose last try in this process failed; each is tried again, apart from the others.",
        erasures.stuck,
      );
      new Counter({
        name: "impressions_erasures_failed_total",
        help: "Erasures that the store refused for good.",
        registers,
        collect() {
          this.reset();
          this.inc(erasures.failed());
        },
      });
    },
  };
}
