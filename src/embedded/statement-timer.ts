import type { Clock } from "../domain/time.ts";
import type { OnStatement } from "../ports/impression-store.ts";

/** Runs statements and reports how long each took. */
export interface StatementTimer {
  read<Result>(statement: string, query: () => Result): Result;
  write<Result>(statement: string, run: () => Promise<Result>): Promise<Result>;
}

export function createStatementTimer({ monotonicMs }: Clock, onStatement: OnStatement): StatementTimer {
  return {
    read(statement, query) {
      const startedMs = monotonicMs();
      let failed = true;
      try {
        const result = query();
        failed = false;
        return result;
      } finally {
        onStatement(statement, monotonicMs() - startedMs, failed);
      }
    },

    async write(statement, run) {
      const startedMs = monotonicMs();
      let failed = true;
      try {
        const result = await run();
        failed = false;
        return result;
      } finally {
        onStatement(statement, monotonicMs() - startedMs, failed);
      }
    },
  };
}
