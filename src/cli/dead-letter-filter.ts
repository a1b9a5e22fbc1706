import { type Command, InvalidArgumentError, Option } from "commander";
import { DEAD_LETTER_REASONS } from "../domain/dead-letter.ts";
import { formatInstant, parseInstant, whyNoInstant } from "../domain/instant.ts";
import { DAY_MS, MINUTE_MS, type WallClock } from "../domain/time.ts";
import type { DeadLetterReason } from "../generated/operations.ts";

/** The conditions that `list`, `replay` and `discard` share; all of them must hold. */
export interface DeadLetterFilterFlags {
  readonly reason?: DeadLetterReason;
  readonly since?: string;
  readonly until?: string;
  readonly user?: string;
  readonly id?: string[];
}

/** The conditions as the API takes them. */
export interface DeadLetterConditions extends Record<string, unknown> {
  readonly ids: string[] | null;
  readonly reason: DeadLetterReason | null;
  readonly userId: string | null;
  readonly since: string | null;
  readonly until: string | null;
}

export function addFilterOptions(command: Command, clock: WallClock): Command {
  const instant = (text: string) => instantOf(text, clock.nowMs());
  return command
    .addOption(new Option("--reason <reason>", "only these").choices(DEAD_LETTER_REASONS))
    .option(
      "--since <time>",
      "only what failed at or after: 2026-11-22T10:15:30Z, or 2h for two hours ago",
      instant,
    )
    .option("--until <time>", "only what failed before", instant)
    .option("--user <id>", "only impressions of this user")
    .option("--id <id...>", "only these letters");
}

export function conditionsOf(flags: DeadLetterFilterFlags): DeadLetterConditions {
  const { id = null, reason = null, user = null, since = null, until = null } = flags;
  return { ids: id, reason, userId: user, since, until };
}

export function hasConditions(conditions: DeadLetterConditions): boolean {
  return Object.values(conditions).some((condition) => condition !== null);
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: MINUTE_MS, h: 60 * MINUTE_MS, d: DAY_MS };
const AGO = /^(\d{1,6})([smhd])$/;
const DAY = /^\d{4}-\d\d-\d\d$/;

/** An instant that a person typed, as the API reads it; a day is its first instant, UTC. @throws InvalidArgumentError */
export function instantOf(text: string, nowMs: number): string {
  const instant = spelledOut(text, nowMs);
  const epochMs = parseInstant(instant);
  if (epochMs !== null) return formatInstant(epochMs);
  throw new InvalidArgumentError(
    "must be a time like 2026-11-22T10:15:30Z or 2026-11-22 (UTC), or how long ago: 90s, 30m, 2h, 7d; " +
      whyNoInstant(instant),
  );
}

function spelledOut(text: string, nowMs: number): string {
  const [, count, unit = ""] = AGO.exec(text) ?? [];
  if (count !== undefined) return new Date(nowMs - Number(count) * (UNIT_MS[unit] ?? 0)).toISOString();
  return DAY.test(text) ? `${text}T00:00:00Z` : text;
}
