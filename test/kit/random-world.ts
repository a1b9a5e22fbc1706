import type { Erasure } from "../../src/domain/erasure.ts";
import { DAY_MS } from "../../src/domain/time.ts";
import type { PostViewerRow, SeenPostRow, SeenRule, WalkPage, WalkRequest } from "../../src/domain/walk.ts";
import type { ResolverDependencies } from "../../src/resolvers/context.ts";
import type { Random } from "./random.ts";

/** Ids to ask about: an empty one breaks the rules, and reading what is "broken" fails. */
export const WORLD_IDS = ["u0", "u1", "u2", "p0", "p1", "p2", "p3"]
  .flatMap((id) => [id, id])
  .concat("broken", "");
export const WORLD_NOW_MS = Date.UTC(2026, 10, 22, 12);

const USERS = ["u0", "u1", "u2", "broken"];
const POSTS = ["p0", "p1", "p2", "p3", "broken"];

/** The answers of store and queue while one request is compared. */
export interface RandomWorld {
  /** The calls that record, erase, replay and discard, in order. */
  readonly done: string[];
  readonly rows: readonly (SeenPostRow & PostViewerRow)[];
  /** Answers hold values that their types do not allow. */
  readonly lies: boolean;
  /** Turns of the microtask queue before an answer. */
  readonly turns: number;
}

export function createRandomWorld(random: Random): RandomWorld {
  const perhaps = (value: number) => (random.chance(0.5) ? value : null);
  const rows = USERS.flatMap((userId) =>
    POSTS.filter((postId) => random.chance(postId === "broken" ? 0.08 : 0.6)).map((postId) => ({
      userId,
      postId,
      lastViewedAtMs: WORLD_NOW_MS - random.integer(0, 30) * 1_000,
      views: random.integer(1, 3),
      surface: random.chance(0.5) ? "HOME" : null,
      position: perhaps(random.integer(0, 9)),
      dwellMs: perhaps(random.integer(0, 3)),
    })),
  );
  return { done: [], rows, lies: random.chance(0.06), turns: random.integer(0, 3) };
}

/** Dependencies of resolvers that ask the world of the moment. */
export function dependenciesOn(current: () => RandomWorld): ResolverDependencies {
  const { recorder, store, queue, workerRegistry, erasures, deadLetterActions } = new AskedWorld(current);
  const dependencies = {
    recorder,
    store,
    queue,
    workerRegistry,
    erasures,
    deadLetterActions,
    impressionLimit: null,
    clock: { nowMs: () => WORLD_NOW_MS },
    retentionMs: 90 * DAY_MS,
    engine: "embedded",
    database: () => (current().lies ? null : "SQLite"),
  } satisfies Record<keyof ResolverDependencies, unknown>;
  // Of each, what resolvers ask for is there.
  return dependencies as unknown as ResolverDependencies;
}

class AskedWorld {
  private readonly current: () => RandomWorld;

  constructor(current: () => RandomWorld) {
    this.current = current;
  }

  readonly recorder = {
    record: (submission: { readonly userId: string; readonly impressions: readonly unknown[] }) =>
      this.act("record", submission, submission.userId, () => ({
        accepted: this.unlessLying(submission.impressions.length),
        receivedAt: WORLD_NOW_MS,
        receivedAtMs: WORLD_NOW_MS,
        flushAfterMs: 0,
      })),
  };

  readonly store = {
    seenPosts: (request: WalkRequest) => this.page(request, "userId"),
    postViewers: (request: WalkRequest) => this.page(request, "postId"),
    seenAmong: (userId: string, postIds: readonly string[], rule: SeenRule) =>
      this.after(userId, () => {
        const seen = this.current().rows.filter(
          (row) =>
            row.userId === userId &&
            row.views >= rule.minViews &&
            row.lastViewedAtMs >= rule.sinceMs &&
            (rule.minDwellMs === 0 || (row.dwellMs ?? -1) >= rule.minDwellMs),
        );
        return new Set(seen.map(({ postId }) => postId).filter((postId) => postIds.includes(postId)));
      }),
    findErasure: (id: string) => this.after(id, () => (id.startsWith("u") ? this.erasure(id) : null)),
    unfinishedErasures: () => this.after("", () => ["e1", "e2"].map((id) => this.erasure(id))),
    health: () => this.after("", () => ({ healthy: true })),
  };

  readonly queue = {
    stats: () =>
      this.after("", () => ({
        pending: 1,
        inFlight: 0,
        oldestPendingSeconds: 0.5,
        bytes: 9,
        limitBytes: 99,
      })),
    health: () => this.after("", () => ({ healthy: true })),
    deadLetters: {
      count: () => this.after("", () => 2),
      page: ({ filter, limit }: { readonly filter: Filter; readonly limit: number }) =>
        this.after(filter.userId ?? "", () => ({
          letters: [2, 1].slice(0, limit).map((sequence) => this.letter(sequence)),
          next: null,
        })),
    },
  };

  readonly workerRegistry = {
    current: () =>
      ["w1", "w0"].map((id) => ({
        id,
        state: "IDLE",
        impressionsStored: 1,
        concurrency: 4,
        storeHealthy: true,
      })),
  };

  readonly erasures = {
    request: (userId: string) => this.act("erase", userId, userId, () => this.erasure("e")),
  };

  readonly deadLetterActions = {
    replay: (request: { readonly filter: Filter }) => this.actOnLetters("replay", request),
    discard: (request: { readonly filter: Filter }) => this.actOnLetters("discard", request),
  };

  private actOnLetters(what: string, request: { readonly filter: Filter }) {
    const action = { matched: 2, done: 1, skipped: 1, next: null };
    return this.act(what, request, request.filter.userId ?? "", () => action);
  }

  private act<Value>(what: string, input: unknown, id: string, answer: () => Value): Promise<Value> {
    this.current().done.push(`${what} ${JSON.stringify(input)}`);
    return this.after(id, answer);
  }

  private async after<Value>(id: string, answer: () => Value): Promise<Value> {
    for (let turn = 0; turn < this.current().turns; turn++) await null;
    if (id === "broken") throw new Error("broken");
    return answer();
  }

  private page(
    { ownerId, window, limit }: WalkRequest,
    owner: "userId" | "postId",
  ): Promise<WalkPage<SeenPostRow & PostViewerRow>> {
    return this.after(ownerId, () => {
      const rows = this.current().rows.filter(
        (row) =>
          row[owner] === ownerId &&
          row.lastViewedAtMs >= window.sinceMs &&
          row.lastViewedAtMs < window.untilMs,
      );
      const first = rows.toSorted((a, b) => b.lastViewedAtMs - a.lastViewedAtMs).slice(0, limit);
      return {
        rows: first.map((row) => ({
          ...row,
          views: this.unlessLying(row.views),
          surface: row.surface && this.unlessLying(row.surface),
        })),
        boundMs: window.untilMs,
        next: null,
      };
    });
  }

  private erasure(id: string): Erasure {
    return {
      id,
      userId: "u0",
      requestedAtUs: WORLD_NOW_MS * 1_000,
      status: this.unlessLying("DONE"),
      rowsDeleted: this.unlessLying(3),
      finishedAtMs: null,
    };
  }

  private letter(sequence: number) {
    return {
      id: `l${sequence}`,
      sequence,
      reason: this.unlessLying("INVALID_POST_ID"),
      detail: "no",
      receivedAtUs: sequence % 2 === 0 ? null : WORLD_NOW_MS * 1_000,
      failedAtMs: WORLD_NOW_MS,
      deliveries: 1,
      payload: { postId: sequence },
    };
  }

  /** A value that is no text, no number and in no enum. */
  private unlessLying<Value>(value: Value): Value {
    return this.current().lies ? (Symbol("a lie") as Value) : value;
  }
}

interface Filter {
  readonly userId?: string | null;
}
