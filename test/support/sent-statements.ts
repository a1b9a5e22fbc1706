import { Client, tracker, types } from "cassandra-driver";
import { vi } from "vitest";
import { STATEMENTS, type StatementName } from "../../src/scylla/statements.ts";

/** A statement that this process has handed to the driver. */
export interface SentStatement {
  readonly name: StatementName;
  readonly parameters: readonly unknown[];
  /** Resolves when it is over, whether it was answered or failed. */
  readonly settled: Promise<void>;
}

const NAMES = new Map(
  Object.entries(STATEMENTS).map(([name, { cql }]) => [cql as string, name as StatementName]),
);

/** The erased users, and the key that their ids are hashed with. */
const BY_ITSELF: ReadonlySet<StatementName> = new Set([
  "readErasedUsers",
  "readErasedUserIds",
  "readUserHashKeys",
]);

/**
 * From now on notes every statement of statements.ts that anything in this process sends, a page of a long answer as one
 * more; it is sent all the same. Single statements only: what reads are made of. Left out is what the store asks by
 * itself from time to time.
 */
export function noteSentStatements(): {
  readonly all: SentStatement[];
  /** How often each was sent. */
  counts(): Partial<Record<StatementName, number>>;
  stop(): void;
} {
  const all: SentStatement[] = [];
  const send: typeof Client.prototype.execute = Client.prototype.execute;
  const spy = vi.spyOn(Client.prototype, "execute").mockImplementation(function (
    this: Client,
    ...sent: unknown[]
  ) {
    const [cql, parameters] = sent as [string, readonly unknown[]];
    const answer = (send as (...sent: unknown[]) => Promise<types.ResultSet>).apply(this, sent);
    const name = NAMES.get(cql);
    if (name !== undefined && !BY_ITSELF.has(name)) {
      const done = () => undefined;
      all.push({ name, parameters, settled: answer.then(done, done) });
    }
    return answer as never;
  });
  return {
    all,
    counts() {
      const counts: Partial<Record<StatementName, number>> = {};
      for (const { name } of all) counts[name] = (counts[name] ?? 0) + 1;
      return counts;
    },
    stop: () => spy.mockRestore(),
  };
}

/**
 * The consistency that each statement really went out with, its defaults included, by the statement's text. Notes the
 * drivers that connect from now on.
 */
export function noteConsistencies(): {
  readonly byStatement: ReadonlyMap<string, ReadonlySet<string>>;
  stop(): void;
} {
  const byStatement = new Map<string, Set<string>>();
  const noting: Partial<tracker.RequestTracker> = {
    onSuccess(_host, query, _parameters, options) {
      const texts = typeof query === "string" ? [query] : query.map((one) => one.query);
      for (const text of texts) {
        const name = NAMES.get(text) ?? text;
        const noted = byStatement.get(name) ?? new Set();
        byStatement.set(name, noted.add(nameOf(options.getConsistency())));
      }
    },
    onError: () => undefined,
    shutdown: () => undefined,
  };
  const connect: typeof Client.prototype.connect = Client.prototype.connect;
  const spy = vi.spyOn(Client.prototype, "connect").mockImplementation(function (
    this: Client,
    ...rest: unknown[]
  ) {
    Object.assign((this as unknown as { options: object }).options, { requestTracker: noting });
    return (connect as (...rest: unknown[]) => never).apply(this, rest);
  });
  return { byStatement, stop: () => spy.mockRestore() };
}

function nameOf(consistency: types.consistencies): string {
  const [name] = Object.entries(types.consistencies).find(([, value]) => value === consistency) ?? [];
  return name ?? String(consistency);
}
