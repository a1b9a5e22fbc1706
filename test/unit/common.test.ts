import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chunksOf } from "../../src/common/chunks.ts";
import { createInFlightLimit } from "../../src/common/in-flight-limit.ts";
import { exponentialDelayMs, within } from "../../src/common/waiting.ts";

class LineTooLongError extends Error {}

const LINE = { max: 3, tooMany: () => new LineTooLongError() };

describe("chunks", () => {
  it("hold all items in their order, none more than the size, and none but the last less", () => {
    fc.assert(
      fc.property(fc.array(fc.integer()), fc.integer({ min: 1, max: 20 }), (items, size) => {
        const chunks = chunksOf(items, size);
        expect(chunks.flat()).toEqual(items);
        expect(chunks.slice(0, -1).every((chunk) => chunk.length === size)).toBe(true);
        expect(chunks.at(-1)?.length ?? 1).toBeGreaterThan(0);
        expect(chunks.at(-1)?.length ?? 1).toBeLessThanOrEqual(size);
      }),
    );
  });
});

describe("a bounded wait", () => {
  const never = new Promise<string>(() => undefined);

  it("gives the answer, or the error, that comes in time", async () => {
    expect(await within(60_000, Promise.resolve("answer"), () => "late")).toBe("answer");
    await expect(within(60_000, Promise.reject(new Error("no")), () => "late")).rejects.toThrow("no");
  });

  it("gives what stands for a late answer, or throws it", async () => {
    expect(await within(1, never, () => "late")).toBe("late");
    const late = () => {
      throw new LineTooLongError();
    };
    await expect(within(1, never, late)).rejects.toThrow(LineTooLongError);
  });
});

describe("the exponential delay", () => {
  it("doubles from its minimum to its maximum, and stays there", () => {
    const bounds = { minMs: 100, maxMs: 1_000 };
    expect([1, 2, 3, 4, 5, 6, 2_000].map((failures) => exponentialDelayMs(failures, bounds))).toEqual([
      100, 200, 400, 800, 1_000, 1_000, 1_000,
    ]);
  });
});

describe("tasks in flight", () => {
  it("are bounded, served in order, and waited for", async () => {
    const limit = createInFlightLimit(2);
    const gates = Array.from({ length: 5 }, () => Promise.withResolvers<void>());
    const begun: number[] = [];
    const runs = gates.map((gate, index) =>
      limit.run(async () => {
        begun.push(index);
        await gate.promise;
        if (index === 1) throw new Error("failed");
      }),
    );
    const settled = Promise.allSettled(runs);
    expect(begun).toEqual([0, 1]);
    gates[1]?.resolve();
    await expect(runs[1]).rejects.toThrow("failed");
    expect(begun).toEqual([0, 1, 2]);
    let idle = false;
    const waiting = limit.idle().then(() => {
      idle = true;
    });
    for (const gate of gates.slice(1)) gate.resolve();
    await Promise.allSettled(runs.slice(1));
    expect(idle).toBe(false);
    gates[0]?.resolve();
    await waiting;
    await settled;
    expect(begun).toEqual([0, 1, 2, 3, 4]);
    await limit.idle();
  });

  it("refuse to wait in a line without end", async () => {
    const limit = createInFlightLimit(1, LINE);
    const gate = Promise.withResolvers<void>();
    const waiting = Array.from({ length: 4 }, () => limit.run(() => gate.promise));
    await expect(limit.run(() => gate.promise)).rejects.toThrow(LineTooLongError);
    gate.resolve();
    await Promise.all(waiting);
  });
});

describe("tasks in flight with a signal", () => {
  const reason = new Error("over");

  it("are not begun once it is aborted, and their place in the line is free", async () => {
    const limit = createInFlightLimit(1, LINE);
    const gate = Promise.withResolvers<void>();
    const running = limit.run(() => gate.promise);
    const controller = new AbortController();
    const begun: string[] = [];
    const given = limit.run(async () => void begun.push("given up"), controller.signal);
    const other = limit.run(async () => void begun.push("other"));
    // The rest of the line: with the one that is given up it is full.
    const line = Array.from({ length: 1 }, () => limit.run(async () => undefined));
    await expect(limit.run(async () => undefined)).rejects.toThrow(LineTooLongError);
    controller.abort(reason);
    await expect(given).rejects.toBe(reason);
    line.push(limit.run(async () => undefined));
    await expect(limit.run(async () => undefined, controller.signal)).rejects.toBe(reason);
    gate.resolve();
    await Promise.all([running, other, ...line]);
    expect(begun).toEqual(["other"]);
    await limit.idle();
  });

  it("keep their slot until what was sent is over", async () => {
    const limit = createInFlightLimit(1, LINE);
    const gate = Promise.withResolvers<void>();
    const controller = new AbortController();
    const sent = limit.run(() => gate.promise, controller.signal);
    let hasBegun = false;
    const next = limit.run(async () => {
      hasBegun = true;
    });
    controller.abort(reason);
    await Promise.resolve();
    expect(hasBegun).toBe(false);
    gate.resolve();
    await Promise.all([sent, next]);
    expect(hasBegun).toBe(true);
  });
});
