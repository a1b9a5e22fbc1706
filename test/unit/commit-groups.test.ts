import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createHistoryGroups } from "../../src/workers/commit-groups.ts";
import { STORED, UNAVAILABLE } from "../../src/workers/partition-queues.ts";
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
