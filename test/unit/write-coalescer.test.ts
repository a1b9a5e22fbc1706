import { describe, expect, test } from "vitest";
import { StoreRefusedError, StoreUnavailableError } from "../../src/ports/errors.ts";
import type { BatchRow } from "../../src/scylla/writes/batches.ts";
import { createWriteCoalescer } from "../../src/scylla/writes/write-coalescer.ts";

const rowOf = (owner: string, weight = 0): BatchRow => ({
  statement: "insertPack",
  parameters: [owner, "x".repeat(weight)],
});

/** A coalescer that records which owners' rows went in one request. */
function recordingCoalescer(
  options: {
    readonly replicasOf?: (owner: string) => string | null;
    readonly failing?: (owners: readonly string[]) => Error | null;
  } = {},
) {
  const { replicasOf = () => "every node", failing = () => null } = options;
  const requests: string[][] = [];
  const ownerOf = ({ parameters: [owner] }: BatchRow) => String(owner);
  const coalescer = createWriteCoalescer(
    async (rows) => {
      const owners = rows.map(ownerOf);
      requests.push(owners);
      const error = failing(owners);
      if (error !== null) throw error;
    },
    () => (row) => replicasOf(ownerOf(row)),
  );
  /** @returns what became of each owner's write. */
  async function writeAll(owners: readonly string[], weight?: number): Promise<unknown[]> {
    const results = await Promise.allSettled(owners.map((owner) => coalescer.write([rowOf(owner, weight)])));
    return results.map((result) => (result.status === "fulfilled" ? "written" : result.reason));
  }
  return { coalescer, requests, writeAll };
}

const ownersFrom = (count: number): string[] => Array.from({ length: count }, (_, index) => `o${index}`);

describe("writes of one turn", () => {
  test("share requests of ten partitions, in the order of asking, each partition whole", async () => {
    const { coalescer, requests } = recordingCoalescer();
    const owners = ownersFrom(12);
    await Promise.all(owners.map((owner) => coalescer.write([rowOf(owner), rowOf(owner)])));
    const twice = owners.flatMap((owner) => [owner, owner]);
    expect(requests).toEqual([twice.slice(0, 20), twice.slice(20)]);
  });

  test("share none with those of the turn before", async () => {
    const { requests, writeAll } = recordingCoalescer();
    await writeAll(["a", "b"]);
    await writeAll(["c"]);
    expect(requests).toEqual([["a", "b"], ["c"]]);
  });

  test("share a request of 4 KiB at most, and what is larger than that has its own", async () => {
    const { requests, writeAll } = recordingCoalescer();
    await writeAll(ownersFrom(5), 1_000);
    expect(requests.map(({ length }) => length)).toEqual([3, 2]);
    requests.length = 0;
    await writeAll(ownersFrom(2), 5_000);
    expect(requests).toEqual([["o0"], ["o1"]]);
  });

  test("share requests with writes to the same replicas only, and with none where the replicas are unknown", async () => {
    const { requests, writeAll } = recordingCoalescer({
      replicasOf: (owner) => (owner.startsWith("?") ? null : owner.slice(0, 1)),
    });
    await writeAll(["a1", "b1", "?1", "a2", "?2", "b2"]);
    expect(requests).toEqual([["a1", "a2"], ["b1", "b2"], ["?1"], ["?2"]]);
  });

  test("are sent at once by a flush, and not again at the end of the turn", async () => {
    const { coalescer, requests, writeAll } = recordingCoalescer();
    const written = writeAll(["a", "b"]);
    coalescer.flush();
    expect(requests).toEqual([["a", "b"]]);
    await written;
    await new Promise((resolve) => setImmediate(resolve));
    expect(requests).toHaveLength(1);
  });
});

describe("a request that fails", () => {
  test("is sent partition by partition where something in it is refused: the others are written", async () => {
    const refused = new StoreRefusedError("bad row");
    const { requests, writeAll } = recordingCoalescer({
      failing: (owners) => (owners.includes("bad") ? refused : null),
    });
    expect(await writeAll(["a", "bad", "b"])).toEqual(["written", refused, "written"]);
    expect(requests).toEqual([["a", "bad", "b"], ["a"], ["bad"], ["b"]]);
  });

  test("fails each of its partitions where the database could not be asked, without asking again", async () => {
    const unavailable = new StoreUnavailableError("timed out");
    const { requests, writeAll } = recordingCoalescer({ failing: () => unavailable });
    for (const result of await writeAll(["a", "b"])) expect(result).toBe(unavailable);
    expect(requests).toHaveLength(1);
  });
});

test("where the replicas cannot be asked for, each write goes alone", async () => {
  const { requests, writeAll } = recordingCoalescer({
    replicasOf: () => {
      throw new TypeError("no ring");
    },
  });
  expect(await writeAll(["a", "b"])).toEqual(["written", "written"]);
  expect(requests).toEqual([["a"], ["b"]]);
});
