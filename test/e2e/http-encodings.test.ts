import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BODY_BYTES_MAX } from "../../src/domain/limits.ts";
import { type Api, startApi } from "../support/api.ts";

/** Compressed bodies, as mobile apps send them: read, and bounded by what they hold. */

let api: Api;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api?.stop());

const QUERY = '{"query":"{ __typename }"}';
const ENCODERS = { gzip: gzipSync, deflate: deflateSync } as const;
/** A query of so many bytes in all. */
const sized = (bytes: number) => `${QUERY}${" ".repeat(bytes - QUERY.length)}`;

function expectRefusal(
  { status, json }: Awaited<ReturnType<Api["post"]>>,
  expected: number,
  code: string,
  message: RegExp,
) {
  expect([status, json]).toEqual([
    expected,
    { errors: [{ message: expect.stringMatching(message), extensions: { code } }] },
  ]);
}

describe.each(Object.entries(ENCODERS))("content-encoding: %s", (encoding, compress) => {
  const post = (body: Uint8Array, name = encoding) => api.post(body, { "content-encoding": name });

  test("is read, ids unchanged", async () => {
    const variables = { p: ["p1", "é", "🎁"] };
    const query = 'query ($p: [ID!]!) { unseenPosts(userId: "u", candidates: $p) }';
    const { status, json } = await post(compress(JSON.stringify({ query, variables })));
    expect([status, json]).toEqual([200, { data: { unseenPosts: variables.p } }]);
  });

  test("is a name in any case", async () => {
    expect((await post(compress(QUERY), encoding.toUpperCase())).status).toBe(200);
  });

  test("may hold as much as any other body, and not a byte more", async () => {
    expect((await post(compress(sized(BODY_BYTES_MAX)))).status).toBe(200);
    for (const bytes of [BODY_BYTES_MAX + 1, 2 * BODY_BYTES_MAX])
      expectRefusal(await post(compress(sized(bytes))), 413, "BATCH_TOO_LARGE", /larger than 262144 bytes/);
  });

  test("is refused where the body is none of it, or not whole", async () => {
    const whole = compress(QUERY);
    for (const body of [Buffer.from(QUERY), whole.subarray(0, -4), Buffer.alloc(0)])
      expectRefusal(
        await post(body),
        400,
        "BAD_USER_INPUT",
        new RegExp(`not the ${encoding} that its content-encoding`),
      );
  });

  test("hides nothing that is wrong inside", async () => {
    expectRefusal(await post(compress(Buffer.from([0xff, 0xfe]))), 400, "BAD_USER_INPUT", /UTF-8/);
    expectRefusal(await post(compress("no JSON")), 400, "BAD_USER_INPUT", /^The body must be JSON/);
  });
});

test("a body that says that it is not compressed is read", async () => {
  expect((await api.post(QUERY, { "content-encoding": "identity" })).status).toBe(200);
});

test.each(["br", "zstd", "gzip, gzip", "aes128gcm", "x"])(
  "content-encoding: %s is refused by name",
  async (encoding) => {
    const answer = await api.post(brotliCompressSync(QUERY), { "content-encoding": encoding });
    expectRefusal(answer, 415, "BAD_USER_INPUT", /content-encoding.* gzip, deflate/);
    expect(answer.headers.get("accept-encoding")).toBe("gzip, deflate");
  },
);
