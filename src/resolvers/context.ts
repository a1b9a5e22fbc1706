import type { DeadLetterActions } from "../admin/dead-letter-actions.ts";
import type { Erasures } from "../admin/erasures.ts";
import type { Caller } from "../domain/caller.ts";
import type { Clock } from "../domain/time.ts";
import type { Recorder } from "../ingest/recorder.ts";
import type { ImpressionQueue } from "../ports/impression-queue.ts";
import type { ImpressionStore } from "../ports/impression-store.ts";
import type { WorkerBoard } from "../ports/worker-board.ts";
import { type Candidates, createCandidates } from "./candidates.ts";
import { createLoaders, type Loaders } from "./loaders.ts";
import { newRequestOutcome, type RequestOutcome } from "./request-outcome.ts";

/** What the resolvers translate to. */
export interface ResolverDependencies {
  readonly recorder: Recorder;
  readonly store: ImpressionStore;
  readonly queue: ImpressionQueue;
  readonly workerBoard: WorkerBoard;
  readonly erasures: Erasures;
  readonly deadLetterActions: DeadLetterActions;
  readonly clock: Clock;
  readonly retentionMs: number;
  /** The engine's name for `pipeline`: embedded or cluster. */
  readonly engine: string;
}

/** What one request's resolvers see. Not #private: Apollo Server copies the context, field by field. */
export class RequestContext {
  readonly deps: ResolverDependencies;
  readonly caller: Caller;
  readonly outcome: RequestOutcome;
  private readonly signalOfRequest: () => AbortSignal;
  private now: number | undefined;
  private storeLoaders: Loaders | undefined;
  private candidateLists: Candidates | undefined;

  constructor(
    deps: ResolverDependencies,
    caller: Caller,
    signalOfRequest: () => AbortSignal,
    outcome: RequestOutcome,
  ) {
    this.deps = deps;
    this.caller = caller;
    this.outcome = outcome;
    this.signalOfRequest = signalOfRequest;
  }

  /** One instant for the whole request, so that equal arguments mean equal windows. */
  get nowMs(): number {
    this.now ??= this.deps.clock.nowMs();
    return this.now;
  }

  // Created on first use: recordImpressions, the hot path, needs neither.
  get loaders(): Loaders {
    this.storeLoaders ??= createLoaders(this.deps.store, this.signalOfRequest());
    return this.storeLoaders;
  }

  get candidates(): Candidates {
    this.candidateLists ??= createCandidates();
    return this.candidateLists;
  }
}

/**
 * Makes the context of each request.
 *
 * @param caller who sent it.
 * @param signal when to stop reading; never asked for where nothing is read. Unless given, nothing ends the reading.
 * @param outcome where what becomes of the request is written down.
 */
export type ContextFactory = (
  caller: Caller,
  signal?: () => AbortSignal,
  outcome?: RequestOutcome,
) => RequestContext;

export function createContextFactory(deps: ResolverDependencies): ContextFactory {
  return (caller, signal = () => new AbortController().signal, outcome = newRequestOutcome("")) =>
    new RequestContext(deps, caller, signal, outcome);
}
