import { setTimeout as sleep } from "node:timers/promises";
import type { JetStreamManager } from "nats";
import type { LoadGenerator, LoadRequest } from "../support/load.ts";
import { IMPRESSIONS_PER_MUTATION, mutationBody } from "../support/mutations.ts";
import { cpuMsOf } from "../support/process-usage.ts";
import { median } from "../support/statistics.ts";
import type { Contestant, ContestantName } from "./contestants.ts";

/** The result of a contestant in one round. */
interface Round {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly serverCpuUs: number;
  readonly natsCpuUs: number;
  readonly generatorCpuShare: number;
}

/** All rounds of an contestant at one number of connections, the warm-up left out. */
export interface Runs {
  readonly contestant: ContestantName;
  readonly rounds: readonly Round[];
}

/** Different mutations: an answer cannot be remembered, and no user or post is special. */
const BODIES = 32;
const POSTS = 5_000;
/**
 * Without it the next contestant pays for NATS's deleting of what the last one published: one build, measured in two places of a
 * round, differed by 5 to 10 %.
 */
const REST_MS = 700;

/** Lets the contestants take turns: in each round every contestant once, each time another one first. */
export async function measureRounds(options: {
  readonly contestants: readonly Contestant[];
  readonly connections: number;
  readonly rounds: number;
  readonly roundMs: number;
  readonly generator: LoadGenerator;
  readonly manager: JetStreamManager;
  /** Of the nodes; their CPU counts together. */
  readonly natsPids: readonly number[];
}): Promise<Runs[]> {
  const { contestants, connections, rounds, roundMs, generator, manager, natsPids } = options;
  const nowMs = Date.now();
  const requests = new Map<ContestantName, readonly LoadRequest[]>();
  for (const contestant of contestants) requests.set(contestant.name, await requestsFor(contestant, nowMs));
  const measured = new Map<ContestantName, Round[]>(contestants.map(({ name }) => [name, []]));
  // The first round warms up, and is not counted.
  for (let round = 0; round <= rounds; round++) {
    for (let turn = 0; turn < contestants.length; turn++) {
      const contestant = contestants[(turn + round) % contestants.length] as Contestant;
      const before = [cpuMsOf(contestant.pid), cpuMsOfAll(natsPids)] as const;
      const result = await generator.run({
        url: `${contestant.url}/graphql`,
        requests: requests.get(contestant.name) ?? [],
        expected: `"accepted":${IMPRESSIONS_PER_MUTATION}`,
        connections,
        durationMs: roundMs,
      });
      const answered = (result.perSecond * roundMs) / 1_000;
      const serverCpuUs = ((cpuMsOf(contestant.pid) - before[0]) * 1_000) / answered;
      const natsCpuUs = ((cpuMsOfAll(natsPids) - before[1]) * 1_000) / answered;
      await manager.streams.purge(contestant.stream);
      await sleep(REST_MS);
      if (round > 0) measured.get(contestant.name)?.push({ ...result, serverCpuUs, natsCpuUs });
    }
  }
  return [...measured].map(([contestant, rounds]) => ({ contestant, rounds }));
}

function cpuMsOfAll(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpuMsOf(pid), 0);
}

/** The median over the rounds. */
export function medianOf({ rounds }: Runs, figure: keyof Round): number {
  return median(rounds.map((round) => round[figure]));
}

/**
 * The median over the rounds of the ratio within a round: whatever the machine does beside the bench, it does to both of
 * a round, and not to all rounds alike.
 */
export function ratioOf(ours: Runs, theirs: Runs, figure: keyof Round): number {
  return median(
    ours.rounds.map((round, index) => round[figure] / (theirs.rounds[index]?.[figure] ?? Number.NaN)),
  );
}

function requestsFor(contestant: Contestant, nowMs: number): Promise<LoadRequest[]> {
  return Promise.all(
    Array.from({ length: BODIES }, async (_, index) => {
      const userId = `user-${String(index).padStart(7, "0")}`;
      const postIds = Array.from(
        { length: IMPRESSIONS_PER_MUTATION },
        (_, view) => `post-${String((index * 7_919 + view * 31) % POSTS).padStart(6, "0")}`,
      );
      return {
        body: mutationBody({ userId, postIds, lastViewMs: nowMs - index }),
        headers: await contestant.headersOf(userId),
      };
    }),
  );
}
