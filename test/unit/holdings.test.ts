import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createHoldings } from "../../src/server/holdings.ts";

function make({ bytesMax = 100, msMax = 1_000 } = {}) {
  let nowMs = 0;
  const ended: string[] = [];
  const holdings = createHoldings<string>({
    bytesMax,
    msMax,
    monotonicMs: () => nowMs,
    cutOff: (holder) => ended.push(holder),
  });
  const open = (name: string) => holdings.open(name);
  return { holdings, ended, open, wait: (ms: number) => (nowMs += ms) };
}

describe("bytes held for callers", () => {
  test("may reach the limit, and at one byte more the oldest is cut off", () => {
    const { holdings, ended, open } = make();
    const [a, b, c] = ["a", "b", "c"].map(open);
    a?.add(40);
    b?.add(40);
    c?.add(20);
    expect([ended, holdings.bytes()]).toEqual([[], 100]);
    c?.add(1);
    expect([ended, holdings.bytes()]).toEqual([["a"], 61]);
  });

  test("as many are cut off as necessary", () => {
    const { holdings, ended, open } = make();
    for (const name of ["a", "b", "c"]) open(name).add(30);
    open("d").add(70);
    expect([ended, holdings.bytes()]).toEqual([["a", "b"], 100]);
  });

  test("one that alone holds too much is cut off itself", () => {
    const { holdings, ended, open } = make();
    open("a").add(101);
    expect([ended, holdings.bytes()]).toEqual([["a"], 0]);
  });

  test("a released holding is neither counted nor cut off, and may begin anew as the youngest", () => {
    const { holdings, ended, open, wait } = make();
    const a = open("a");
    a.add(90);
    a.release();
    a.release();
    open("b").add(90);
    wait(999);
    holdings.expire();
    expect([ended, holdings.bytes()]).toEqual([[], 90]);
    a.add(20);
    expect([ended, holdings.bytes()]).toEqual([["b"], 20]);
  });

  test("the time counts from the first byte", () => {
    const { holdings, ended, open, wait } = make();
    const [early, a, b] = ["early", "a", "b"].map(open);
    a?.add(1);
    wait(600);
    a?.add(1);
    b?.add(1);
    wait(400);
    early?.add(1);
    holdings.expire();
    expect([ended, holdings.bytes()]).toEqual([["a"], 2]);
  });

  test("a holder that is cut off may release itself, and others", () => {
    const ended: string[] = [];
    const names = ["a", "b", "c"];
    const holdings = createHoldings<string>({
      bytesMax: 10,
      msMax: 1,
      monotonicMs: () => 0,
      cutOff(name) {
        ended.push(name);
        for (const one of opened) one.release();
      },
    });
    const opened = names.map((name) => holdings.open(name));
    for (const one of opened) one.add(4);
    expect([ended, holdings.bytes()]).toEqual([["a"], 0]);
  });

  test("are what a list of them says, in any order of arrivals and ends", () => {
    const step = fc.record({ who: fc.nat(5), bytes: fc.nat(40), release: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { holdings, ended, open } = make();
        const opened = Array.from({ length: 6 }, (_, who) => open(String(who)));
        let list: { readonly who: number; bytes: number }[] = [];
        const expected: string[] = [];
        const sum = () => list.reduce((bytes, one) => bytes + one.bytes, 0);
        for (const { who, bytes, release } of steps) {
          if (release) {
            opened[who]?.release();
            list = list.filter((one) => one.who !== who);
          } else {
            opened[who]?.add(bytes);
            const one = list.find((other) => other.who === who);
            if (one === undefined) list.push({ who, bytes });
            else one.bytes += bytes;
            while (sum() > 100) expected.push(String(list.shift()?.who));
          }
          expect([ended, holdings.bytes()]).toEqual([expected, sum()]);
        }
      }),
    );
  });
});
