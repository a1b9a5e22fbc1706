import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createFailedRequestLog } from "../../src/server/failed-request-log.ts";
import type { ObservedRequest } from "../../src/server/request-observer.ts";
import { createLogger } from "../../src/telemetry/logger.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const served: ObservedRequest = {
  requestId: "r1",
  operation: "SeenPosts",
  code: "OK",
  durationMs: 12.4,
  ranOutOfTime: false,
};
const late: ObservedRequest = { ...served, code: "STORE_UNAVAILABLE", ranOutOfTime: true };
const overloaded: ObservedRequest = { ...served, code: "OVERLOADED", operation: "other" };

function logging() {
  const lines: Record<string, unknown>[] = [];
  const destination = {
    write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>),
  };
  return { lines, note: createFailedRequestLog(createLogger("info", { destination })) };
}

test("the first request that runs out of time is a line with its id, the others are counted every 10 s", () => {
  const { lines, note } = logging();
  note({ ...late, requestId: "r7" });
  expect(lines).toEqual([
    expect.objectContaining({
      level: 40,
      requestId: "r7",
      operation: "SeenPosts",
      code: "STORE_UNAVAILABLE",
      durationMs: 12,
      msg: "a request ran out of time: the store did not answer within it",
    }),
  ]);
  for (let count = 0; count < 1_000; count++) note(late);
  note(overloaded);
  vi.advanceTimersByTime(9_999);
  expect(lines).toHaveLength(1);
  vi.advanceTimersByTime(1);
  expect(lines[1]).toMatchObject({
    requests: 1_001,
    outOfTime: 1_000,
    byCode: { STORE_UNAVAILABLE: 1_000, OVERLOADED: 1 },
    byOperation: { SeenPosts: 1_000, other: 1 },
  });
  // Quiet for 10 s: the next one is a first one again.
  vi.advanceTimersByTime(10_000);
  expect(lines).toHaveLength(2);
  note(overloaded);
  expect(lines[2]).toMatchObject({ code: "OVERLOADED", msg: "a request could not be served" });
});

test("served requests, mistakes of callers and disconnected callers make no line", () => {
  const { lines, note } = logging();
  for (const code of ["OK", "BAD_USER_INPUT", "INTERNAL_SERVER_ERROR", "CLIENT_GONE"] as const)
    note({ ...served, code });
  vi.advanceTimersByTime(60_000);
  expect(lines).toEqual([]);
});
