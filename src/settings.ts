import { z } from "zod";
import {
  addresses,
  bytes,
  flag,
  GIB,
  headerNames,
  integer,
  MIB,
  origins,
  secret,
  text,
  trustProxy,
  wholeNumber,
} from "./config-values.ts";
import { IMPRESSIONS_PER_MUTATION_MAX, RETENTION_DAYS_MAX, SLICE_ROWS_MAX } from "./domain/limits.ts";
import { TOKEN_SETTINGS } from "./token-settings.ts";

/**
 * Every setting with its bounds, its default and its description. docs/settings.md is generated from here (`npm run
 * settings:emit`), so descriptions are Markdown whose links start in docs/. `describe` comes last: zod drops the
 * description of a schema that is wrapped once more.
 */

/** Of those secrets that exist for this service alone. */
const SECRET_CHARACTERS_MIN = 12;
const SECRET_TOO_SHORT = `must have at least ${SECRET_CHARACTERS_MIN} characters`;

/** What tracing and clients add to a page's requests by themselves: W3C, B3, Sentry, Datadog, Elastic, New Relic; Apollo Client. */
const ADDED_HEADERS = [
  "traceparent",
  "tracestate",
  "baggage",
  "b3",
  "x-b3-traceid",
  "x-b3-spanid",
  "x-b3-parentspanid",
  "x-b3-sampled",
  "sentry-trace",
  "x-datadog-trace-id",
  "x-datadog-parent-id",
  "x-datadog-origin",
  "x-datadog-sampling-priority",
  "x-datadog-tags",
  "elastic-apm-traceparent",
  "newrelic",
  "apollographql-client-name",
  "apollographql-client-version",
  "x-apollo-operation-name",
];

const impressionLimit = wholeNumber(0, 1_000_000_000)
  .refine(
    (impressions) => impressions === 0 || impressions >= IMPRESSIONS_PER_MUTATION_MAX,
    `must be 0 for no limit, or at least ${IMPRESSIONS_PER_MUTATION_MAX}, so that the longest list passes`,
  )
  .optional();

const GENERAL = {
  ENGINE: z
    .enum(["embedded", "cluster"], "must be embedded or cluster")
    .default("embedded")
    .describe(
      "embedded: everything in one process, kept in DATA_DIR. cluster: NATS JetStream and ScyllaDB or Cassandra",
    ),
  HOST: text("127.0.0.1").describe(
    "address that the API listens on; a worker serves `/healthz` and `/readyz` there",
  ),
  PORT: integer(4000, 0, 65_535).describe("port that the API listens on; 0 takes a free one"),
  DATA_DIR: text("./data").describe("directory of the embedded engine's files"),
};

const NATS = {
  NATS_SERVERS: addresses("127.0.0.1:4222").describe("servers of the NATS cluster"),
  NATS_NAMESPACE: z
    .string()
    .regex(/^[a-z][a-z0-9_]{0,31}$/, "must be a lower-case letter, then up to 31 of a-z, 0-9 and _")
    .default("impressions")
    .describe(
      "first part of the names of streams and subjects; a second installation on the same NATS needs another one",
    ),
  NATS_CREDS: z
    .string()
    .optional()
    .describe("credentials file to log in with, instead of NATS_USER and NATS_PASSWORD"),
  NATS_USER: z.string().optional().describe("user to log in as"),
  NATS_PASSWORD: secret.optional().describe("password of NATS_USER"),
  NATS_TLS_CA: z
    .string()
    .optional()
    .describe(
      "PEM file with the certificate authorities of the servers; requires [TLS](operations.md#tls-and-logins)",
    ),
};

const DATABASE = {
  SCYLLA_CONTACT_POINTS: addresses("127.0.0.1:9042").describe(
    "nodes to connect to first; other nodes are discovered and reached at the port of the first",
  ),
  SCYLLA_LOCAL_DC: text("datacenter1").describe("data center that requests go to"),
  SCYLLA_KEYSPACE: text("impressions").describe("keyspace of the tables"),
  SCYLLA_USER: z.string().optional().describe("user to log in as"),
  SCYLLA_PASSWORD: secret.optional().describe("password of SCYLLA_USER"),
  SCYLLA_TLS_CA: z
    .string()
    .optional()
    .describe(
      "PEM file with the certificate authorities of the nodes; requires [TLS](operations.md#tls-and-logins)",
    ),
  SCYLLA_TLS_SERVER_NAME: z
    .string()
    .optional()
    .describe("name that the certificate of every node must have; unless set, the node's address"),
  SCYLLA_REQUEST_TIMEOUT_MS: integer(5_000, 100, 120_000).describe("timeout of one request to the database"),
  SCYLLA_REQUESTS_MAX: integer(512, 1, 1_536).describe("requests of a process in flight at once"),
  SCYLLA_CONNECTIONS_PER_HOST: integer(1, 1, 64).describe(
    "connections to each node; several reach more of its [cores](databases.md)",
  ),
  SLICE_ROWS_MAX: integer(SLICE_ROWS_MAX, 100, 1_000_000).describe(
    "rows that a process writes into one slice of a post's viewers before it takes finer slices ([capacity](capacity.md))",
  ),
  READ_CONSISTENCY: z
    .enum(["LOCAL_QUORUM", "LOCAL_ONE"], "must be LOCAL_QUORUM or LOCAL_ONE")
    .default("LOCAL_QUORUM")
    .describe("consistency level of reads; LOCAL_ONE is cheaper and may miss the newest views"),
};

const WORKERS = {
  WORKERS: integer(2, 1, 64).describe("worker loops in a process"),
  WORKER_PULL: integer(500, 1, 4_000).describe("messages that a worker pulls at once"),
  WORKER_CONCURRENCY_MAX: integer(256, 1, 2_048).describe(
    "store writes of a process at once; the number in use adapts below it",
  ),
};

const QUEUE = {
  QUEUE_REPLICAS: integer(1, 1, 5).describe("replicas of the streams; use 3 on a cluster of NATS"),
  QUEUE_MAX_BYTES: bytes(10 * GIB, MIB).describe(
    "size of the queue; a full queue refuses new impressions and keeps the old ones",
  ),
  QUEUE_ACK_WAIT_MS: integer(30_000, 1_000, 600_000).describe(
    "time after which the messages of a dead worker are delivered to another one; the same in all processes",
  ),
  DEAD_LETTER_DAYS: integer(30, 1, 3_650).describe("days that dead letters are kept"),
  DEAD_LETTER_MAX_BYTES: bytes(GIB, MIB).describe(
    "size of the dead letters; while they are full, rejected messages stay in the queue",
  ),
  RETENTION_DAYS: integer(90, 1, RETENTION_DAYS_MAX).describe(
    "days after `viewedAt` that a view is kept and shown",
  ),
};

const API = {
  PENDING_MUTATIONS_MAX: integer(10_000, 1, 1_000_000).describe(
    "mutations that may wait for the queue; above it the API answers OVERLOADED",
  ),
  PENDING_BYTES_MAX: bytes(32 * MIB, MIB).describe(
    "bytes of mutations that may wait for the queue; above it the API answers OVERLOADED",
  ),
  REQUEST_TIMEOUT_MS: integer(10_000, 100, 120_000).describe(
    "time that a query may read before the answer is STORE_UNAVAILABLE; a caller can ask for less with the header `x-request-timeout-ms`",
  ),
  PUBLISH_TIMEOUT_MS: integer(5_000, 100, 60_000).describe(
    "time that a mutation waits for the queue to confirm it",
  ),
  CONNECTIONS_MAX: integer(10_000, 1, 1_000_000).describe(
    "connections to the API at once, about 10 KB each ([what callers may hold](operations.md#what-callers-may-hold))",
  ),
  SHUTDOWN_DELAY_MS: integer(0, 0, 120_000).describe(
    "time that a stopping API still takes requests, so that a [load balancer](operations.md#stopping) notices",
  ),
  SHUTDOWN_TIMEOUT_MS: integer(20_000, 1_000, 600_000).describe(
    "time that a stop may take after SHUTDOWN_DELAY_MS",
  ),
};

const QUERIES = {
  QUERY_COST_MAX: integer(250_000, 1_000, 1_000_000_000).describe("what one query may [cost](query-cost.md)"),
  QUERY_DEPTH_MAX: integer(20, 5, 60).describe("how deep the fields of a query may be nested"),
  GRAPHQL_JIT: flag
    .default(true)
    .describe("compile operations that are repeated; off interprets all of them, with the same answers"),
  TRUSTED_DOCUMENTS: z
    .enum(["any", "only"], "must be any or only")
    .default("any")
    .describe("only: refuse every document that is not [trusted](trusted-documents.md)"),
  TRUSTED_DOCUMENTS_FILE: z
    .string()
    .optional()
    .describe("JSON file with your own [trusted documents](trusted-documents.md)"),
};

const ACCESS = {
  AUTH: z
    .enum(["off", "jwt"], "must be off or jwt")
    .default("off")
    .describe(
      "jwt: every request to `/graphql` needs a [token](access.md). off: the API listens on loopback only, unless ALLOW_INSECURE is on",
    ),
  ...TOKEN_SETTINGS,
};

const RATE_LIMITS = {
  REQUESTS_PER_MINUTE_MAX: wholeNumber(0, 1_000_000_000)
    .optional()
    .describe(
      "requests to `/graphql` from one address in a minute ([rate limits](access.md#rate-limits)); 0: no limit",
    ),
  IMPRESSIONS_PER_MINUTE_MAX: impressionLimit.describe(
    `impressions of one user in a minute, with AUTH=off of one address; 0: no limit, else at least ${IMPRESSIONS_PER_MUTATION_MAX}`,
  ),
  IMPRESSIONS_PER_DAY_MAX: impressionLimit.describe(
    `impressions of one user in a day, with AUTH=off of one address; 0: no limit, else at least ${IMPRESSIONS_PER_MUTATION_MAX}`,
  ),
  TRUST_PROXY: trustProxy.describe(
    "proxies whose `X-Forwarded-For` gives the address of a caller ([behind a load balancer](access.md#rate-limits))",
  ),
};

const EXPOSURE = {
  CORS_ORIGINS: origins.describe(
    "origins whose web pages may call the API, such as `https://shop.example`, `https://*.shop.example` or `capacitor://localhost`, with commas between them",
  ),
  CORS_HEADERS: headerNames(ADDED_HEADERS).describe(
    "headers that a page of CORS_ORIGINS may send, beside [those that the API reads](access.md#web-pages); the default are those of tracing and Apollo Client",
  ),
  ALLOW_INSECURE: flag
    .default(false)
    .describe(
      "listen beyond loopback with AUTH=off, and fetch JWT_JWKS_URL over plain http: only where the network is trusted",
    ),
  PLAYGROUND: flag.optional().describe("serve the GraphQL playground at `/playground`"),
  INTROSPECTION: flag.optional().describe("answer introspection queries"),
};

const COMMANDS = {
  IMPRESSIONS_URL: z
    .url({ protocol: /^https?$/, error: "must be an http or https address" })
    .optional()
    .describe("running service that operator commands call; unless set, the one at HOST and PORT"),
  IMPRESSIONS_TOKEN: secret.optional().describe("[token](access.md) that operator commands send"),
};

const TELEMETRY = {
  METRICS: flag
    .optional()
    .describe(
      "serve [`/metrics`](operations.md#metrics); with AUTH=jwt also on where METRICS_PORT or METRICS_TOKEN is set",
    ),
  METRICS_PORT: wholeNumber(0, 65_535)
    .optional()
    .describe("port of its own for `/metrics`; unless set, PORT"),
  METRICS_TOKEN: secret
    .min(SECRET_CHARACTERS_MIN, SECRET_TOO_SHORT)
    .optional()
    .describe(`bearer token that \`/metrics\` asks for, at least ${SECRET_CHARACTERS_MIN} characters`),
  LOG_USER_IDS: z
    .enum(["hashed", "plain"], "must be hashed or plain")
    .default("hashed")
    .describe("how the log shows user ids"),
  LOG_USER_ID_KEY: secret
    .min(SECRET_CHARACTERS_MIN, SECRET_TOO_SHORT)
    .optional()
    .describe(
      `key of the hashes of user ids, at least ${SECRET_CHARACTERS_MIN} characters; unless set, each process makes its own`,
    ),
  LOG_LEVEL: z
    .enum(
      ["trace", "debug", "info", "warn", "error", "silent"],
      "must be trace, debug, info, warn, error or silent",
    )
    .default("info")
    .describe("least severe level that is logged: one JSON object a line, on stderr"),
};

/** The settings under the headings of docs/settings.md. */
export const SETTING_GROUPS = {
  General: GENERAL,
  NATS,
  "ScyllaDB or Cassandra": DATABASE,
  Workers: WORKERS,
  "Queue, dead letters and retention": QUEUE,
  "API limits and shutdown": API,
  Queries: QUERIES,
  Access: ACCESS,
  "Rate limits": RATE_LIMITS,
  "Web pages and exposure": EXPOSURE,
  "Operator commands": COMMANDS,
  "Metrics and log": TELEMETRY,
} as const;

/** All settings, in the order in which `impressions config` prints them. */
export const SETTINGS = {
  ...GENERAL,
  ...NATS,
  ...DATABASE,
  ...WORKERS,
  ...QUEUE,
  ...API,
  ...QUERIES,
  ...ACCESS,
  ...RATE_LIMITS,
  ...EXPOSURE,
  ...COMMANDS,
  ...TELEMETRY,
} as const;
