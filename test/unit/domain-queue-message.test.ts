import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Submission } from "../../src/domain/impression.ts";
import {
  decodeMessage,
  encodeSubmission,
  impressionsOf,
  joinSubmissions,
} from "../../src/domain/queue-message.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** A message as the first release wrote it. Only ever add versions: what was written once has to be read for ever. */
const VERSION_1 =
  '{"v":1,"submissions":[{"userId":"maría","receivedAtUs":1790000000000123,"impressions":[' +
  '{"postId":"p1","viewedAtMs":1790000000000,"surface":"HOME","position":3,"dwellMs":1800},' +
  '{"postId":"p2","viewedAtMs":1789999999000}]},{"userId":"u2","receivedAtUs":1790000000000124,"impressions":[]}]}';

const submission: fc.Arbitrary<Submission> = fc.record({
  userId: fc.string({ unit: "binary" }),
  receivedAtUs: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  impressions: fc.array(
    fc.record({
      postId: fc.string({ unit: "binary" }),
      viewedAtMs: fc.maxSafeInteger(),
      surface: fc.option(fc.string({ unit: "binary" })),
      position: fc.option(fc.integer()),
      dwellMs: fc.option(fc.integer()),
    }),
    { maxLength: 5 },
  ),
});

describe("a queue message", () => {
  it("gives back the submissions that were joined, without the fields that were null", () => {
    fc.assert(
      fc.property(fc.array(submission, { maxLength: 5 }), (submissions) => {
        const decoded = decodeMessage(bytes(joinSubmissions(submissions.map(encodeSubmission))));
        const expected = submissions.map(({ impressions, ...envelope }) => ({
          ...envelope,
          impressions: impressions.map((impression) =>
            Object.fromEntries(Object.entries(impression).filter(([, value]) => value !== null)),
          ),
          isReplay: false,
        }));
        // Through JSON, which knows no -0.
        expect(JSON.parse(JSON.stringify(decoded))).toEqual(
          JSON.parse(JSON.stringify({ kind: "message", submissions: expected })),
        );
      }),
    );
  });

  // docs/adr/0027: a queue may hold messages of any release, and workers of the release before may read what this one writes.
  it("is written as every release with version 1 reads it, to the byte", () => {
    const submissions = [
      {
        userId: "maría",
        receivedAtUs: 1_790_000_000_000_123,
        impressions: [
          { postId: "p1", viewedAtMs: 1_790_000_000_000, surface: "HOME", position: 3, dwellMs: 1_800 },
          { postId: "p2", viewedAtMs: 1_789_999_999_000, surface: null, position: null, dwellMs: null },
        ],
      },
      { userId: "u2", receivedAtUs: 1_790_000_000_000_124, impressions: [] },
    ];
    expect(joinSubmissions(submissions.map(encodeSubmission))).toBe(VERSION_1);
  });

  it("of every version that was ever written is read, also with fields that came later", () => {
    const later = VERSION_1.replace('"postId":"p2"', '"postId":"p2","later":{"a":1}').replace(
      '"userId":"u2"',
      '"later":true,"userId":"u2"',
    );
    for (const text of [VERSION_1, later]) {
      expect(decodeMessage(bytes(text))).toMatchObject({
        kind: "message",
        submissions: [
          {
            userId: "maría",
            receivedAtUs: 1_790_000_000_000_123,
            impressions: [
              { postId: "p1", viewedAtMs: 1_790_000_000_000, surface: "HOME", position: 3, dwellMs: 1_800 },
              { postId: "p2", viewedAtMs: 1_789_999_999_000 },
            ],
          },
          { userId: "u2", receivedAtUs: 1_790_000_000_000_124, impressions: [] },
        ],
      });
    }
  });

  it("leaves what a submission holds to the judge", () => {
    const message = {
      v: 1,
      submissions: [
        { userId: null, receivedAtUs: 1, impressions: [5, null, [], { postId: {} }] },
        { userId: "u", receivedAtUs: 2, replayed: true, impressions: [] },
        { userId: "u", receivedAtUs: 3, replayed: "true", impressions: [] },
      ],
    };
    expect(decodeMessage(bytes(JSON.stringify(message)))).toEqual({
      kind: "message",
      submissions: [
        { userId: null, receivedAtUs: 1, impressions: [{}, {}, {}, { postId: {} }], isReplay: false },
        { userId: "u", receivedAtUs: 2, impressions: [], isReplay: true },
        { userId: "u", receivedAtUs: 3, impressions: [], isReplay: false },
      ],
    });
  });

  it.each<[string, string, RegExp]>([
    ["nothing", "", /JSON/],
    ["text", "hello", /JSON/],
    ["half of a message", '{"v":1,"submissions":[', /JSON/],
    ["a number", "5", /object/],
    ["null", "null", /object/],
    ["a list", "[]", /object/],
    ["no version", "{}", /version none/],
    ["a newer version", '{"v":2,"submissions":[]}', /version 2/],
    ["a version as text", '{"v":"1","submissions":[]}', /version "?1"?;/],
    ["a version that is no value", '{"v":{"a":[]},"submissions":[]}', /version /],
    ["no submissions", '{"v":1}', /submissions/],
    ["submissions that are no list", '{"v":1,"submissions":{}}', /submissions/],
    ["a submission that is none", '{"v":1,"submissions":[5]}', /impressions/],
    ["a submission without impressions", '{"v":1,"submissions":[{"receivedAtUs":1}]}', /impressions/],
    ["a submission without an instant", '{"v":1,"submissions":[{"impressions":[]}]}', /receivedAtUs/],
    [
      "an instant before all instants",
      '{"v":1,"submissions":[{"impressions":[],"receivedAtUs":0}]}',
      /receivedAtUs/,
    ],
    ["half an instant", '{"v":1,"submissions":[{"impressions":[],"receivedAtUs":1.5}]}', /receivedAtUs/],
    [
      "an instant beyond counting",
      '{"v":1,"submissions":[{"impressions":[],"receivedAtUs":1e300}]}',
      /receivedAtUs/,
    ],
  ])("is unreadable: %s", (_name, text, detail) => {
    expect(decodeMessage(bytes(text))).toEqual({ kind: "unreadable", detail: expect.stringMatching(detail) });
  });

  it("says why in one short sentence, whatever stands where the version should", () => {
    const decoded = decodeMessage(bytes(JSON.stringify({ v: "x".repeat(100_000), submissions: [] })));
    expect(decoded.kind === "unreadable" && decoded.detail.length).toBeLessThan(200);
  });

  it("is unreadable where it is not UTF-8", () => {
    // Inside of a text, where anything that decodes would be JSON.
    const [before = "", after = ""] = VERSION_1.split("HOME");
    const withBytes = (...middle: number[]) => new Uint8Array([...bytes(before), ...middle, ...bytes(after)]);
    expect(decodeMessage(withBytes(0x48)).kind).toBe("message");
    for (const middle of [[0xff], [0xc3], [0xed, 0xa0, 0x80]])
      expect(decodeMessage(withBytes(...middle)).kind, String(middle)).toBe("unreadable");
  });

  it("numbers its impressions through all of its submissions, from 0", () => {
    const decoded = decodeMessage(
      bytes(
        '{"v":1,"submissions":[{"receivedAtUs":1,"impressions":[{},{}]},{"receivedAtUs":1,"impressions":[{}]}]}',
      ),
    );
    if (decoded.kind !== "message") throw new Error(decoded.detail);
    expect(impressionsOf(decoded.submissions).map(({ index }) => index)).toEqual([0, 1, 2]);
  });

  it("is read or called unreadable, never an exception, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.json().map(bytes)), (body) => {
        expect(decodeMessage(body).kind).toBeOneOf(["message", "unreadable"]);
      }),
    );
  });
});
