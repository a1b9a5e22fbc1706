import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type DeadLetter, type DeadLetterReason, deadLetterId } from "../../src/domain/dead-letter.ts";
import { systemClock } from "../../src/domain/time.ts";
import type { StoredDeadLetter } from "../../src/ports/dead-letters.ts";
import { QueueUnavailableError } from "../../src/ports/errors.ts";
import { type Api, startApi } from "../support/api.ts";

/** The queries and mutations of operators. */

const NOW_MS = Date.parse("2026-11-22T10:15:30.123Z");
let api: Api;
beforeEach(async () => {
  api = await startApi({ clock: { ...systemClock, nowMs: () => NOW_MS } });
});
afterEach(() => api.stop());

function letter(number: number, reason: DeadLetterReason, userId = "u1"): DeadLetter {
  const receivedAtUs = NOW_MS * 1_000 + number;
  return {
    id: deadLetterId("IMPRESSIONS", number, 0),
    reason,
    detail: `letter ${number}`,
    userId,
    receivedAtUs,
    failedAtMs: NOW_MS + number * 1_000,
    deliveries: number,
    payload: { userId, receivedAtUs, impression: { postId: `p${number}`, viewedAtMs: NOW_MS } },
  };
}

interface Letters {
  readonly deadLetters: {
    readonly nodes: { readonly detail: string }[];
    readonly edges: { readonly cursor: string }[];
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
  };
}

const LETTERS = `query ($first: Int! = 50, $after: String, $reason: DeadLetterReason) {
  deadLetters(first: $first, after: $after, reason: $reason) {
    nodes { id reason detail receivedAt failedAt deliveries payload } edges { cursor } pageInfo { hasNextPage endCursor }
  }
}`;

async function details(variables: Record<string, unknown> = {}): Promise<string[]> {
  const found: string[] = [];
  let after: string | null = null;
  do {
    const { deadLetters }: Letters = await api.run<Letters>(LETTERS, { ...variables, after });
    found.push(...deadLetters.nodes.map(({ detail }) => detail));
    after = deadLetters.pageInfo.hasNextPage ? deadLetters.pageInfo.endCursor : null;
  } while (after !== null);
  return found;
}

describe("deadLetters", () => {
  test("a letter in full", async () => {
    await api.engine.queue.deadLetters.add([letter(1, "INVALID_POST_ID")]);
    const { deadLetters } = await api.run<Letters>(LETTERS);
    expect(deadLetters.nodes).toEqual([
      {
        id: deadLetterId("IMPRESSIONS", 1, 0),
        reason: "INVALID_POST_ID",
        detail: "letter 1",
        receivedAt: "2026-11-22T10:15:30.123Z",
        failedAt: "2026-11-22T10:15:31.123Z",
        deliveries: 1,
        payload: {
          userId: "u1",
          receivedAtUs: NOW_MS * 1_000 + 1,
          impression: { postId: "p1", viewedAtMs: NOW_MS },
        },
      },
    ]);
  });

  test("an unreadable message", async () => {
    const unreadable: DeadLetter = {
      ...letter(1, "UNREADABLE_MESSAGE"),
      userId: null,
      receivedAtUs: null,
      payload: { base64: "AAEC" },
    };
    await api.engine.queue.deadLetters.add([unreadable]);
    const { deadLetters } = await api.run<Letters>(LETTERS);
    expect(deadLetters.nodes).toMatchObject([{ receivedAt: null, payload: { base64: "AAEC" } }]);
  });

  test.each([1, 2, 3, 500])("newest first, in pages of %d, of all reasons or of one", async (first) => {
    const letters = Array.from({ length: 7 }, (_, index) =>
      letter(index + 1, index % 2 === 0 ? "INVALID_POST_ID" : "VIEWED_IN_FUTURE"),
    );
    await api.engine.queue.deadLetters.add(letters);
    expect(await details({ first })).toEqual([7, 6, 5, 4, 3, 2, 1].map((number) => `letter ${number}`));
    expect(await details({ first, reason: "VIEWED_IN_FUTURE" })).toEqual(
      [6, 4, 2].map((number) => `letter ${number}`),
    );
    expect(await details({ first, reason: "CRASHED_WORKER" })).toEqual([]);
  });

  test("of large payloads are in pages that an answer holds, and none is left out", async () => {
    const numbers = Array.from({ length: 12 }, (_, index) => 12 - index);
    const large: StoredDeadLetter[] = numbers.map((number) => ({
      ...letter(number, "UNREADABLE_MESSAGE"),
      payload: { base64: "A".repeat(1024 * 1024) },
      sequence: number,
    }));
    await api.stop();
    api = await startApi({
      override: ({ queue }) => ({
        queue: {
          ...queue,
          deadLetters: {
            ...queue.deadLetters,
            async page({ before, limit }) {
              const below = large.filter(({ sequence }) => before === null || sequence < before);
              const page = below.slice(0, limit);
              return {
                deadLetters: page,
                next: below.length > limit ? (page.at(-1)?.sequence ?? null) : null,
              };
            },
          },
        },
      }),
    });
    for (const first of [1, 5, 500])
      expect(await details({ first })).toEqual(numbers.map((number) => `letter ${number}`));
  });

  test("a cursor is good for its own filter only, and goes on behind its letter", async () => {
    await api.engine.queue.deadLetters.add([1, 2, 3].map((number) => letter(number, "INVALID_FIELD")));
    const { deadLetters } = await api.run<Letters>(LETTERS, { first: 3 });
    const after = deadLetters.edges[0]?.cursor;
    const rest = await api.run<Letters>(LETTERS, { after });
    expect(rest.deadLetters.nodes.map(({ detail }) => detail)).toEqual(["letter 2", "letter 1"]);
    const foreign = await api.post({ query: LETTERS, variables: { after, reason: "INVALID_FIELD" } });
    expect(foreign.json.errors?.[0]?.extensions.code).toBe("INVALID_CURSOR");
  });
});

describe("the filter of deadLetters", () => {
  const FILTERED = `query ($after: String, $first: Int! = 50, $reason: DeadLetterReason, $ids: [ID!], $userId: ID, $since: DateTime, $until: DateTime) {
    deadLetters(first: $first, after: $after, reason: $reason, ids: $ids, userId: $userId, since: $since, until: $until) {
      nodes { detail } pageInfo { hasNextPage endCursor }
    }
  }`;

  beforeEach(() =>
    api.engine.queue.deadLetters.add([
      letter(1, "REJECTED_BY_STORE"),
      letter(2, "REJECTED_BY_STORE", "u2"),
      letter(3, "INVALID_POST_ID"),
    ]),
  );

  test.each<[string, Record<string, unknown>, string[]]>([
    ["ids", { ids: [deadLetterId("IMPRESSIONS", 2, 0)] }, ["letter 2"]],
    ["userId", { userId: "u1" }, ["letter 3", "letter 1"]],
    [
      "since and until",
      { since: "2026-11-22T10:15:32.123Z", until: "2026-11-22T10:15:33.123Z" },
      ["letter 2"],
    ],
    ["reason and userId", { reason: "REJECTED_BY_STORE", userId: "u1" }, ["letter 1"]],
  ])("by %s", async (_name, variables, found) => {
    const { deadLetters } = await api.run<Letters>(FILTERED, variables);
    expect(deadLetters.nodes.map(({ detail }) => detail)).toEqual(found);
  });

  test("a cursor belongs to all conditions", async () => {
    const { deadLetters } = await api.run<Letters>(FILTERED, { first: 1, userId: "u1" });
    const after = deadLetters.pageInfo.endCursor;
    const rest = await api.run<Letters>(FILTERED, { first: 1, userId: "u1", after });
    expect(rest.deadLetters.nodes.map(({ detail }) => detail)).toEqual(["letter 1"]);
    const foreign = await api.post({ query: FILTERED, variables: { first: 1, userId: "u2", after } });
    expect(foreign.json.errors?.[0]?.extensions.code).toBe("INVALID_CURSOR");
  });
});

describe("replay and discard", () => {
  const act = (name: string, filter: unknown, dryRun?: boolean) =>
    api.run(
      `mutation ($f: DeadLetterFilter!, $d: Boolean! = false) { action: ${name}(filter: $f, dryRun: $d) { matched done } }`,
      {
        f: filter,
        ...(dryRun === undefined ? {} : { d: dryRun }),
      },
    );

  beforeEach(() =>
    api.engine.queue.deadLetters.add([
      letter(1, "REJECTED_BY_STORE"),
      letter(2, "REJECTED_BY_STORE", "u2"),
      letter(3, "INVALID_POST_ID"),
    ]),
  );

  test("a dry run only counts", async () => {
    expect(await act("discardDeadLetters", {}, true)).toEqual({ action: { matched: 3, done: 0 } });
    expect(await act("replayDeadLetters", { reason: "REJECTED_BY_STORE" }, true)).toEqual({
      action: { matched: 2, done: 0 },
    });
    expect(await details()).toHaveLength(3);
  });

  test.each<[string, Record<string, unknown>, string[]]>([
    ["by id", { ids: [deadLetterId("IMPRESSIONS", 2, 0), "unknown"] }, ["letter 3", "letter 1"]],
    ["by user", { userId: "u1" }, ["letter 2"]],
    ["by reason and user", { reason: "REJECTED_BY_STORE", userId: "u1" }, ["letter 3", "letter 2"]],
    [
      "by time",
      { since: "2026-11-22T10:15:32.123Z", until: "2026-11-22T10:15:33.123Z" },
      ["letter 3", "letter 1"],
    ],
    ["all", {}, []],
    ["nulls are no conditions", { ids: null, reason: null, userId: null, since: null, until: null }, []],
  ])("discard %s", async (_name, filter, left) => {
    const gone = 3 - left.length;
    expect(await act("discardDeadLetters", filter)).toEqual({ action: { matched: gone, done: gone } });
    expect(await details()).toEqual(left);
  });

  test("in steps", async () => {
    const STEP = `mutation ($f: DeadLetterFilter!, $a: String, $n: Int!) {
      discardDeadLetters(filter: $f, first: $n, after: $a) { matched done skipped next } }`;
    interface Step {
      readonly discardDeadLetters: { readonly next: string | null };
    }
    const f = { userId: "u1" };
    const { discardDeadLetters: first } = await api.run<Step>(STEP, { f, n: 1 });
    expect(first).toEqual({ matched: 1, done: 1, skipped: 0, next: expect.any(String) });
    const foreign = await api.post({ query: STEP, variables: { f: {}, n: 1, a: first.next } });
    expect(foreign.json.errors?.[0]?.extensions.code).toBe("INVALID_CURSOR");
    const { discardDeadLetters: second } = await api.run<Step>(STEP, { f, n: 10_000, a: first.next });
    expect(second).toEqual({ matched: 1, done: 1, skipped: 0, next: null });
    expect(await details()).toEqual(["letter 2"]);
    for (const n of [0, 10_001]) {
      const { json } = await api.post({ query: STEP, variables: { f, n } });
      expect(json.errors?.[0]?.extensions.code).toBe("BAD_USER_INPUT");
    }
  });

  test("replay puts them back into the queue", async () => {
    expect(await act("replayDeadLetters", { userId: "u2" })).toEqual({ action: { matched: 1, done: 1 } });
    expect(await details()).toEqual(["letter 3", "letter 1"]);
    expect((await api.engine.queue.stats()).pending).toBe(1);
  });
});

describe("erasures", () => {
  const FIELDS = "{ id userId requestedAt status rowsDeleted finishedAt }";

  test("a request answers with its receipt, which can be asked for", async () => {
    const { eraseUser } = await api.run<{ eraseUser: { id: string } }>(
      `mutation { eraseUser(userId: "u1") ${FIELDS} }`,
    );
    expect(eraseUser).toEqual({
      id: expect.any(String),
      userId: "u1",
      requestedAt: "2026-11-22T10:15:30.123Z",
      status: "WAITING_FOR_QUEUE",
      rowsDeleted: 0,
      finishedAt: null,
    });
    expect(await api.run(`query ($id: ID!) { erasure(id: $id) ${FIELDS} }`, { id: eraseUser.id })).toEqual({
      erasure: eraseUser,
    });
  });

  test("when it is done", async () => {
    const receipt = { id: "e1", userId: "u1", requestedAtUs: NOW_MS * 1_000 + 999, rowsDeleted: 7 };
    await api.engine.store.saveErasure({ ...receipt, status: "DONE", finishedAtMs: NOW_MS + 5 });
    expect(await api.run(`{ erasure(id: "e1") ${FIELDS} }`)).toEqual({
      erasure: {
        id: "e1",
        userId: expect.stringMatching(/^hash:[0-9a-f]{32}$/),
        requestedAt: "2026-11-22T10:15:30.123Z",
        status: "DONE",
        rowsDeleted: 7,
        finishedAt: "2026-11-22T10:15:30.128Z",
      },
    });
  });

  test("those that are not finished, of all users or of one", async () => {
    const receipt = { requestedAtUs: NOW_MS * 1_000, rowsDeleted: 0, finishedAtMs: null };
    await api.engine.store.saveErasure({ ...receipt, id: "e1", userId: "u1", status: "DELETING" });
    await api.engine.store.saveErasure({ ...receipt, id: "e2", userId: "u2", status: "WAITING_FOR_QUEUE" });
    await api.engine.store.saveErasure({
      ...receipt,
      id: "e3",
      userId: "u1",
      status: "DONE",
      finishedAtMs: 1,
    });
    const idsOf = (argument: string) => api.run(`{ unfinishedErasures${argument} { id } }`);
    expect(await idsOf("")).toEqual({ unfinishedErasures: [{ id: "e1" }, { id: "e2" }] });
    expect(await idsOf('(userId: "u1")')).toEqual({ unfinishedErasures: [{ id: "e1" }] });
    expect(await idsOf('(userId: "nobody")')).toEqual({ unfinishedErasures: [] });
  });

  test("an unknown one is null", async () => {
    expect(await api.run('{ erasure(id: "nothing") { id } }')).toEqual({ erasure: null });
  });
});

describe("pipeline", () => {
  const PIPELINE =
    "{ pipeline { engine pending inFlight oldestPendingSeconds queueBytes queueLimitBytes deadLetters queueHealthy storeHealthy workers { id state impressionsStored concurrency storeHealthy } } }";

  test("at rest", async () => {
    expect(await api.run(PIPELINE)).toEqual({
      pipeline: {
        engine: "embedded",
        pending: 0,
        inFlight: 0,
        oldestPendingSeconds: 0,
        queueBytes: 0,
        queueLimitBytes: 10 * 1024 ** 3,
        deadLetters: 0,
        queueHealthy: true,
        storeHealthy: true,
        workers: [],
      },
    });
  });

  test("with work, dead letters and a worker", async () => {
    await api.run("mutation ($i: RecordImpressionsInput!) { recordImpressions(input: $i) { accepted } }", {
      i: { userId: "u1", impressions: [{ postId: "p", viewedAt: "2026-11-22T10:15:30Z" }] },
    });
    await api.engine.queue.deadLetters.add([letter(1, "INVALID_FIELD")]);
    const report = {
      id: "w1",
      state: "PAUSED",
      impressionsStored: 2 ** 40,
      concurrency: 16,
      storeHealthy: false,
    } as const;
    api.engine.workerRegistry.report(report);
    expect(await api.run(PIPELINE)).toMatchObject({
      pipeline: {
        pending: 1,
        inFlight: 0,
        queueBytes: expect.any(Number),
        deadLetters: 1,
        workers: [report],
      },
    });
  });

  test("a store that hangs is not healthy, and everything else answers", async () => {
    const hanging = () => new Promise<never>(() => undefined);
    const hung = await startApi({ override: (real) => ({ store: { ...real.store, health: hanging } }) });
    try {
      expect(await hung.run(PIPELINE)).toMatchObject({
        pipeline: { pending: 0, queueHealthy: true, storeHealthy: false },
      });
    } finally {
      await hung.stop();
    }
  });

  test("while the queue is away its numbers fail with its code, and the rest answers", async () => {
    const away = () => Promise.reject(new QueueUnavailableError("away"));
    const health = async () => ({ healthy: false, reason: "away" }) as const;
    const cut = await startApi({
      override: (real) => ({ queue: { ...real.queue, stats: away, health } }),
    });
    try {
      const { json, status } = await cut.post({ query: PIPELINE });
      expect(status).toBe(503);
      expect(json.errors?.[0]?.extensions.code).toBe("QUEUE_UNAVAILABLE");
      expect(await cut.run("{ pipeline { engine queueHealthy storeHealthy workers { id } } }")).toEqual({
        pipeline: { engine: "embedded", queueHealthy: false, storeHealthy: true, workers: [] },
      });
    } finally {
      await cut.stop();
    }
  });
});
