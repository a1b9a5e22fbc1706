import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { text as readText } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import { ANSWER_BYTES_MAX } from "../../src/server/limits.ts";
import { type Api, type ApiOptions, startApi } from "../support/api.ts";

/** Memory that callers make the process hold: endless bodies, unread answers, connections. */

async function start(options: ApiOptions = {}): Promise<Api> {
  const api = await startApi(options);
  onTestFinished(() => api.stop());
  return api;
}

function open(api: Api): Socket {
  const socket = connect(Number(new URL(api.url).port), "127.0.0.1");
  socket.on("error", () => undefined);
  onTestFinished(() => void socket.destroy());
  return socket;
}

/** However it ends. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) resolve();
    else socket.once("close", () => resolve());
  });
}

function head(bytes: number): string {
  return `POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${bytes}\r\n\r\n`;
}

/** Asks for an answer of some 140 KB that reads nothing but the candidates. */
const LARGE = JSON.stringify({
  query: 'query ($p: [ID!]!) { a: unseenPosts(userId: "u", candidates: $p) }',
  variables: { p: Array.from({ length: 1_000 }, (_, index) => `${index}`.padStart(128, "p")) },
});
const SMALL = { query: "{ __typename }" };

describe("bodies under way", () => {
  test("may be so many bytes together; then the oldest is cut off, and fast requests are served", async () => {
    const cut = Promise.withResolvers<string>();
    const api = await start({
      override: () => ({ held: { bodiesBytesMax: 10_000 }, onCutOff: cut.resolve }),
    });
    const [eldest, second] = [open(api), open(api)];
    const padded = `{"query":"{ __typename }","x":"${"x".repeat(8_000 - 33)}"}`;
    eldest.write(`${head(8_000)}${padded.slice(0, 6_000)}`);
    // Its bytes have arrived before the other's, since an honest request that came later is answered.
    expect((await api.post(SMALL)).status).toBe(200);
    second.write(`${head(8_000)}${padded.slice(0, 6_000)}`);
    const refused = await readText(eldest);
    expect(refused).toMatch(/^HTTP\/1.1 503 /);
    expect(refused).toMatch(/retry-after: \d/);
    expect(refused).toContain('"code":"OVERLOADED","retryAfterMs":');
    expect(await cut.promise).toBe("body");
    expect((await api.post(SMALL)).status).toBe(200);
    second.write(padded.slice(6_000));
    expect(String(await once(second, "data"))).toMatch(/^HTTP\/1.1 200 /);
  });
});

describe("answers that are not read", () => {
  /** Sends the same request until no more of it is taken, and reads nothing. */
  async function askWithoutReading(api: Api): Promise<Socket> {
    const socket = open(api).pause();
    await once(socket, "connect");
    const request = `${head(LARGE.length)}${LARGE}`;
    void (async () => {
      while (!socket.destroyed) {
        if (!socket.write(request)) await Promise.race([once(socket, "drain"), once(socket, "close")]);
      }
    })().catch(() => undefined);
    return socket;
  }

  test("are given up with their connection after a time", async () => {
    const cut = Promise.withResolvers<string>();
    const api = await start({
      override: () => ({
        held: { answersMsMax: 300 },
        arrival: { headersMs: 60_000, requestMs: 60_000, checkMs: 50 },
        onCutOff: cut.resolve,
      }),
    });
    const socket = await askWithoutReading(api);
    expect(await cut.promise).toBe("answer");
    socket.resume();
    await closed(socket);
    expect((await api.post(SMALL)).status).toBe(200);
  });

  test("may be so many bytes together; then the one that waits longest is given up", async () => {
    const cut = Promise.withResolvers<string>();
    const api = await start({
      override: () => ({ held: { answersBytesMax: 200_000 }, onCutOff: cut.resolve }),
    });
    const sockets = [await askWithoutReading(api), await askWithoutReading(api)];
    expect(await cut.promise).toBe("answer");
    for (const socket of sockets) socket.destroy();
    expect((await api.post(SMALL)).status).toBe(200);
  });
});

describe("connections", () => {
  test("beyond the limit are refused, and idle ones make room for the next", async () => {
    const cut = Promise.withResolvers<string>();
    const api = await start({
      environment: { CONNECTIONS_MAX: "2" },
      override: () => ({ onCutOff: cut.resolve }),
    });
    const idle = [open(api), open(api)];
    for (const socket of idle) {
      socket.write("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
      await once(socket, "data");
    }
    await closed(open(api));
    expect(await cut.promise).toBe("connection");
    await Promise.all(idle.map(closed));
    expect((await api.post(SMALL)).status).toBe(200);
  });
});

describe("an answer", () => {
  test.each(["on", "off"])("of more bytes than it may have is refused (GRAPHQL_JIT=%s)", async (jit) => {
    const api = await start({ environment: { GRAPHQL_JIT: jit } });
    const nowMs = Date.now();
    const longId = (index: number) => `${index}`.padStart(128, "🎁").slice(-254);
    await api.store(
      Array.from({ length: 400 }, (_, index) => ({
        userId: "u",
        postId: longId(index),
        viewedAtMs: nowMs - index,
      })),
    );
    const page = (index: number) => `a${index}: seenPosts(userId: "u", first: 400) { nodes { post { id } } }`;
    const query = (pages: number) =>
      `{ ${Array.from({ length: pages }, (_, index) => page(index)).join(" ")} }`;
    const one = await api.post({ query: query(1) });
    expect(one.json.errors).toBeUndefined();
    const pages = Math.ceil(ANSWER_BYTES_MAX / Buffer.byteLength(one.text)) + 1;
    for (let sighting = 0; sighting < 4; sighting++) {
      const { status, json, text } = await api.post({ query: query(pages) });
      expect([status, json]).toEqual([
        400,
        {
          errors: [
            {
              message: expect.stringMatching(
                /^The answer is larger than 8388608 bytes\. Ask for smaller pages/,
              ),
              extensions: { code: "QUERY_TOO_COMPLEX" },
            },
          ],
          data: null,
        },
      ]);
      expect(text.length).toBeLessThan(1_000);
    }
  });
});
