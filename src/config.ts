import { z } from "zod";
import type { TokenSettings } from "./access/authenticator.ts";
import {
  addresses,
  bytes,
  ConfigError,
  flag,
  GIB,
  headerNames,
  integer,
  isLoopback,
  MIB,
  origins,
  secret,
  text,
  trustProxy,
  wholeNumber,
} from "./config-values.ts";
import { IMPRESSIONS_PER_MUTATION_MAX, RETENTION_DAYS_MAX } from "./domain/limits.ts";
import { SLICE_ROWS_MAX } from "./domain/slices.ts";
import { DAY_MS } from "./domain/time.ts";
import { readTokenSettings, TOKEN_SETTINGS } from "./token-settings.ts";

/**
 * The one place that reads the environment. Every setting has a name, a unit, bounds and a default; `impressions
 * config` prints them, and a wrong one stops the start with a line that says what is expected.
 */

/** From one address, with AUTH=jwt: a thousand a second, for many phones share the address of their carrier. */
const REQUESTS_PER_MINUTE = 60_000;
/** Of one user, with AUTH=jwt: what a phone has kept through a long time without a network (5,000) passes at once. */
const IMPRESSIONS_PER_MINUTE = 6_000;
/** Of one user, with AUTH=jwt: one every two seconds for eleven hours. Bounds what one user can make all others read past. */
const IMPRESSIONS_PER_DAY = 20_000;
/** Of those that whoever runs the service makes up for it alone. */
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

/** Settings in the order in which `impressions config` prints them. */
const SETTINGS = {
  ENGINE: z.enum(["embedded", "cluster"], "must be embedded or cluster").default("embedded"),
  HOST: text("127.0.0.1"),
  PORT: integer(4000, 0, 65_535),
  DATA_DIR: text("./data"),
  NATS_SERVERS: addresses("127.0.0.1:4222"),
  NATS_NAMESPACE: z
    .string()
    .regex(/^[a-z][a-z0-9_]{0,31}$/, "must be a lower-case letter, then up to 31 of a-z, 0-9 and _")
    .default("impressions"),
  NATS_CREDS: z.string().optional(),
  NATS_USER: z.string().optional(),
  NATS_PASSWORD: secret.optional(),
  NATS_TLS_CA: z.string().optional(),
  SCYLLA_CONTACT_POINTS: addresses("127.0.0.1:9042"),
  SCYLLA_LOCAL_DC: text("datacenter1"),
  SCYLLA_KEYSPACE: text("impressions"),
  SCYLLA_USER: z.string().optional(),
  SCYLLA_PASSWORD: secret.optional(),
  SCYLLA_TLS_CA: z.string().optional(),
  SCYLLA_TLS_SERVER_NAME: z.string().optional(),
  SCYLLA_REQUEST_TIMEOUT_MS: integer(5_000, 100, 120_000),
  SCYLLA_REQUESTS_MAX: integer(512, 1, 1_536),
  SCYLLA_CONNECTIONS_PER_HOST: integer(1, 1, 64),
  SLICE_ROWS_MAX: integer(SLICE_ROWS_MAX, 100, 1_000_000),
  READ_CONSISTENCY: z
    .enum(["LOCAL_QUORUM", "LOCAL_ONE"], "must be LOCAL_QUORUM or LOCAL_ONE")
    .default("LOCAL_QUORUM"),
  WORKERS: integer(2, 1, 64),
  WORKER_PULL: integer(500, 1, 4_000),
  WORKER_CONCURRENCY_MAX: integer(256, 1, 2_048),
  QUEUE_REPLICAS: integer(1, 1, 5),
  QUEUE_MAX_BYTES: bytes(10 * GIB, MIB),
  QUEUE_ACK_WAIT_MS: integer(30_000, 1_000, 600_000),
  DEAD_LETTER_DAYS: integer(30, 1, 3_650),
  DEAD_LETTER_MAX_BYTES: bytes(GIB, MIB),
  RETENTION_DAYS: integer(90, 1, RETENTION_DAYS_MAX),
  PENDING_MUTATIONS_MAX: integer(10_000, 1, 1_000_000),
  PENDING_BYTES_MAX: bytes(32 * MIB, MIB),
  REQUEST_TIMEOUT_MS: integer(10_000, 100, 120_000),
  PUBLISH_TIMEOUT_MS: integer(5_000, 100, 60_000),
  CONNECTIONS_MAX: integer(10_000, 1, 1_000_000),
  SHUTDOWN_DELAY_MS: integer(0, 0, 120_000),
  SHUTDOWN_TIMEOUT_MS: integer(20_000, 1_000, 600_000),
  QUERY_COST_MAX: integer(250_000, 1_000, 1_000_000_000),
  QUERY_DEPTH_MAX: integer(20, 5, 60),
  GRAPHQL_JIT: flag.default(true),
  TRUSTED_DOCUMENTS: z.enum(["any", "only"], "must be any or only").default("any"),
  TRUSTED_DOCUMENTS_FILE: z.string().optional(),
  AUTH: z.enum(["off", "jwt"], "must be off or jwt").default("off"),
  ...TOKEN_SETTINGS,
  REQUESTS_PER_MINUTE_MAX: wholeNumber(0, 1_000_000_000).optional(),
  IMPRESSIONS_PER_MINUTE_MAX: impressionLimit,
  IMPRESSIONS_PER_DAY_MAX: impressionLimit,
  TRUST_PROXY: trustProxy,
  CORS_ORIGINS: origins,
  CORS_HEADERS: headerNames(ADDED_HEADERS),
  ALLOW_INSECURE: flag.default(false),
  PLAYGROUND: flag.optional(),
  INTROSPECTION: flag.optional(),
  IMPRESSIONS_URL: z.url({ protocol: /^https?$/, error: "must be an http or https address" }).optional(),
  IMPRESSIONS_TOKEN: secret.optional(),
  METRICS: flag.optional(),
  METRICS_PORT: wholeNumber(0, 65_535).optional(),
  METRICS_TOKEN: secret.min(SECRET_CHARACTERS_MIN, SECRET_TOO_SHORT).optional(),
  LOG_USER_IDS: z.enum(["hashed", "plain"], "must be hashed or plain").default("hashed"),
  LOG_USER_ID_KEY: secret.min(SECRET_CHARACTERS_MIN, SECRET_TOO_SHORT).optional(),
  LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error", "silent"]).default("info"),
} as const;

const schema = z.object(SETTINGS);
/** Settings that are never printed or logged, and never trimmed: see `secret`. */
export const SECRETS: ReadonlySet<keyof typeof SETTINGS> = new Set<keyof typeof SETTINGS>([
  "IMPRESSIONS_TOKEN",
  "JWT_SECRET",
  "LOG_USER_ID_KEY",
  "METRICS_TOKEN",
  "NATS_PASSWORD",
  "SCYLLA_PASSWORD",
]);
/** Settings that begin with a login elsewhere. */
const ADDRESSES: ReadonlySet<keyof typeof SETTINGS> = new Set<keyof typeof SETTINGS>([
  "IMPRESSIONS_URL",
  "JWT_JWKS_URL",
  "NATS_SERVERS",
  "SCYLLA_CONTACT_POINTS",
]);
const NOT_SHOWN = "(not shown)";

type Settings = z.output<typeof schema>;

/** The names of all settings, in the order in which `impressions config` prints them. */
const SETTING_NAMES = Object.keys(SETTINGS) as (keyof Settings)[];

/** The settings by their environment names, plus what follows from them. */
export interface Config extends Settings {
  readonly PLAYGROUND: boolean;
  readonly INTROSPECTION: boolean;
  /** Whether /metrics is served: unless set, only where access control is off, a token is asked for, or on a port of its own. */
  readonly METRICS: boolean;
  readonly REQUESTS_PER_MINUTE_MAX: number;
  readonly IMPRESSIONS_PER_MINUTE_MAX: number;
  readonly IMPRESSIONS_PER_DAY_MAX: number;
  readonly retentionMs: number;
  /** Null with AUTH=off. */
  readonly tokens: TokenSettings | null;
}

/**
 * Reads the configuration.
 *
 * @throws ConfigError where a setting cannot be used, naming it, what it holds and what is expected.
 */
export function readConfig(environment: Record<string, string | undefined>): Config {
  const given = Object.fromEntries(
    SETTING_NAMES.flatMap((name) => {
      const value = SECRETS.has(name) ? environment[name] : environment[name]?.trim();
      return value === undefined || value === "" ? [] : [[name, value]];
    }),
  );
  const parsed = schema.safeParse(given);
  if (!parsed.success) {
    const lines = parsed.error.issues.map((issue) => {
      const name = issue.path[0] as keyof Settings;
      return `${name}=${SECRETS.has(name) ? NOT_SHOWN : withoutSecrets(name, given[name] ?? "")}: ${issue.message}`;
    });
    throw new ConfigError(lines.join("\n"));
  }
  const settings = parsed.data;
  const open = settings.AUTH === "off";
  if (open && !isLoopback(settings.HOST) && !settings.ALLOW_INSECURE) {
    throw new ConfigError(
      `HOST=${settings.HOST}: with AUTH=off anyone who reaches this address can read and write everything. ` +
        "Listen on 127.0.0.1, or set ALLOW_INSECURE=1 if something in front of the service checks access.",
    );
  }
  return {
    ...settings,
    PLAYGROUND: settings.PLAYGROUND ?? open,
    INTROSPECTION: settings.INTROSPECTION ?? open,
    METRICS:
      settings.METRICS ??
      (open || settings.METRICS_TOKEN !== undefined || settings.METRICS_PORT !== undefined),
    REQUESTS_PER_MINUTE_MAX: settings.REQUESTS_PER_MINUTE_MAX ?? (open ? 0 : REQUESTS_PER_MINUTE),
    IMPRESSIONS_PER_MINUTE_MAX: settings.IMPRESSIONS_PER_MINUTE_MAX ?? (open ? 0 : IMPRESSIONS_PER_MINUTE),
    IMPRESSIONS_PER_DAY_MAX: settings.IMPRESSIONS_PER_DAY_MAX ?? (open ? 0 : IMPRESSIONS_PER_DAY),
    retentionMs: settings.RETENTION_DAYS * DAY_MS,
    tokens: readTokenSettings(settings),
  };
}

/** The settings in force, a line each, as the environment would give them; secrets redacted. */
export function describeConfig(config: Config): string[] {
  return SETTING_NAMES.map((name) => {
    const value = config[name];
    if (value === undefined) return `${name}=`;
    return `${name}=${SECRETS.has(name) ? "(set)" : printable(name, value)}`;
  });
}

/** What the configuration says about the log, its level aside. `secrets` must stand in no line, whoever writes it. */
export function logSettingsOf(config: Config) {
  return {
    userIds: config.LOG_USER_IDS,
    userIdKey: config.LOG_USER_ID_KEY,
    secrets: SETTING_NAMES.filter((name) => SECRETS.has(name))
      .map((name) => config[name])
      .filter((value) => typeof value === "string"),
  };
}

function printable(name: keyof Settings, value: string | number | boolean | readonly string[]): string {
  if (value === false || value === true) return value ? "on" : "off";
  // A PEM text has lines of its own; it may be set with \n in their place.
  const text = typeof value === "object" ? value.join(",") : String(value);
  return withoutSecrets(name, text).replaceAll("\n", "\\n");
}

/** What people put where it does not belong: a login in front of an address, the private key in place of the public one. */
function withoutSecrets(name: keyof Settings, text: string): string {
  if (text.includes("PRIVATE KEY")) return NOT_SHOWN;
  return ADDRESSES.has(name) ? text.replaceAll(/\S*@/g, `${NOT_SHOWN}@`) : text;
}
