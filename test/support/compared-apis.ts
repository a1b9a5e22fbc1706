import { request as httpRequest } from "node:http";
import { expect } from "vitest";
import { systemClock } from "../../src/domain/time.ts";
import type { HttpServerDependencies } from "../../src/server/http-server.ts";
import { GOOD_ANSWERS_TO_COMPILE } from "../../src/server/limits.ts";
import type { ObservedRequest } from "../../src/server/request-observer.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { type Api, type GraphQLAnswer, type HttpAnswer, startApi } from "./api.ts";

/**
 * Two servers that are to answer the same: one compiles operations and answers requests on the fast path, without Apollo Server, the
 * other leaves everything to Apollo Server and graphql-js.
 */
export interface ComparedApis {
  readonly apis: readonly Api[];
  /**
   * Sends the same to both, often enough that the last one runs compiled where the others had no errors, and compares the
   * answers as they stand on the wire, what is observed of the requests, and what of them is logged.
   */
  expectSame(sent: HttpSent): Promise<HttpAnswer>;
  /** POSTs JSON. */
  expectSamePost(body: unknown, headers?: Record<string, string>): Promise<HttpAnswer>;
  stop(): Promise<unknown>;
}

/** A request as it is written on the wire: no header is added. */
export interface HttpSent {
  readonly method: string;
  /** "" unless given. */
  readonly search?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

interface Side {
  readonly api: Api;
  /** The facts about a request once it is over. */
  over(requestId: string): Promise<ObservedRequest>;
  logged(requestId: string): readonly object[];
}

export async function startCompared(options: {
  readonly nowMs: number;
  readonly environment?: Record<string, string>;
  readonly override?: (real: HttpServerDependencies) => Partial<HttpServerDependencies>;
}): Promise<ComparedApis> {
  const sides = await Promise.all(["on", "off"].map((jit) => startSide(jit, options)));

  async function expectSame(sent: HttpSent): Promise<HttpAnswer> {
    const [compiled, interpreted] = await Promise.all(
      sides.map(async (side) => {
        for (let time = 0; time < GOOD_ANSWERS_TO_COMPILE; time++) await send(side.api, sent);
        const answer = await send(side.api, sent);
        return { answer, told: await comparable(side, answer) };
      }),
    );
    if (compiled === undefined || interpreted === undefined) throw new Error("two servers were asked");
    expect(compiled.told).toEqual(interpreted.told);
    return compiled.answer;
  }

  return {
    apis: sides.map(({ api }) => api),
    expectSame,
    expectSamePost: (body, headers = {}) =>
      expectSame({
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify(body),
      }),
    stop: () => Promise.all(sides.map(({ api }) => api.stop())),
  };
}

async function startSide(jit: string, options: Parameters<typeof startCompared>[0]): Promise<Side> {
  const lines: { readonly requestId?: string }[] = [];
  const observed = new Map<string, PromiseWithResolvers<ObservedRequest>>();
  const observationOf = (requestId: string) => {
    const known = observed.get(requestId) ?? Promise.withResolvers<ObservedRequest>();
    observed.set(requestId, known);
    return known;
  };
  const api = await startApi({
    clock: { ...systemClock, nowMs: () => options.nowMs },
    environment: { ...options.environment, GRAPHQL_JIT: jit },
    override: (real) => ({
      logger: createLogger("info", {
        destination: { write: (line) => void lines.push(JSON.parse(line) as object) },
      }),
      onRequest: (request) => observationOf(request.requestId).resolve(request),
      ...options.override?.(real),
    }),
  });
  return {
    api,
    over: (requestId) => observationOf(requestId).promise,
    logged: (requestId) => lines.filter((line) => line.requestId === requestId),
  };
}

/** The part that two answers to the same request have in common. Retries are jittered. */
async function comparable({ over, logged }: Side, { status, headers, text }: HttpAnswer) {
  const requestId = headers.get("x-request-id") ?? "";
  const { operation, code, ranOutOfTime } = await over(requestId);
  const jittered = text.includes('"retryAfterMs":');
  return {
    status,
    text: text.replaceAll(/"retryAfterMs":\d+/g, '"retryAfterMs":0'),
    headers: Object.fromEntries(
      [...headers].map(([name, value]) => {
        const varies =
          ["date", "x-request-id"].includes(name) ||
          name.startsWith("x-ratelimit") ||
          (jittered && ["retry-after", "content-length"].includes(name));
        return [name, varies ? "there" : value];
      }),
    ),
    observed: { operation, code, ranOutOfTime },
    logged: logged(requestId).map((line) => {
      const { msg, level, operation, path } = line as Record<string, unknown>;
      return { msg, level, operation, path };
    }),
  };
}

function send(api: Api, { method, search = "", headers, body }: HttpSent): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(new URL(`/graphql${search}`, api.url), { method, headers }, (response) => {
      response.setEncoding("utf8");
      let text = "";
      response.on("data", (part: string) => (text += part));
      response.on("error", reject);
      response.on("end", () => {
        const isJson = response.headers["content-type"]?.includes("json") === true;
        resolve({
          status: response.statusCode ?? 0,
          headers: new Headers(
            Object.entries(response.headersDistinct).flatMap(([name, values = []]) =>
              values.map((value): [string, string] => [name, value]),
            ),
          ),
          text,
          json: (isJson ? JSON.parse(text) : {}) as GraphQLAnswer,
        });
      });
    });
    request.on("error", reject);
    request.end(body);
  });
}
