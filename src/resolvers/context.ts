import type { DeadLetterActions } from "../admin/dead-letter-actions.ts";
import type { Erasures } from "../admin/erasures.ts";
import type { Caller } from "../domain/caller.ts";
import type { Clock } from "../domain/time.ts";
import type { ImpressionLimit } from "../ingest/impression-limit.ts";
import type { Recorder } from "../ingest/recorder.ts";
import type { ImpressionQueue } from "../ports/impression-queue.ts";
import type { ImpressionStore } from "../ports/impression-store.ts";
import type { WorkerRegistry } from "../ports/worker-registry.ts";
import { type Candidates, createCandidates } from "./candidates.ts";
import { createLoaders, type Loaders } from "./loaders.ts";
import { newRequestOutcome, type RequestOutcome } from "./request-outcome.ts";

/** What the resolvers translate to. */
export interface ResolverDependencies {
  readonly recorder: Recorder;
  /** Null: no limit. */
  readonly impressionLimit: ImpressionLimit | null;
  readonly store: ImpressionStore;
  readonly queue: ImpressionQueue;
  readonly workerRegistry: WorkerRegistry;
  readonly erasures: Erasures;
  readonly deadLetterActions: DeadLetterActions;
  readonly clock: Clock;
  readonly retentionMs: number;
  /** The engine's name for `pipeline`: embedded or cluster. */
  readonly engine: string;
  /** Which database keeps the views, with its version; null until it was reached. */
  readonly database: () => string | null;
}

/** Where a request comes from. */
export interface Sender {
  readonly caller: Caller;
  /** The network address that it came from; null where it came over none. */
  readonly address: () => string | null;
}

/** What one request's resolvers see. Not #private: Apollo Server copies the context, field by field. */
export class RequestContext {
  readonly deps: ResolverDependencies;
  readonly caller: Caller;
  readonly outcome: RequestOutcome;
  private readonly signalOfRequest: () => AbortSignal;
  private readonly addressOfSender: () => string | null;
  private now: number | undefined;
  private storeLoaders: Loaders | undefined;
  private candidateLists: Candidates | undefined;

  constructor(
    deps: ResolverDependencies,
    { caller, address }: Sender,
    signalOfRequest: () => AbortSignal,
    outcome: RequestOutcome,
  ) {
    this.deps = deps;
    this.caller = caller;
    this.addressOfSender = address;
    this.outcome = outcome;
    this.signalOfRequest = signalOfRequest;
  }

  /** One instant for the whole request, so that equal arguments mean equal windows. */
  get nowMs(): number {
    this.now ??= this.deps.clock.nowMs();
    return this.now;
  }

  /** Whom rate limits count this request for: a user, or an address where there are no users; null: not limited. */
  get countedFor(): string | null {
    const { limited, subject } = this.caller;
    return limited ? (subject ?? this.addressOfSender()) : null;
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
 * @param signal when to stop reading; never asked for where nothing is read. Unless given, nothing ends the reading.
 * @param outcome where what becomes of the request is written down.
 */
export type ContextFactory = (
  sender: Sender,
  signal?: () => AbortSignal,
  outcome?: RequestOutcome,
) => RequestContext;

export function createContextFactory(deps: ResolverDependencies): ContextFactory {
  return (sender, signal = () => new AbortController().signal, outcome = newRequestOutcome("")) =>
    new RequestContext(deps, sender, signal, outcome);
}
