import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { createBatchWriter, createHistoryGroups } from "../../src/workers/commit-groups.ts";
import { type Outcome, partitionOf, STORED, UNAVAILABLE } from "../../src/workers/partition-queues.ts";
import type { PlannedView } from "../../src/workers/planner.ts";
import { viewOf } from "../kit/views.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const plannedOf = (userId: string, postId: string): PlannedView => ({
  view: viewOf({ userId, postId, viewedAtMs: 1_000 }),
  sources: [],
});

/** Groups of users' views of the posts p0, p1, ..., and what they were handed over as. */
function groupsOf(...sizes: readonly number[]) {
  const batches = sizes.map((size, user) => ({
    owner: `u${user}`,
    views: Array.from({ length: size }, (_, post) => plannedOf(`u${user}`, `p${post}`)),
  }));
  const commits: string[] = [];
  const troubled = new Set<string>();
  const groups = createHistoryGroups(batches, {
    isUnhealthy: ({ view }) => troubled.has(view.postId),
    commit: (owner, ended) =>
      commits.push(
        `${owner}: ${ended.map(({ planned, outcome }) => `${planned.view.postId} ${outcome.kind}`).join(", ")}`,
      ),
  });
  const end = (user: number, post: number, outcome = STORED) => {
    const planned = batches[user]?.views[post];
    if (planned === undefined) throw new Error("no such view");
    groups.ended(planned, outcome);
  };
  return { commits, troubled, end };
}

describe("the views of a user", () => {
  test("are committed together once the last viewers row has ended, however it ended", () => {
    const { commits, end } = groupsOf(3, 1);
    end(0, 1);
    end(0, 2, UNAVAILABLE);
    end(1, 0);
    expect(commits).toEqual(["u1: p0 stored"]);
    end(0, 0);
    expect(commits).toEqual(["u1: p0 stored", "u0: p1 stored, p2 unavailable, p0 stored"]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("wait for those that only wait their turn, for however long", () => {
    const { commits, troubled, end } = groupsOf(3);
    end(0, 0);
    troubled.add("p1");
    vi.advanceTimersByTime(60_000);
    expect(commits).toEqual([]);
    end(0, 2);
    vi.advanceTimersByTime(1_000);
    expect(commits).toEqual(["u0: p0 stored, p2 stored"]);
  });

  test("go on without those in trouble, and these follow one by one", () => {
    const { commits, troubled, end } = groupsOf(4);
    end(0, 0);
    end(0, 1);
    for (const post of ["p2", "p3"]) troubled.add(post);
    vi.advanceTimersByTime(999);
    expect(commits).toEqual([]);
    vi.advanceTimersByTime(1);
    end(0, 3);
    end(0, 2, UNAVAILABLE);
    expect(commits).toEqual(["u0: p0 stored, p1 stored", "u0: p3 stored", "u0: p2 unavailable"]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("hold no timer where there are none", () => {
    groupsOf();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("a batch", () => {
  const refused: Outcome = { kind: "refused", detail: "no" };

  /** A writer over outcomes that the test gives, and what became of each row. */
  async function write(posts: readonly string[], outcomeOf: (posts: readonly string[]) => Outcome) {
    const writes: string[] = [];
    const ranks: string[] = [];
    const ended: string[] = [];
    const writer = createBatchWriter(
      {
        async write(partition, run, rank) {
          const begun = writes.length;
          const running = run({ uncoalesced: true });
          const posts = writes[begun] ?? "";
          await running;
          ranks.push(`${partition} at ${rank}`);
          return outcomeOf(posts.split(","));
        },
      },
      "history",
      async (owner, views, { uncoalesced }) => {
        expect([owner, uncoalesced]).toEqual(["u", true]);
        writes.push(views.map(({ postId }) => postId).join(","));
      },
    );
    const views = posts.map((post) => plannedOf("u", post));
    const all = Promise.withResolvers<void>();
    writer({ owner: "u", views }, 7, (planned, outcome) => {
      ended.push(`${planned.view.postId} ${outcome.kind}`);
      if (ended.length === views.length) all.resolve();
    });
    await all.promise;
    return { writes, ranks, ended };
  }

  test("is written once, with its rank, and each of its rows ends as it did", async () => {
    const { writes, ranks, ended } = await write(["p", "q"], () => UNAVAILABLE);
    expect(writes).toEqual(["p,q"]);
    expect(ranks).toEqual([`${partitionOf("history", "u")} at 7`]);
    expect(ended).toEqual(["p unavailable", "q unavailable"]);
  });

  test("that the store refuses is written row by row, and the refused row ends so alone", async () => {
    const { writes, ended } = await write(["p", "q", "r"], (posts) =>
      posts.includes("q") ? refused : STORED,
    );
    expect(writes).toEqual(["p,q,r", "p", "q", "r"]);
    expect(ended.toSorted()).toEqual(["p stored", "q refused", "r stored"]);
  });
});

test("a view ends once, whatever is reported of it later", () => {
  const { commits, end } = groupsOf(2);
  end(0, 0);
  end(0, 0, UNAVAILABLE);
  expect(commits).toEqual([]);
  end(0, 1);
  end(0, 1);
  expect(commits).toEqual(["u0: p0 stored, p1 stored"]);
});

test("a pull without views has no timer, and one with views does not keep the process", () => {
  groupsOf();
  expect(vi.getTimerCount()).toBe(0);
  const unref = vi.fn();
  const interval = vi
    .spyOn(globalThis, "setInterval")
    .mockReturnValue({ unref } as unknown as NodeJS.Timeout);
  onTestFinished(() => interval.mockRestore());
  groupsOf(1);
  expect(unref).toHaveBeenCalledOnce();
});
