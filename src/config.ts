import { z } from "zod";
import type { TokenSettings } from "./access/authenticator.ts";
import { ConfigError, isLoopback } from "./config-values.ts";
import { DAY_MS } from "./domain/time.ts";
import { SETTINGS } from "./settings.ts";
import { readTokenSettings } from "./token-settings.ts";

/**
 * The one place that reads the environment, by the settings of settings.ts. `impressions config` prints their values,
 * and a wrong one stops the start with a line that says what is expected.
 */

/** From one address, with AUTH=jwt: a thousand a second, for many phones share the address of their carrier. */
const REQUESTS_PER_MINUTE = 60_000;
/** Of one user, with AUTH=jwt: what a phone has kept through a long time without a network (5,000) passes at once. */
const IMPRESSIONS_PER_MINUTE = 6_000;
/** Of one user, with AUTH=jwt: one every two seconds for eleven hours. Bounds what one user can make all others read past. */
const IMPRESSIONS_PER_DAY = 20_000;

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

/** What the configuration says about the log, its level aside. `secrets` must stand in no line of the log. */
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
