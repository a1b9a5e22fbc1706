import { types } from "cassandra-driver";
import { createInFlightLimit } from "../common/in-flight-limit.ts";
import type { Clock } from "../domain/time.ts";
import { StoreUnavailableError } from "../ports/errors.ts";
import type { OnStatement } from "../ports/impression-store.ts";
import type { Connection } from "./connection.ts";
import { toStoreError } from "./errors.ts";
import { type ReadName, STATEMENTS, type StatementName, type WriteName } from "./statements.ts";
import type { BatchRow } from "./writes/batches.ts";
import { replicasIn } from "./writes/replicas.ts";
import { createWriteCoalescer } from "./writes/write-coalescer.ts";

/** Reads by the statements of statements.ts. */
export interface Reads {
  /** Every row of the answer. @param pageRows rows that one page of it may hold: about as many as are expected. */
  read(statement: ReadName, parameters: readonly unknown[], pageRows: number): Promise<types.Row[]>;
  /** The answer page by page, for what may be long. */
  pages(
    statement: ReadName,
    parameters: readonly unknown[],
    pageRows: number,
  ): AsyncGenerator<types.Row[], void, void>;
}

/**
 * Runs the statements of statements.ts. Every call throws StoreUnavailableError or StoreRefusedError (ports/errors.ts)
 * and nothing else, but for the reason of an aborted signal.
 */
export interface Database extends Reads {
  /** The same reads, for as long as the signal is not aborted: after that nothing is sent any more. */
  readsUntil(signal: AbortSignal | undefined): Reads;
  write(statement: WriteName, parameters: readonly unknown[]): Promise<void>;
  /**
   * Writes rows of **one partition key** together, as an unlogged batch: the driver routes a batch by its first row.
   *
   * @param options.uncoalesced in a request of its own; else it may share one with others that go to the same replicas.
   */
  writeBatch(rows: readonly BatchRow[], options: { readonly uncoalesced: boolean }): Promise<void>;
  /** Refuses what comes from now on, finishes what is on its way, and disconnects. */
  close(): Promise<void>;
}

/** Requests that may wait for a slot; more than that means that the database is far behind what is asked of it. */
const WAITING_MAX = 10_000;

export const READ_CONSISTENCIES = ["LOCAL_ONE", "LOCAL_QUORUM"] as const;
export type ReadConsistency = (typeof READ_CONSISTENCIES)[number];

const CONSISTENCY: Record<ReadConsistency, types.consistencies> = {
  LOCAL_ONE: types.consistencies.localOne,
  LOCAL_QUORUM: types.consistencies.localQuorum,
};

export function createDatabase(
  connection: Connection,
  options: {
    /** Requests on their way at once. The driver gives up at 2,048 a connection, and has one to each host. */
    readonly inFlightMax: number;
    readonly readConsistency: ReadConsistency;
    readonly clock: Clock;
    /** Told of each page of a read, and of each batch by the name of its first statement; the wait for a slot is none of it. */
    readonly onStatement?: OnStatement | undefined;
  },
): Database {
  const { onStatement = () => undefined } = options;
  const { monotonicMs } = options.clock;
  const limit = createInFlightLimit(options.inFlightMax, {
    max: WAITING_MAX,
    tooMany: () => new StoreUnavailableError(`more than ${WAITING_MAX} requests wait for the database`),
  });
  const queryConsistency = CONSISTENCY[options.readConsistency];
  let closing: Promise<void> | null = null;

  /** Sends a statement, and reports how it went. */
  async function timed<Result>(statement: StatementName, send: () => Promise<Result>): Promise<Result> {
    const startedMs = monotonicMs();
    let failed = true;
    try {
      const result = await send();
      failed = false;
      return result;
    } finally {
      onStatement(statement, monotonicMs() - startedMs, failed);
    }
  }

  async function request<Result>(
    statement: StatementName,
    send: () => Promise<Result>,
    signal?: AbortSignal,
  ): Promise<Result> {
    if (closing !== null) throw new StoreUnavailableError("the store is closed");
    try {
      const result = await limit.run(() => timed(statement, send), signal);
      signal?.throwIfAborted();
      return result;
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw toStoreError(error);
    }
  }

  async function* pages(
    signal: AbortSignal | undefined,
    statement: ReadName,
    parameters: readonly unknown[],
    pageRows: number,
  ) {
    const { cql, kind } = STATEMENTS[statement];
    const consistency = kind === "query" ? queryConsistency : types.consistencies.localQuorum;
    let pageState: string | null = null;
    do {
      const options = { fetchSize: pageRows, consistency, ...(pageState === null ? {} : { pageState }) };
      const result: types.ResultSet = await request(
        statement,
        () => connection.client().execute(cql, [...parameters], options),
        signal,
      );
      yield result.rows;
      pageState = result.pageState ?? null;
    } while (pageState !== null);
  }

  const readsUntil = (signal: AbortSignal | undefined): Reads => ({
    pages: (statement, parameters, pageRows) => pages(signal, statement, parameters, pageRows),
    async read(statement, parameters, pageRows) {
      const rows: types.Row[] = [];
      for await (const page of pages(signal, statement, parameters, pageRows)) rows.push(...page);
      return rows;
    },
  });

  /** Writes rows in one request. @param rows at least one. */
  async function send(rows: readonly BatchRow[]): Promise<void> {
    const queries = rows.map(({ statement, parameters }) => ({
      query: STATEMENTS[statement].cql,
      params: [...parameters],
    }));
    const [first] = rows;
    const [query] = queries;
    if (first === undefined || query === undefined) return;
    await request(first.statement, () =>
      queries.length === 1
        ? connection.client().execute(query.query, query.params)
        : connection.client().batch(queries, { prepare: true, logged: false }),
    );
  }

  const coalescer = createWriteCoalescer(send, () => replicasIn(connection.client()));

  return {
    ...readsUntil(undefined),
    readsUntil,
    write: (statement, parameters) => send([{ statement, parameters }]),
    async writeBatch(rows, { uncoalesced }) {
      if (rows.length === 0) return;
      if (uncoalesced) await send(rows);
      else await coalescer.write(rows);
    },
    close() {
      coalescer.flush();
      closing ??= (async () => {
        await limit.idle();
        await connection.close();
      })();
      return closing;
    },
  };
}
