import { readFileSync } from "node:fs";
import { auth, type ClientOptions, policies, types } from "cassandra-driver";
import { EngineStartError } from "../ports/errors.ts";

/** Where the database is and how to reach it. */
export interface ScyllaSettings {
  /** `host:port` each. The nodes that the driver finds from them are connected to at the port of the first one. */
  readonly contactPoints: readonly string[];
  readonly localDataCenter: string;
  readonly keyspace: string;
  /** With a password; neither where the database asks for none. */
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** Path of a PEM file: the authorities to trust. Given, the connection uses TLS and checks the server's name. */
  readonly tlsCa?: string | undefined;
  /**
   * The name that every node's certificate is for. Without it a certificate has to name its node's address: the driver
   * looks contact points up and connects to addresses, as it does to all the nodes that it finds by itself.
   */
  readonly tlsServerName?: string | undefined;
  /** How long one request may take before it counts as failed. */
  readonly requestTimeoutMs: number;
  /**
   * Connections to each host; 1 unless given. A connection belongs to one CPU core of a ScyllaDB node, which serves its
   * requests and hands on those for data of other cores; Cassandra needs no more than one.
   */
  readonly connectionsPerHost?: number | undefined;
}

const CONNECT_TIMEOUT_MS = 5_000;
/** A host that was lost is tried again after this, doubling; the driver's own default goes up to 10 minutes. */
const RECONNECT_DELAY_MS_MIN = 500;
const RECONNECT_DELAY_MS_MAX = 10_000;
/**
 * A connection on which nothing was sent for this long is asked whether it lives. Where the other end was gone without a
 * word, reads and writes went on after 15 s; with the driver's own default of 30 s, after 37 s (measured).
 */
const HEARTBEAT_INTERVAL_MS = 3_000;
/** A name that needs no quotes, as Cassandra limits it. */
const KEYSPACE = /^[a-z][a-z0-9_]{0,47}$/;

/** The driver's options. @throws EngineStartError a setting cannot be used. */
export function clientOptions(settings: ScyllaSettings, keyspace: string | null): ClientOptions {
  const { user, password, tlsCa, tlsServerName, requestTimeoutMs, connectionsPerHost = 1 } = settings;
  checkKeyspaceName(settings.keyspace);
  if ((user === undefined) !== (password === undefined)) {
    throw new EngineStartError("SCYLLA_USER and SCYLLA_PASSWORD belong together: set both, or none");
  }
  if (tlsServerName !== undefined && tlsCa === undefined) {
    throw new EngineStartError(
      "SCYLLA_TLS_SERVER_NAME is set and SCYLLA_TLS_CA is not: set both to use TLS, or none",
    );
  }
  return {
    contactPoints: [...settings.contactPoints],
    // The database gives the driver addresses without ports: the other nodes would be looked for at 9042.
    protocolOptions: { port: portOf(settings.contactPoints[0]) },
    localDataCenter: settings.localDataCenter,
    ...(keyspace === null ? {} : { keyspace }),
    ...(user === undefined || password === undefined
      ? {}
      : { authProvider: new auth.PlainTextAuthProvider(user, password) }),
    // The driver's own default is not to check the certificate at all.
    ...(tlsCa === undefined
      ? {}
      : {
          sslOptions: {
            ca: [readAuthorities(tlsCa)],
            rejectUnauthorized: true,
            ...(tlsServerName === undefined ? {} : { servername: tlsServerName }),
          },
        }),
    // Times in microseconds and counts come as bigint.
    encoding: { useBigIntAsLong: true },
    queryOptions: { prepare: true, isIdempotent: true, consistency: types.consistencies.localQuorum },
    policies: {
      // Token-aware, local data center only. The retry policy stays the default: it rethrows write timeouts, and
      // the writer tries again.
      loadBalancing: new policies.loadBalancing.DefaultLoadBalancingPolicy(),
      reconnection: new policies.reconnection.ExponentialReconnectionPolicy(
        RECONNECT_DELAY_MS_MIN,
        RECONNECT_DELAY_MS_MAX,
      ),
    },
    pooling: {
      heartBeatInterval: HEARTBEAT_INTERVAL_MS,
      coreConnectionsPerHost: {
        [types.distance.local]: connectionsPerHost,
        [types.distance.remote]: 1,
      },
    },
    socketOptions: { connectTimeout: CONNECT_TIMEOUT_MS, readTimeout: requestTimeoutMs },
  };
}

function portOf(contactPoint = ""): number {
  return Number(contactPoint.slice(contactPoint.lastIndexOf(":") + 1));
}

function checkKeyspaceName(keyspace: string): void {
  if (KEYSPACE.test(keyspace)) return;
  throw new EngineStartError(
    `SCYLLA_KEYSPACE=${keyspace}: must be a lower-case letter, then up to 47 lower-case letters, digits or underscores`,
  );
}

function readAuthorities(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new EngineStartError(`SCYLLA_TLS_CA=${file}: cannot be read; it must be a PEM file`, {
      cause: error,
    });
  }
}
