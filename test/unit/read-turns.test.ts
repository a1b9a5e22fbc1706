import { describe, expect, it } from "vitest";
import { createReadTurns, READ_TURN_MS_MAX, READS_WAITING_MAX } from "../../src/embedded/read-turns.ts";
import { StoreUnavailableError } from "../../src/ports/errors.ts";

const READ_MS = 4;
const unavailable = (reason: string) => new StoreUnavailableError(reason);

/** Turns whose time the test makes, and a count of those of the event loop. */
function virtualTurns() {
  let nowMs = 0;
  let turn = 0;
  let isOver = false;
  const count = () => {
    turn++;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  /** The virtual time that reads took in each turn of the event loop. */
  const msOfTurn = new Map<number, number>();
  const order: string[] = [];
  const turns = createReadTurns({ monotonicMs: () => nowMs });
  return {
    turns,
    msOfTurn,
    order,
    /** A read that takes so long; the promise is of its name. */
    read: (name: string, tookMs = READ_MS, signal?: AbortSignal) =>
      turns.run(
        () => {
          nowMs += tookMs;
          msOfTurn.set(turn, (msOfTurn.get(turn) ?? 0) + tookMs);
          order.push(name);
          return name;
        },
        { unavailable, signal },
      ),
    end: () => {
      isOver = true;
    },
  };
}

describe("turns of reads", () => {
  it("run reads that were asked for at once in order, and let the event loop go round in between", async () => {
    const { read, msOfTurn, order, end } = virtualTurns();
    const names = Array.from({ length: 160 }, (_, index) => `read ${index}`);
    expect(await Promise.all(names.map((name) => read(name)))).toEqual(names);
    end();
    expect(order).toEqual(names);
    expect(Math.max(...msOfTurn.values())).toBeLessThan(READ_TURN_MS_MAX + READ_MS);
    expect(msOfTurn.size).toBeGreaterThanOrEqual((160 * READ_MS) / (READ_TURN_MS_MAX + READ_MS));
  });

  it("run many short reads in one turn", async () => {
    const { read, msOfTurn, end } = virtualTurns();
    await Promise.all(Array.from({ length: 40 }, (_, index) => read(`read ${index}`, READ_TURN_MS_MAX / 20)));
    end();
    expect(msOfTurn.size).toBeLessThanOrEqual(3);
  });

  it("let no later read pass, also while the others wait", async () => {
    const { read, order, end } = virtualTurns();
    const first = Array.from({ length: 5 }, (_, index) => read(`first ${index}`));
    const late = first[0]?.then(() => read("late"));
    await Promise.all([...first, late]);
    end();
    expect(order).toEqual(["first 0", "first 1", "first 2", "first 3", "first 4", "late"]);
  });

  it("don't run what was given up, and go on with the others", async () => {
    const { read, order, end } = virtualTurns();
    const reason = new Error("nobody waits any more");
    const controller = new AbortController();
    const before = [read("a"), read("b")];
    const given = Array.from({ length: 50 }, () => read("given up", READ_MS, controller.signal));
    const after = read("c");
    controller.abort(reason);
    for (const one of given) await expect(one).rejects.toBe(reason);
    await Promise.all([...before, after]);
    end();
    expect(order).toEqual(["a", "b", "c"]);
  });

  it("pass on what a read throws, and go on with the next", async () => {
    const { turns, read, end } = virtualTurns();
    const damaged = new Error("damaged");
    const failing = turns.run(
      () => {
        throw damaged;
      },
      { unavailable },
    );
    const next = read("next");
    await expect(failing).rejects.toBe(damaged);
    expect(await next).toBe("next");
    end();
  });

  it("refuse what would make the line longer than its limit, and take reads again behind it", async () => {
    const { read, order, end } = virtualTurns();
    const waiting = Array.from({ length: READS_WAITING_MAX }, () => read("waited", 0));
    await expect(read("one more", 0)).rejects.toThrow(StoreUnavailableError);
    await Promise.all(waiting);
    expect(await read("later", 0)).toBe("later");
    end();
    expect(order).toHaveLength(READS_WAITING_MAX + 1);
  });
});
