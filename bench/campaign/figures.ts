import type { LoadSecond } from "../support/load.ts";
import { percentile } from "../support/statistics.ts";
import type { Asked } from "./question-load.ts";

/** When the burst is, in whole seconds from the start. */
export interface Plan {
  /** Of the steady load's seconds before the burst, these first ones are not looked at. */
  readonly settleSeconds: number;
  readonly burstFrom: number;
  readonly burstTo: number;
  readonly end: number;
}

/** One campaign, as its callers saw it. */
export interface Campaign {
  readonly steadyP99Ms: number;
  readonly burstP99Ms: number;
  readonly afterP99Ms: number;
  /** Seconds after the burst's end until no second's p99 is above twice the steady one. */
  readonly recoverySeconds: number;
  readonly failed: number;
  /** For each second. */
  readonly p99Ms: readonly number[];
}

export function campaignOf(seconds: readonly LoadSecond[], plan: Plan): Campaign {
  const p99Of = (from: number, to: number) =>
    percentile(
      seconds.slice(from, to).flatMap(({ latenciesMs }) => latenciesMs),
      0.99,
    );
  const p99Ms = seconds.slice(0, plan.end).map(({ latenciesMs }) => percentile(latenciesMs, 0.99));
  const steadyP99Ms = p99Of(plan.settleSeconds, plan.burstFrom);
  return {
    steadyP99Ms,
    burstP99Ms: p99Of(plan.burstFrom, plan.burstTo),
    afterP99Ms: p99Of(plan.burstTo, plan.end),
    recoverySeconds: p99Ms.slice(plan.burstTo).findLastIndex((ms) => ms > 2 * steadyP99Ms) + 1,
    failed: seconds.reduce((sum, { failed }) => sum + failed, 0),
    p99Ms,
  };
}

/** The p99 of questions in the burst, times that before it. */
export function questionRatio(asked: readonly Asked[], plan: Plan): number {
  const p99Of = (from: number, to: number) =>
    percentile(
      asked.filter(({ atMs }) => atMs >= from * 1_000 && atMs < to * 1_000).map(({ tookMs }) => tookMs),
      0.99,
    );
  return p99Of(plan.burstFrom, plan.burstTo) / p99Of(plan.settleSeconds, plan.burstFrom);
}
