import type { LoadSecond } from "../support/load.ts";
import { median, percentile } from "../support/statistics.ts";
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
  return {
    steadyP99Ms: p99Of(plan.settleSeconds, plan.burstFrom),
    burstP99Ms: p99Of(plan.burstFrom, plan.burstTo),
    afterP99Ms: p99Of(plan.burstTo, plan.end),
    failed: seconds.reduce((sum, { failed }) => sum + failed, 0),
    p99Ms,
  };
}

/** For each second, the median over the campaigns. */
export function p99MsBySecond(campaigns: readonly Campaign[]): number[] {
  const seconds = campaigns[0]?.p99Ms.length ?? 0;
  return Array.from({ length: seconds }, (_, second) =>
    median(campaigns.map(({ p99Ms }) => p99Ms[second] ?? 0)),
  );
}

/**
 * Seconds after the burst's end until no second's p99 is above twice the steady one. Of the medians over the campaigns: the
 * p99 of a second of steady load is about its slowest answer, and single answers are slow at any time.
 */
export function recoverySeconds(campaigns: readonly Campaign[], { burstTo }: Plan): number {
  const steadyP99Ms = median(campaigns.map((campaign) => campaign.steadyP99Ms));
  return (
    p99MsBySecond(campaigns)
      .slice(burstTo)
      .findLastIndex((ms) => ms > 2 * steadyP99Ms) + 1
  );
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
