import type { DatabaseSync } from "node:sqlite";
import { isDamage, isRefusal, messageOf } from "./database.ts";

/** What a database can be asked to write: named operations of one argument, each run inside a transaction. */
export type Operations = Readonly<Record<string, (input: never) => unknown>>;

/** One call of an operation, as it travels to the thread that writes. */
export interface Job {
  readonly operation: string;
  readonly input: unknown;
}

/** What became of one job. Plain data: it crosses a thread boundary. */
export type Outcome =
  | { readonly done: true; readonly value: unknown }
  /**
   * `refused`: the same job will fail for ever. Otherwise it may succeed later, but for what is `damaged`: the file or its
   * disk.
   */
  | {
      readonly done: false;
      readonly refused: boolean;
      readonly damaged: boolean;
      readonly reason: string;
    };

/** Runs jobs in one transaction, in order, and reports the outcome of each. Never throws. */
export type BatchRunner = (jobs: readonly Job[]) => readonly Outcome[];

/**
 * One transaction for many jobs: they share the one fsync that makes them durable. Each stands on a savepoint of its
 * own, so that a job that fails leaves its neighbours alone. Only a disk that fails takes all of them.
 */
export function createBatchRunner(database: DatabaseSync, operations: Operations): BatchRunner {
  const begin = database.prepare("BEGIN IMMEDIATE");
  const commit = database.prepare("COMMIT");
  const savepoint = database.prepare("SAVEPOINT job");
  const release = database.prepare("RELEASE job");
  const undo = database.prepare("ROLLBACK TO job");

  function runJob(job: Job): Outcome {
    const operation = operations[job.operation] as ((input: unknown) => unknown) | undefined;
    if (operation === undefined) throw new Error(`there is no operation ${job.operation}`);
    savepoint.run();
    let outcome: Outcome;
    try {
      outcome = { done: true, value: operation(job.input) };
    } catch (error) {
      // After a disk error SQLite may have rolled back everything: then the jobs before this one are gone as well.
      if (!database.isTransaction) throw error;
      undo.run();
      outcome = failure(error);
    }
    release.run();
    return outcome;
  }

  return (jobs) => {
    try {
      begin.run();
      const outcomes = jobs.map(runJob);
      commit.run();
      return outcomes;
    } catch (error) {
      if (database.isTransaction) database.exec("ROLLBACK");
      return jobs.map(() => ({ ...failure(error), refused: false }));
    }
  };
}

/** Runs something on the database outside of a transaction. Never throws. */
export function attempt(run: () => unknown): Outcome {
  try {
    return { done: true, value: run() };
  } catch (error) {
    return failure(error);
  }
}

function failure(error: unknown): Outcome & { done: false } {
  return { done: false, refused: isRefusal(error), damaged: isDamage(error), reason: messageOf(error) };
}
