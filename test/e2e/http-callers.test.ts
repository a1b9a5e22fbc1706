import { METHODS } from "node:http";
import { connect } from "node:net";
import { text as readText } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HEADER_CHARACTERS_MAX } from "../../src/server/header-limits.ts";
import type { ObservedRequest } from "../../src/server/request-observer.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { type Api, startApi } from "../support/api.ts";

/** Mistakes of callers before GraphQL: the answer names them, and the log has no error of the service. */

let api: Api;
const logged: string[] = [];
const observed: ObservedRequest[] = [];
let onObserved: () => void = () => undefined;

beforeAll(async () => {
  api = await startApi({
    environment: { TRUST_PROXY: "1" },
    override: () => ({
      logger: createLogger("info", { destination: { write: (line) => void logged.push(line) } }),
      onRequest(request) {
        observed.push(request);
        onObserved();
      },
    }),
  });
});
afterAll(() => api?.stop());

/** Writes bytes, and reads until the server ends the connection. */
async function raw(bytes: string): Promise<string> {
  const socket = connect(Number(new URL(api.url).port), "127.0.0.1");
  socket.write(bytes);
  return readText(socket);
}

describe("an HTTP method", () => {
  const others = METHODS.filter((method) => !["GET", "POST", "CONNECT"].includes(method));

  test.each(others)("%s is none of this endpoint", async (method) => {
    logged.length = 0;
    const answer = await raw(`${method} /graphql HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1.1 405 /);
    expect(answer).toMatch(/^allow: GET, POST\r$/m);
    if (method !== "HEAD") expect(answer).toContain('"BAD_USER_INPUT"');
    expect(logged).toEqual([]);
  });

  test.each(others)("%s of a path that is not there", async (method) => {
    logged.length = 0;
    expect(await raw(`${method} /nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)).toMatch(
      /^HTTP\/1.1 40[04] /,
    );
    expect(logged).toEqual([]);
  });

  test.each(["CONNECT /graphql", "FROB /graphql", "GET "])("%s is no request", async (line) => {
    logged.length = 0;
    expect(await raw(`${line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)).toMatch(
      /^(HTTP\/1.1 400 |$)/,
    );
    expect(logged).toEqual([]);
  });
});

describe("an upload that breaks off", () => {
  const HEAD = "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";

  test.each([
    ["before its first byte", `${HEAD}content-length: 1000\r\n\r\n`],
    ["in the middle", `${HEAD}content-length: 1000\r\n\r\n{"query":`],
    ["in a chunk", `${HEAD}transfer-encoding: chunked\r\n\r\n64\r\n{"query":`],
    ["between chunks", `${HEAD}transfer-encoding: chunked\r\n\r\n1\r\n{\r\n`],
  ])("%s is CLIENT_GONE, and nothing in the log", async (_, bytes) => {
    logged.length = 0;
    observed.length = 0;
    const over = new Promise<void>((resolve) => {
      onObserved = resolve;
    });
    const socket = connect(Number(new URL(api.url).port), "127.0.0.1");
    socket.write(bytes);
    // Its bytes have been read by the time that a request which came later is answered.
    await fetch(new URL("/healthz", api.url));
    socket.resetAndDestroy();
    await over;
    expect(observed.map(({ code }) => code)).toEqual(["CLIENT_GONE"]);
    expect(logged).toEqual([]);
  });
});

describe("a header", () => {
  const send = (name: string, length: number, method = "POST") =>
    raw(
      `${method} /graphql HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${name}: ${"x".repeat(length)}\r\n` +
        `content-length: 2\r\n\r\n{}`,
    );

  test.each(Object.entries(HEADER_CHARACTERS_MAX))(
    "%s: %d characters and not one more",
    async (name, max) => {
      expect(await send(name, max)).not.toMatch(/^HTTP\/1.1 431 /);
      for (const method of ["POST", "OPTIONS"]) {
        const answer = await send(name, max + 1, method);
        expect(answer).toMatch(/^HTTP\/1.1 431 /);
        expect(answer).toContain(`The header ${name} is longer than ${max} characters.`);
        expect(answer).toContain('"BAD_USER_INPUT"');
      }
    },
  );

  test("is as long as all that were sent under its name", async () => {
    const half = `accept: ${"x".repeat(HEADER_CHARACTERS_MAX.accept / 2)}\r\n`;
    expect(await raw(`GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${half}${half}\r\n`)).toMatch(
      /^HTTP\/1.1 431 /,
    );
  });

  test("that no library reads may be long: cookies of a shared domain, a referrer", async () => {
    const long = "x".repeat(6_000);
    const headers = { cookie: long, referer: long, "x-anything": "x" };
    expect((await api.post({ query: "{ __typename }" }, headers)).status).toBe(200);
  });
});
