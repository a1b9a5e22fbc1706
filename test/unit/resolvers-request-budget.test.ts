import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { systemClock } from "../../src/domain/time.ts";
import { publicErrorOf } from "../../src/resolvers/error-mapping.ts";
import {
  RequestOverError,
  RequestTimeoutError,
  startRequestBudget,
} from "../../src/resolvers/request-budget.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("a request's budget", () => {
  test("counts from the request's start, and ends it with a reason that a caller understands", () => {
    const budget = startRequestBudget(1_000, systemClock);
    vi.advanceTimersByTime(400);
    const signal = budget.signal();
    expect(budget.signal()).toBe(signal);
    vi.advanceTimersByTime(599);
    expect(signal.aborted).toBe(false);
    vi.advanceTimersByTime(1);
    expect(signal.reason).toEqual(new RequestTimeoutError(1_000));
    expect(publicErrorOf(signal.reason, () => 0.5)).toEqual({
      code: "STORE_UNAVAILABLE",
      message: expect.stringContaining("within 1000 ms"),
      retryAfterMs: 2_000,
    });
  });

  test("ends with the request, and leaves no timer behind", () => {
    const budget = startRequestBudget(1_000, systemClock);
    const signal = budget.signal();
    expect(vi.getTimerCount()).toBe(1);
    budget.end();
    budget.end();
    expect(signal.reason).toBeInstanceOf(RequestOverError);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("takes no timer where nothing is read", () => {
    const budget = startRequestBudget(1_000, systemClock);
    expect(vi.getTimerCount()).toBe(0);
    budget.end();
    expect(budget.signal().reason).toBeInstanceOf(RequestOverError);
    expect(vi.getTimerCount()).toBe(0);
  });
});
