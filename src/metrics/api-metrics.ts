import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { ErrorCode } from "../errors.ts";
import type { CommittedMessage } from "../ingest/group-commit.ts";
import type { CutOff, ObservedRequest } from "../server/request-observer.ts";

/** What the API counts. */
export interface ApiMetrics {
  onRequest(request: ObservedRequest): void;
  onCutOff(what: CutOff): void;
  onMessage(message: CommittedMessage): void;
  onReplayed(letters: number): void;
  /** @param usedShares of the group commit's own limits: mutations and bytes, 0 to 1. */
  watchGroupCommit(usedShares: () => readonly number[]): void;
}

/** What alerts look for: these begin at 0, or the first one of each would not be seen as an increase. */
const ALARMING_CODES: readonly ErrorCode[] = [
  "AUTH_UNAVAILABLE",
  "INTERNAL_SERVER_ERROR",
  "OVERLOADED",
  "QUEUE_UNAVAILABLE",
  "STORE_UNAVAILABLE",
];

/** @param operations the names that `onRequest` is called with. */
export function createApiMetrics(registers: Registry[], operations: readonly string[]): ApiMetrics {
  const requests = new Counter({
    name: "impressions_requests_total",
    help: "GraphQL requests by documented operation (or other) and outcome: OK, the code of the most severe error, or CLIENT_GONE.",
    labelNames: ["operation", "code"],
    registers,
  });
  for (const operation of operations) for (const code of ALARMING_CODES) requests.inc({ operation, code }, 0);
  const durations = new Histogram({
    name: "impressions_request_duration_seconds",
    help: "From a GraphQL request's headers to the end of its answer, by documented operation (or other).",
    labelNames: ["operation"],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  });
  const cutOff = new Counter({
    name: "impressions_cut_off_total",
    help: "What was cut off because callers held it too long, or too much of it: unread answers, unfinished bodies, connections beyond CONNECTIONS_MAX.",
    labelNames: ["what"],
    registers,
  });
  for (const what of ["answer", "body", "connection"] satisfies CutOff[]) cutOff.inc({ what }, 0);
  const accepted = new Counter({
    name: "impressions_accepted_total",
    help: "Impressions that the queue has confirmed, those that were sent again included.",
    registers,
  });
  const replayed = new Counter({
    name: "impressions_replayed_total",
    help: "Dead letters that were put back into the queue.",
    registers,
  });
  const mutations = new Histogram({
    name: "impressions_group_commit_mutations",
    help: "Mutations in one message to the queue.",
    buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500],
    registers,
  });
  const impressions = new Histogram({
    name: "impressions_group_commit_impressions",
    help: "Impressions in one message to the queue.",
    buckets: [1, 5, 10, 25, 50, 100, 200, 300, 400, 500],
    registers,
  });
  const publishing = new Histogram({
    name: "impressions_publish_duration_seconds",
    help: "From a message's hand-over to the queue to its confirmation, retries included.",
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers,
  });
  const unconfirmed = new Counter({
    name: "impressions_publish_failures_total",
    help: "Messages that the queue did not confirm; their mutations were answered with an error.",
    registers,
  });
  return {
    onRequest({ operation, code, durationMs }) {
      requests.inc({ operation, code });
      durations.observe({ operation }, durationMs / 1_000);
    },
    onCutOff: (what) => cutOff.inc({ what }),
    onMessage(message) {
      if (!message.confirmed) {
        unconfirmed.inc();
        return;
      }
      accepted.inc(message.impressions);
      mutations.observe(message.mutations);
      impressions.observe(message.impressions);
      publishing.observe(message.durationMs / 1_000);
    },
    onReplayed: (letters) => replayed.inc(letters),
    watchGroupCommit(usedShares) {
      new Gauge({
        name: "impressions_group_commit_used_ratio",
        help: "Used share of what may wait for the queue in this process (PENDING_MUTATIONS_MAX, PENDING_BYTES_MAX): at 1 mutations are answered OVERLOADED.",
        registers,
        collect() {
          this.set(Math.max(...usedShares()));
        },
      });
    },
  };
}
