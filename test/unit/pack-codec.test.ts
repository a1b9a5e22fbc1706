import { readFileSync } from "node:fs";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Impression } from "../../src/domain/impression.ts";
import { compareUtf8 } from "../../src/domain/utf8-order.ts";
import { laterReceived } from "../../src/domain/versions.ts";
import {
  decodePack,
  type EncodedPack,
  forEachView,
  PACK_BYTES_MAX,
  PACK_SPAN_MS_MAX,
  PACK_VIEWS_MAX,
  packsOf,
} from "../../src/scylla/packs/pack-codec.ts";
import { tailOfId } from "../../src/scylla/packs/pack-layout.ts";
import { CorruptPackError } from "../../src/scylla/packs/pack-reader.ts";

/** So many random submissions; `PACK_RUNS=1000000` takes minutes, and wants `--test-timeout`. */
const RUNS = Number(process.env.PACK_RUNS ?? 500);
const NOON = Date.UTC(2026, 10, 23, 12);

const anyId = fc.oneof(
  fc.integer({ min: 0, max: 20_000 }).map((number) => `post-${String(number).padStart(8, "0")}`),
  fc.uuid(),
  // What only looks like a UUID in its canonical form.
  fc.uuid().map((uuid) => uuid.toUpperCase()),
  fc.uuid().map((uuid) => `${uuid}0`),
  fc.uuid().map((uuid) => uuid.replaceAll("-", "_")),
  fc.string({ minLength: 1, maxLength: 128, unit: "grapheme" }),
  fc.constantFrom("a", "aa", "\uff61", "\u{1f600}", "\u{1f601}"),
);
const anyNumber = fc.oneof(fc.nat(300), fc.constantFrom(127, 128, 16_383, 16_384), fc.maxSafeNat());
const anyView: fc.Arbitrary<Impression> = fc.record({
  postId: anyId,
  viewedAtMs: fc.oneof(
    fc.integer({ min: 0, max: 60_000 }).map((ms) => NOON - ms),
    fc.integer({ min: 0, max: 3_600_000 }).map((ms) => NOON - ms),
    fc.constantFrom(0, 1, NOON, NOON - PACK_SPAN_MS_MAX, NOON - PACK_SPAN_MS_MAX - 1, 8_640_000_000_000_000),
  ),
  surface: fc.option(
    fc.oneof(fc.constantFrom("HOME", "SEARCH", ""), fc.string({ maxLength: 64, unit: "grapheme" })),
  ),
  position: fc.option(anyNumber),
  dwellMs: fc.option(anyNumber),
});
const anySubmission = fc.array(anyView, { minLength: 1, maxLength: 150, size: "max" });

function viewsIn(packs: readonly EncodedPack[]): Impression[] {
  return packs.flatMap(({ bytes, newestAtMs, id }) => decodePack(bytes, newestAtMs, id));
}

/** The views that stay, in the order of a walk. */
function expectedOf(views: readonly Impression[]): Impression[] {
  const stays = new Map<string, Impression>();
  for (const view of views) {
    const key = `${view.viewedAtMs} ${view.postId}`;
    const received = { userId: "u", receivedAtUs: 1 };
    const known = stays.get(key);
    const later =
      known === undefined ? view : laterReceived({ ...known, ...received }, { ...view, ...received });
    const { postId, viewedAtMs, surface, position, dwellMs } = later;
    stays.set(key, { postId, viewedAtMs, surface, position, dwellMs });
  }
  return [...stays.values()].sort((a, b) => b.viewedAtMs - a.viewedAtMs || compareUtf8(b.postId, a.postId));
}

/** A pack with these bytes whose checksum is right. */
function withChecksum(newestAtMs: number, bytes: Buffer): EncodedPack {
  const id = Buffer.alloc(8);
  id.writeUInt32BE(crc32(bytes, (Math.floor(newestAtMs / 2 ** 32) ^ newestAtMs) >>> 0));
  return { newestAtMs, id, bytes };
}

const read = ({ bytes, newestAtMs, id }: EncodedPack) => decodePack(bytes, newestAtMs, id);

describe("the vectors of the format", () => {
  const vectors = JSON.parse(readFileSync(new URL("pack-vectors.json", import.meta.url), "utf8")) as {
    readonly what: string;
    readonly views: Impression[];
    readonly packs: { readonly newestAtMs: number; readonly id: string; readonly bytes: string }[];
  }[];

  test.each(vectors)("$what", ({ views, packs }) => {
    const encoded = packsOf(views).map(({ newestAtMs, id, bytes }) => ({
      newestAtMs,
      id: id.toString("hex"),
      bytes: bytes.toString("hex"),
    }));
    expect(encoded).toEqual(packs);
    const stored = packs.map(({ newestAtMs, id, bytes }) => ({
      newestAtMs,
      id: Buffer.from(id, "hex"),
      bytes: Buffer.from(bytes, "hex"),
    }));
    expect(viewsIn(stored)).toEqual(expectedOf(views));
  });
});

describe("packs", () => {
  test("hold the views that stay, newest first, within their limits", () => {
    fc.assert(
      fc.property(anySubmission, (views) => {
        const packs = packsOf(views);
        expect(viewsIn(packs)).toEqual(expectedOf(views));
        for (const pack of packs) {
          const held = read(pack);
          const oldestMs = held.at(-1)?.viewedAtMs ?? Number.NaN;
          expect(pack.newestAtMs).toBe(held[0]?.viewedAtMs);
          expect(pack.newestAtMs - oldestMs).toBeLessThanOrEqual(PACK_SPAN_MS_MAX);
          expect(held.length).toBeLessThanOrEqual(PACK_VIEWS_MAX);
          if (held.length > 1) expect(pack.bytes.length).toBeLessThanOrEqual(PACK_BYTES_MAX);
          expect(pack.id).toHaveLength(8);
          const visited: unknown[] = [];
          forEachView(pack.bytes, pack.newestAtMs, pack.id, (view) => {
            visited.push({ postId: view.postId(), viewedAtMs: view.viewedAtMs });
            expect(view.tail()).toBe(tailOfId(view.postId()));
          });
          expect(visited).toEqual(held.map(({ postId, viewedAtMs }) => ({ postId, viewedAtMs })));
        }
      }),
      { numRuns: RUNS },
    );
  });

  test("are the same in whatever order the views come", () => {
    fc.assert(
      fc.property(anySubmission, fc.infiniteStream(fc.nat()), (views, order) => {
        const shuffled = views
          .map((view) => ({ view, at: Number(order.next().value) }))
          .sort((a, b) => a.at - b.at)
          .map(({ view }) => view);
        expect(packsOf(shuffled)).toEqual(packsOf(views));
      }),
      { numRuns: RUNS },
    );
  });

  test("are cut at 100 views, at 15 minutes and at 24 KiB", () => {
    const views = (count: number, apartMs: number, idLength: number) =>
      Array.from({ length: count }, (_, index) => ({
        ...{ postId: String(index).padEnd(idLength, "x"), viewedAtMs: NOON - index * apartMs },
        ...{ surface: null, position: null, dwellMs: null },
      }));
    const sizes = (given: readonly Impression[]) => packsOf(given).map((pack) => read(pack).length);
    expect(sizes(views(201, 1, 5))).toEqual([100, 100, 1]);
    expect(sizes(views(4, PACK_SPAN_MS_MAX / 2, 5))).toEqual([3, 1]);
    expect(sizes(views(3, PACK_SPAN_MS_MAX + 1, 5))).toEqual([1, 1, 1]);
    expect(sizes(views(10, 1, 5_000))).toEqual([4, 4, 2]);
    expect(sizes(views(3, 1, PACK_BYTES_MAX))).toEqual([1, 1, 1]);
    expect(packsOf([])).toEqual([]);
  });

  test("with the same views and another instant, or other views, are other rows", () => {
    const view = { postId: "p", viewedAtMs: NOON, surface: "HOME", position: 1, dwellMs: 2 };
    const others = [
      view,
      { ...view, viewedAtMs: NOON + 1 },
      { ...view, postId: "q" },
      { ...view, surface: null },
      { ...view, position: 2 },
      { ...view, dwellMs: null },
    ];
    expect(new Set(others.map((other) => packsOf([other])[0]?.id.toString("hex"))).size).toBe(others.length);
  });

  test.each([-1, 0.5, Number.NaN, 2 ** 53])("refuse the position %d", (position) => {
    const view = { postId: "p", viewedAtMs: NOON, surface: null, position, dwellMs: null };
    expect(() => packsOf([view])).toThrow("is no safe integer from 0");
  });
});

describe("bytes that are no pack", () => {
  test("are refused wherever a bit was turned, bytes were lost or some were added", () => {
    fc.assert(
      fc.property(anySubmission, fc.nat(), fc.nat(7), fc.nat(255), (views, place, bit, byte) => {
        for (const pack of packsOf(views).slice(0, 2)) {
          const { bytes, newestAtMs, id } = pack;
          const at = place % bytes.length;
          const turned = Buffer.from(bytes);
          turned[at] = (turned[at] ?? 0) ^ (1 << bit);
          const turnedId = Buffer.from(id);
          turnedId[place % 4] = (turnedId[place % 4] ?? 0) ^ (1 << bit);
          const damaged: EncodedPack[] = [
            { ...pack, bytes: turned },
            { ...pack, bytes: bytes.subarray(0, at) },
            {
              ...pack,
              bytes: Buffer.concat([bytes.subarray(0, at), Buffer.from([byte]), bytes.subarray(at)]),
            },
            { ...pack, id: turnedId },
            { ...pack, id: id.subarray(0, 7) },
            { ...pack, newestAtMs: newestAtMs + 1 },
          ];
          for (const other of damaged) expect(() => read(other)).toThrow(CorruptPackError);
        }
      }),
      { numRuns: RUNS },
    );
  });

  test("are refused with a right checksum, too, or give views: nothing else is thrown, and nothing hangs", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.boolean(), (content, isVersioned) => {
        const bytes = Buffer.from(isVersioned ? [1, ...content] : content);
        try {
          for (const view of read(withChecksum(NOON, bytes)))
            expect(view.viewedAtMs).toBeLessThanOrEqual(NOON);
        } catch (error) {
          expect(error).toBeInstanceOf(CorruptPackError);
        }
      }),
      { numRuns: 10 * RUNS },
    );
  });

  test.each([
    ["a later version", "0201", "its version is 2, and this release reads 1"],
    ["an end inside a view", "010100", "it ends too early"],
    ["bytes behind the last view", "0101000161ff", "bytes follow its last view"],
    ["a surface without a name", "0101200161", "a surface has no name"],
    ["an id that goes on where none ends", "01020001610000020162", "an id goes on where none ends"],
    ["a number beyond 2^53", "0101020161ffffffffffffffffff01", "a number is too large"],
  ])("say what is wrong: %s", (_what, hex, message) => {
    expect(() => read(withChecksum(NOON, Buffer.from(hex, "hex")))).toThrow(message);
  });
});

test("fields that a later release adds to a view are passed over", () => {
  // Flags that say so, the id "a", and three bytes of something; five milliseconds older, "b" at position 7.
  const bytes = Buffer.from("010208016103ffffff050200016207", "hex");
  expect(read(withChecksum(NOON, bytes))).toEqual([
    { postId: "a", viewedAtMs: NOON, surface: null, position: null, dwellMs: null },
    { postId: "b", viewedAtMs: NOON - 5, surface: null, position: 7, dwellMs: null },
  ]);
});
