// (d) The bare route in front of the very recorder, group commit and queue of the service: only GraphQL is missing.

import { openEngine } from "../../../src/app/open-engine.ts";
import { readConfig } from "../../../src/config.ts";
import { systemClock } from "../../../src/domain/time.ts";
import { startPressureGauge } from "../../../src/ingest/pressure-gauge.ts";
import { createRecorder } from "../../../src/ingest/recorder.ts";
import { createLogger } from "../../../src/telemetry/logger.ts";
import { serveBareRoute } from "./fastify.ts";

/** An impression as JSON has it. */
interface Sent {
  readonly postId: string;
  readonly viewedAt: string;
  readonly surface?: string;
  readonly position?: number;
  readonly dwellMs?: number;
}

const engine = await openEngine(readConfig(process.env), createLogger("silent"), {
  waitForStore: false,
  clock: systemClock,
});
const groupCommit = engine.newGroupCommit();
const gauge = startPressureGauge({
  queue: engine.queue,
  usedShares: groupCommit.usedShares,
  random: Math.random,
});
const recorder = createRecorder({
  groupCommit,
  receivedAt: engine.receivedAt,
  clock: systemClock,
  flushAfterMs: gauge.flushAfterMs,
});

await serveBareRoute(async ({ userId, impressions }) => {
  const { accepted, receivedAtMs, flushAfterMs } = await recorder.record({
    userId,
    impressions: (impressions as unknown as readonly Sent[]).map(
      ({ postId, viewedAt, surface = null, position = null, dwellMs = null }) => ({
        postId,
        viewedAtMs: Date.parse(viewedAt),
        surface,
        position,
        dwellMs,
      }),
    ),
    sentAtMs: null,
  });
  return { accepted, receivedAt: receivedAtMs, flushAfterMs };
});
