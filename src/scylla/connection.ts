import { Client } from "cassandra-driver";
import { exponentialDelayMs, sleep } from "../common/waiting.ts";
import { EngineStartError, StoreUnavailableError } from "../ports/errors.ts";
import type { Log } from "../telemetry/logger.ts";
import { configurationProblem, messageOf, unreachable } from "./errors.ts";
import { clientOptions, type ScyllaSettings } from "./settings.ts";

const RETRY_DELAY = { minMs: 500, maxMs: 10_000 };

/**
 * Where a connection stands. The driver comes back by itself from whatever happens after it was connected once; before
 * that, this tries again.
 */
type State =
  | { readonly name: "connecting"; readonly reason: string }
  | { readonly name: "connected"; readonly client: Client }
  | { readonly name: "closed" };

export interface Connection {
  /** @throws StoreUnavailableError there is no connection yet, or no more; the message says why. */
  client(): Client;
  close(): Promise<void>;
}

export interface ConnectOptions {
  readonly settings: ScyllaSettings;
  /** Looks whether what was connected to can be used. @throws EngineStartError it cannot. */
  readonly verify: (client: Client) => Promise<void>;
  /**
   * What to do while the database cannot be reached: wait for it, saying so, or give a connection that fails every
   * request until it can.
   */
  readonly waitForConnection: boolean;
  /** Ends the waiting. */
  readonly signal?: AbortSignal | undefined;
  readonly log: Log;
}

/**
 * Connects. A database that cannot be reached is waited for, here or in the background; one that can be reached and
 * cannot be used is an error at once.
 *
 * @throws EngineStartError what is configured cannot work: login, certificate, data center, keyspace, schema.
 */
export async function openConnection(options: ConnectOptions): Promise<Connection> {
  const { settings, log } = options;
  const closing = new AbortController();
  const stopped =
    options.signal === undefined ? closing.signal : AbortSignal.any([closing.signal, options.signal]);
  let state: State = { name: "connecting", reason: "not tried yet" };
  let retrying: Promise<void> = Promise.resolve();

  const isConnected = () => state.name === "connected";

  /** Keeps trying until it is connected. @throws EngineStartError, if `refuse` says that it is for now. */
  async function keepTrying(refuse: boolean): Promise<void> {
    for (let failures = 1; !stopped.aborted; failures++) {
      await sleep(exponentialDelayMs(failures, RETRY_DELAY), stopped);
      if (stopped.aborted) return;
      try {
        await tryOnce();
        log.info({}, "connected to the database");
        return;
      } catch (error) {
        if (refuse && error instanceof EngineStartError) throw error;
        log.warn(
          { retryDelayMs: exponentialDelayMs(failures + 1, RETRY_DELAY) },
          `waiting for the database: ${messageOf(error)}`,
        );
      }
    }
  }

  async function tryOnce(): Promise<void> {
    try {
      const client = await connectClient(settings, settings.keyspace, log, options.verify);
      if (closing.signal.aborted) await client.shutdown();
      else state = { name: "connected", client };
    } catch (error) {
      if (state.name === "connecting") state = { name: "connecting", reason: messageOf(error) };
      throw error;
    }
  }

  try {
    await tryOnce();
  } catch (error) {
    if (error instanceof EngineStartError) throw error;
    log.warn({}, `waiting for the database: ${messageOf(error)}`);
    if (options.waitForConnection) {
      await keepTrying(true);
      if (!isConnected()) throw new EngineStartError(messageOf(error), { cause: error });
    } else {
      retrying = keepTrying(false);
    }
  }

  return {
    client() {
      switch (state.name) {
        case "connected":
          return state.client;
        case "connecting":
          throw new StoreUnavailableError(state.reason);
        case "closed":
          throw new StoreUnavailableError("the store is closed");
      }
    },
    async close() {
      closing.abort();
      await retrying;
      const last = state;
      state = { name: "closed" };
      if (last.name === "connected") await last.client.shutdown();
    },
  };
}

/**
 * One try to connect a driver.
 *
 * @param keyspace null for none: where it may have to be created first.
 * @throws EngineStartError what is configured cannot work.
 * @throws StoreUnavailableError the database cannot be reached.
 */
export async function connectClient(
  settings: ScyllaSettings,
  keyspace: string | null,
  log: Log,
  verify: (client: Client) => Promise<void> = async () => undefined,
): Promise<Client> {
  const client = new Client(clientOptions(settings, keyspace));
  client.on("log", (level: string, source: string, message: string) => {
    if (level === "warning" || level === "error") log.debug({ source }, `cassandra-driver: ${message}`);
  });
  try {
    await client.connect();
    await verify(client);
    return client;
  } catch (error) {
    await client.shutdown().catch(() => undefined);
    if (error instanceof EngineStartError || error instanceof StoreUnavailableError) throw error;
    const problem = configurationProblem(error, settings);
    throw problem === null
      ? new StoreUnavailableError(unreachable(error, settings), { cause: error })
      : new EngineStartError(problem, { cause: error });
  }
}
