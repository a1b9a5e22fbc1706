import type { DatabaseSync } from "node:sqlite";
import type { SeenRule } from "../domain/walk.ts";

/** Which of the posts the user has seen by the rule: one statement, so that the candidates cross into SQLite once. */
export function createMembership(reader: DatabaseSync) {
  const seen = reader.prepare(`
    SELECT candidate.value AS post_id FROM json_each(:postIds) AS candidate
    WHERE (
      SELECT count(*) FROM (
        SELECT 1 FROM views
        WHERE user_id = :userId AND post_id = candidate.value AND viewed_at_ms >= :sinceMs
          AND (:minDwellMs = 0 OR dwell_ms >= :minDwellMs)
        LIMIT :minViews
      )
    ) >= :minViews`);
  return (
    userId: string,
    postIds: readonly string[],
    { minViews, minDwellMs, sinceMs }: SeenRule,
  ): Set<string> => {
    const rows = seen.all({ userId, postIds: JSON.stringify(postIds), minViews, minDwellMs, sinceMs });
    return new Set(rows.map((row) => String(row.post_id)));
  };
}
