import { type DestinationStream, type Logger, pino } from "pino";
import { describeError } from "./error-fields.ts";
import { createUserIdHash } from "./user-id-hash.ts";

export type { Logger };

/** What an adapter needs of the log; pino's fits. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface LoggerOptions {
  /** `plain` writes user ids as they are, `hashed` (unless given) a keyed hash of each. */
  readonly userIds?: "plain" | "hashed";
  /** The key of that hash. Unless given, every process makes its own: its lines can be related to each other, and to no user. */
  readonly userIdKey?: string | undefined;
  /** Replaced wherever they stand in a line: a library may put into an error whatever it was given. */
  readonly secrets?: readonly string[];
  /** stderr unless given, so that stdout belongs to the commands. */
  readonly destination?: DestinationStream;
}

/** A shorter secret would be found in words that have nothing to do with it. */
const SCRUBBED_CHARACTERS_MIN = 6;

/**
 * The service's log: one line of JSON an event.
 *
 * Two fields are written in a way of their own: `userId` (see LoggerOptions), and `err`, of which name, message, code, stack
 * and cause are kept and nothing else that a driver has attached.
 */
export function createLogger(level: string, options: LoggerOptions = {}): Logger {
  const hash = createUserIdHash(options.userIdKey);
  const secrets = (options.secrets ?? [])
    .filter((secret) => secret.length >= SCRUBBED_CHARACTERS_MIN)
    .map(asInJson);
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: {
        err: (error: unknown) => describeError(error),
        userId: (userId: unknown) =>
          options.userIds === "plain" || typeof userId !== "string" ? userId : hash(userId),
      },
      hooks: {
        streamWrite: (line) => secrets.reduce((clean, secret) => clean.replaceAll(secret, "(secret)"), line),
      },
    },
    options.destination ?? pino.destination({ dest: 2, sync: true }),
  );
}

/** As the text stands inside of a JSON string. */
function asInJson(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}
