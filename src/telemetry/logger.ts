import { type Logger, pino } from "pino";

export type { Logger };

/** The service's log: one line of JSON an event, on stderr, so that stdout belongs to the commands. */
export function createLogger(level: string): Logger {
  return pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: 2, sync: true }),
  );
}
