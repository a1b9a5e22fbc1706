import { describe, expect, test } from "vitest";
import { createHoldings } from "../../src/server/holdings.ts";

function make({ bytesMax = 100, msMax = 1_000 } = {}) {
  let nowMs = 0;
  const ended: string[] = [];
  const holdings = createHoldings<string>({
    bytesMax,
    msMax,
    monotonicMs: () => nowMs,
    giveWay: (holder) => ended.push(holder),
  });
  return { holdings, ended, wait: (ms: number) => (nowMs += ms) };
}

describe("what callers make the process hold", () => {
  test("may reach its bytes, and at one more the eldest gives way", () => {
    const { holdings, ended } = make();
    holdings.add("a", 40);
    holdings.add("b", 40);
    holdings.add("c", 20);
    expect([ended, holdings.bytes()]).toEqual([[], 100]);
    holdings.add("c", 1);
    expect([ended, holdings.bytes()]).toEqual([["a"], 61]);
  });

  test("as many give way as must", () => {
    const { holdings, ended } = make();
    for (const holder of ["a", "b", "c"]) holdings.add(holder, 30);
    holdings.add("d", 70);
    expect([ended, holdings.bytes()]).toEqual([["a", "b"], 100]);
  });

  test("one that holds too much alone gives way itself", () => {
    const { holdings, ended } = make();
    holdings.add("a", 101);
    expect([ended, holdings.bytes()]).toEqual([["a"], 0]);
  });

  test("who has let go is neither counted nor ended", () => {
    const { holdings, ended, wait } = make();
    holdings.add("a", 90);
    holdings.release("a");
    holdings.release("a");
    holdings.add("b", 90);
    wait(999);
    holdings.expire();
    expect([ended, holdings.bytes()]).toEqual([[], 90]);
  });

  test("the time counts from the first byte", () => {
    const { holdings, ended, wait } = make();
    holdings.add("a", 1);
    wait(600);
    holdings.add("a", 1);
    holdings.add("b", 1);
    wait(400);
    holdings.expire();
    expect([ended, holdings.bytes()]).toEqual([["a"], 1]);
  });
});
