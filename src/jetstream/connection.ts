import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type ConnectionOptions as ClientOptions,
  connect,
  credsAuthenticator,
  ErrorCode,
  Events,
  type JetStreamClient,
  type JetStreamManager,
  type NatsConnection,
  type TlsOptions,
} from "nats";
import { within } from "../common/waiting.ts";
import type { Clock } from "../domain/time.ts";
import { EngineStartError, QueueUnavailableError } from "../ports/errors.ts";
import type { Log } from "../telemetry/logger.ts";
import { messageOf, requestError } from "./errors.ts";
import { serverIdentityCheck } from "./server-identity.ts";

/** One try to reach one server. */
const DIAL_TIMEOUT_MS = 5_000;
const DIAL_RETRY_MS = 500;
/** How often a start that waits says what for. */
const WAIT_LOG_INTERVAL_MS = 10_000;
const RECONNECT_WAIT_MS = 250;
const RECONNECT_JITTER_MS = 250;
/** A server that froze, or a network that swallows packets, is noticed after the third ping: 6 s. */
const PING_INTERVAL_MS = 2_000;
const PINGS_UNANSWERED_MAX = 2;

export interface ConnectOptions {
  /** `host:port` each. */
  readonly servers: readonly string[];
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly credsFile?: string | undefined;
  readonly tlsCaFile?: string | undefined;
  /** How long a start waits for a server; undefined waits for ever. */
  readonly connectTimeoutMs?: number | undefined;
  /** How long one request may take. */
  readonly requestTimeoutMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** A connection that comes back by itself, for ever; while it is away, everything fails at once. */
export interface Connection {
  readonly nats: NatsConnection;
  readonly jetstream: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly requestTimeoutMs: number;
  /** The time of everything that uses this connection. */
  readonly clock: Clock;
  /** Why nothing can be sent now; null while connected. */
  outage(): string | null;
  /**
   * Waits for an answer. Nothing is sent while there is no connection: the client would keep it in memory and send it
   * whenever it is back, long after the caller gave up.
   *
   * @throws QueueUnavailableError no connection, or none any more, or no answer in time.
   * @throws NatsError what JetStream refused; see `apiCodeOf`.
   */
  request<Answer>(send: () => Promise<Answer>): Promise<Answer>;
  /** Calls the listener when the connection is lost or closed. @returns how to stop listening. */
  onLoss(listener: (error: QueueUnavailableError) => void): () => void;
  /** Sends what is buffered, then closes. Repeated calls wait for the first. */
  close(): Promise<void>;
}

/**
 * Connects; waits while no server can be reached.
 *
 * @throws EngineStartError what waiting does not mend: credentials, certificates; or the timeout is over.
 */
export async function openConnection(options: ConnectOptions): Promise<Connection> {
  const nats = await dial(options, await clientOptions(options));
  const { log } = options;
  const listeners = new Set<(error: QueueUnavailableError) => void>();
  let outage: string | null = null;
  let closing: Promise<void> | null = null;

  function lost(reason: string): void {
    outage = reason;
    const error = new QueueUnavailableError(reason);
    for (const listener of [...listeners]) listener(error);
  }

  async function watch(): Promise<void> {
    for await (const { type, data } of nats.status()) {
      if (closing !== null) continue;
      switch (type) {
        case Events.Disconnect:
          lost(`NATS: the connection to ${data} is lost`);
          log.warn({ server: data }, "the connection to NATS is lost: connecting again until it works");
          break;
        case Events.Reconnect:
          outage = null;
          log.info({ server: data }, "connected to NATS again");
          break;
        case Events.Error:
          log.warn({ reason: data }, "NATS reports an error");
          break;
      }
    }
  }
  void watch();
  void nats.closed().then((error) => {
    if (closing !== null) return;
    lost(`NATS: the connection is closed: ${messageOf(error)}`);
    log.error({ err: error }, "the connection to NATS is closed for good: restart this process");
  });

  // The client reports its end a moment after it has begun to throw at whatever is sent.
  const outageNow = () => outage ?? (nats.isClosed() ? "NATS: the connection is closed" : null);

  const timeout = options.requestTimeoutMs;
  return {
    nats,
    jetstream: nats.jetstream({ timeout }),
    manager: await nats.jetstreamManager({ timeout, checkAPI: false }),
    requestTimeoutMs: timeout,
    clock: options.clock,
    outage: outageNow,

    request<Answer>(send: () => Promise<Answer>) {
      const reason = outageNow();
      if (reason !== null) return Promise.reject(new QueueUnavailableError(reason));
      const { promise, resolve, reject } = Promise.withResolvers<Answer>();
      listeners.add(reject);
      send()
        .then(resolve, (error: unknown) => reject(requestError(error)))
        .finally(() => listeners.delete(reject));
      return promise;
    },

    onLoss(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },

    close() {
      closing ??= (async () => {
        const connected = outage === null;
        lost("NATS: closed");
        // What the flush waits for may never come: the server may hang.
        if (connected)
          await within(
            timeout,
            nats.flush().catch(() => undefined),
            () => undefined,
          );
        await nats.close();
      })();
      return closing;
    },
  };
}

async function clientOptions(options: ConnectOptions): Promise<ClientOptions> {
  const { servers, user, password, credsFile, tlsCaFile } = options;
  const creds = credsFile === undefined ? null : await contentOf("NATS_CREDS", credsFile);
  const ca = tlsCaFile === undefined ? null : await contentOf("NATS_TLS_CA", tlsCaFile);
  return {
    servers: [...servers],
    name: "impressions",
    ...(user === undefined ? {} : { user, pass: password ?? "" }),
    ...(creds === null ? {} : { authenticator: credsAuthenticator(creds) }),
    ...(ca === null ? {} : { tls: tlsOptions(ca, servers) }),
    timeout: DIAL_TIMEOUT_MS,
    maxReconnectAttempts: -1,
    // Credentials may be rotated under a running process: what is refused now may be accepted later.
    ignoreAuthErrorAbort: true,
    reconnectTimeWait: RECONNECT_WAIT_MS,
    reconnectJitter: RECONNECT_JITTER_MS,
    reconnectJitterTLS: RECONNECT_JITTER_MS,
    pingInterval: PING_INTERVAL_MS,
    maxPingOut: PINGS_UNANSWERED_MAX,
    // Saves a stack capture on every request.
    noAsyncTraces: true,
  };
}

/** The client hands all of it to Node, also what its own types don't know. */
function tlsOptions(
  ca: Buffer,
  servers: readonly string[],
): TlsOptions & { readonly checkServerIdentity: ReturnType<typeof serverIdentityCheck> } {
  return { ca: ca.toString("utf8"), checkServerIdentity: serverIdentityCheck(servers) };
}

async function contentOf(setting: string, file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new EngineStartError(`${setting}=${file}: cannot be read (${messageOf(error)})`, { cause: error });
  }
}

async function dial(options: ConnectOptions, client: ClientOptions): Promise<NatsConnection> {
  const { connectTimeoutMs = Number.POSITIVE_INFINITY, clock, log } = options;
  const servers = options.servers.join(", ");
  const startedMs = clock.monotonicMs();
  let loggedMs = Number.NEGATIVE_INFINITY;
  for (;;) {
    const leftMs = connectTimeoutMs - (clock.monotonicMs() - startedMs);
    let reason: string;
    try {
      return await connect({ ...client, timeout: Math.max(1, Math.min(DIAL_TIMEOUT_MS, leftMs)) });
    } catch (error) {
      const problem = lastingProblem(error);
      if (problem !== null) throw new EngineStartError(`NATS at ${servers} ${problem}`, { cause: error });
      reason = messageOf(error);
    }
    const nowMs = clock.monotonicMs();
    if (nowMs - startedMs >= connectTimeoutMs) {
      throw new EngineStartError(
        `no NATS server answers at ${servers} within ${connectTimeoutMs} ms (${reason}): start one, or correct NATS_SERVERS`,
      );
    }
    if (nowMs - loggedMs >= WAIT_LOG_INTERVAL_MS) {
      loggedMs = nowMs;
      log.warn({ servers, reason }, "waiting for a NATS server: start one, or correct NATS_SERVERS");
    }
    await sleep(Math.min(DIAL_RETRY_MS, Math.max(0, connectTimeoutMs - (nowMs - startedMs))));
  }
}

/** What no waiting mends, and what to do about it; null for a server that cannot be reached now. */
function lastingProblem(error: unknown): string | null {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const said = messageOf(error);
  switch (code) {
    case ErrorCode.AuthorizationViolation:
    case ErrorCode.AuthenticationExpired:
    case ErrorCode.AccountExpired:
    case ErrorCode.BadAuthentication:
      return `refuses the credentials (${said}): correct NATS_USER and NATS_PASSWORD, or NATS_CREDS`;
    case ErrorCode.BadCreds:
      return `cannot be logged in to: the file of NATS_CREDS holds no user credentials (${said})`;
    case ErrorCode.ServerOptionNotAvailable:
      return "offers no TLS, and NATS_TLS_CA asks for it: unset NATS_TLS_CA, or turn TLS on at the server";
    case ErrorCode.Tls:
      return `cannot be talked to over TLS (${said}): correct NATS_TLS_CA`;
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return `has a certificate for other names (${said}): correct NATS_SERVERS to its names, or give it a certificate for these`;
  }
  if (/^(ERR_TLS_|ERR_SSL_|CERT_|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_)/.test(code)) {
    return `has a certificate that is not trusted (${said}): set NATS_TLS_CA to the file of the authority that signed it`;
  }
  return null;
}
