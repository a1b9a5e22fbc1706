import type { DatabaseSync } from "node:sqlite";
import { VIEWS_COUNT_MAX } from "../domain/limits.ts";
import type { SeenRule } from "../domain/walk.ts";

/** Candidates that one read asks for; other reads come in between. */
const CANDIDATES_PER_READ = 250;
/** Views that one read may look at: 100,000 took 5 ms. */
const LOOKED_AT_ROWS_MAX = 100_000;

/** Candidates of which one read may ask by this rule, however often they were seen. */
export function candidatesPerRead(rule: SeenRule): number {
  return Math.max(1, Math.min(CANDIDATES_PER_READ, Math.floor(LOOKED_AT_ROWS_MAX / rowsPerCandidate(rule))));
}

/** Where every view counts, as many as are asked for; where only long ones do, the newest ones, as many as are counted. */
function rowsPerCandidate({ minViews, minDwellMs }: SeenRule): number {
  return minDwellMs === 0 ? minViews : VIEWS_COUNT_MAX;
}

/** Which of the posts the user has seen by the rule: one statement, so that the candidates cross into SQLite once. */
export function createMembership(reader: DatabaseSync) {
  const seen = reader.prepare(`
    SELECT candidate.value AS post_id FROM json_each(:postIds) AS candidate
    WHERE (
      SELECT count(*) FROM (
        SELECT dwell_ms FROM views
        WHERE user_id = :userId AND post_id = candidate.value AND viewed_at_ms >= :sinceMs
        ORDER BY viewed_at_ms DESC LIMIT :rows
      )
      WHERE :minDwellMs = 0 OR dwell_ms >= :minDwellMs
    ) >= :minViews`);
  return (userId: string, postIds: readonly string[], rule: SeenRule): Set<string> => {
    const { minViews, minDwellMs, sinceMs } = rule;
    const asked = { userId, postIds: JSON.stringify(postIds), minViews, minDwellMs, sinceMs };
    const rows = seen.all({ ...asked, rows: rowsPerCandidate(rule) });
    return new Set(rows.map((row) => String(row.post_id)));
  };
}
