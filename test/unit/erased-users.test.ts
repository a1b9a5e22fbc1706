import { expect, onTestFinished, test } from "vitest";
import { DAY_MS, systemClock } from "../../src/domain/time.ts";
import type { Database } from "../../src/scylla/database.ts";
import { createErasedUsers } from "../../src/scylla/erased-users.ts";
import { createUserHashes } from "../../src/scylla/user-hashes.ts";
import { createLogger } from "../../src/telemetry/logger.ts";

/** Each look reads a day at a time; so many are some ten looks. */
const READS = 1_000;

test("while the clock runs ahead, each look still reads what is recorded now", async () => {
  const jump = { ms: 0 };
  const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + jump.ms };
  /** From which instant each read went on. */
  const readFrom: number[] = [];
  const database: Pick<Database, "read"> = {
    read: async (_statement, parameters) => {
      readFrom.push(Number(parameters[1]));
      return [];
    },
  };
  const erasedUsers = createErasedUsers({
    database: database as Database,
    userHashes: createUserHashes(database as Database),
    retentionMs: DAY_MS,
    clock,
    refreshIntervalMs: 1,
    log: createLogger("silent"),
  });
  onTestFinished(erasedUsers.close);
  await erasedUsers.ready();
  jump.ms = 100 * DAY_MS;
  await expect.poll(() => readFrom.length, { timeout: 60_000 }).toBeGreaterThan(READS);
  expect(Math.max(...readFrom)).toBeLessThan(systemClock.nowMs());
});
