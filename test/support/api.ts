import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createApi } from "../../src/app/api.ts";
import type { Engine } from "../../src/app/engine.ts";
import { openEngine } from "../../src/app/open-engine.ts";
import { readConfig } from "../../src/config.ts";
import type { View } from "../../src/domain/impression.ts";
import { type Clock, systemClock } from "../../src/domain/time.ts";
import type { HttpServerDependencies } from "../../src/server/http-server.ts";
import { createLogger } from "../../src/telemetry/logger.ts";

/** The API on a free port over a real embedded engine, without workers: tests look into the queue and fill the store. */
export interface Api {
  readonly url: string;
  readonly engine: Engine;
  /** POSTs to /graphql; an object is sent as JSON, anything else as it is. */
  post(body: unknown, headers?: Record<string, string>): Promise<HttpAnswer>;
  /** Runs an operation that must succeed. */
  run<Data = Record<string, unknown>>(query: string, variables?: Record<string, unknown>): Promise<Data>;
  /** Enters views into the store, as the workers would. */
  store(views: readonly StoredView[]): Promise<void>;
  closeServer(): Promise<void>;
  stop(): Promise<void>;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: GraphQLAnswer;
}

export interface GraphQLAnswer {
  readonly data?: unknown;
  readonly errors?: readonly {
    readonly message: string;
    readonly locations?: readonly { readonly line: number; readonly column: number }[];
    readonly path?: readonly (string | number)[];
    readonly extensions: Readonly<Record<string, unknown>>;
  }[];
}

export type StoredView = Pick<View, "userId" | "postId" | "viewedAtMs"> & Partial<View>;

export interface ApiOptions {
  readonly clock?: Clock;
  readonly environment?: Record<string, string>;
  /** 0, the default, is a free one. */
  readonly port?: number;
  /** Stands in for parts of the real dependencies. */
  readonly override?: (real: HttpServerDependencies) => Partial<HttpServerDependencies>;
}

export async function startApi({
  clock = systemClock,
  environment = {},
  port = 0,
  override,
}: ApiOptions = {}): Promise<Api> {
  const dataDir = await mkdtemp(join(tmpdir(), "impressions-api-"));
  const config = readConfig({ DATA_DIR: dataDir, PORT: "0", ...environment });
  const engine = await openEngine(config, createLogger("silent"), { waitForStore: true, clock });
  const groupCommit = engine.newGroupCommit();
  const parts = {
    clock,
    logger: createLogger("silent"),
    version: "0.0.0-test",
    groupCommit,
    onErasureRequest: () => undefined,
    readiness: async () => {
      const queue = await engine.queue.health();
      return { ready: queue.healthy, body: { queue } };
    },
    metrics: null,
    onRequest: () => undefined,
    onCutOff: () => undefined,
  };
  const server = await createApi(engine, config, parts, override);
  const stop = async () => {
    await server.close();
    await groupCommit.drain();
    await engine.close();
    await rm(dataDir, { recursive: true, force: true });
  };
  const { url } = await server.listen({ host: "127.0.0.1", port }).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  const post = (body: unknown, headers: Record<string, string> = {}) => postTo(url, body, headers);
  return {
    url,
    engine,
    post,
    async run<Data>(query: string, variables: Record<string, unknown> = {}) {
      const { json, text } = await post({ query, variables });
      if (json.errors !== undefined) throw new Error(text);
      // A test knows what it asked for.
      return json.data as Data;
    },
    async store(views) {
      for (const view of views) {
        const whole: View = {
          receivedAtUs: view.viewedAtMs * 1_000,
          surface: null,
          position: null,
          dwellMs: null,
          ...view,
        };
        await engine.store.writeViewers(whole.postId, [whole]);
        await engine.store.writeHistory(whole.userId, [whole]);
      }
    },
    closeServer: server.close,
    stop,
  };
}

/** POSTs to a service's /graphql; an object is sent as JSON, anything else as it is. */
export async function postTo(
  url: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<HttpAnswer> {
  const raw = typeof body === "string" || body instanceof Uint8Array;
  const response = await fetch(new URL("/graphql", url), {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: raw ? (body as string) : JSON.stringify(body),
  });
  return readAnswer(response);
}

export async function readAnswer(response: Response): Promise<HttpAnswer> {
  const text = await response.text();
  const json = (text === "" ? {} : JSON.parse(text)) as GraphQLAnswer;
  return { status: response.status, headers: response.headers, text, json };
}
