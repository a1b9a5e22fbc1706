/** A goal and its measured figure. */
export interface Goal {
  readonly what: string;
  /** Stands behind both numbers: `x` (times), `ms`, `MB`, `/s`. */
  readonly unit: string;
  readonly bound: { readonly atLeast: number } | { readonly atMost: number };
  /** null: it was not measured, and `note` says why. */
  readonly figure: number | null;
  readonly note?: string;
}

export type Verdict = "met" | "missed" | "not measured";

export function verdictOn({ bound, figure }: Goal): Verdict {
  if (figure === null) return "not measured";
  const met = "atLeast" in bound ? figure >= bound.atLeast : figure <= bound.atMost;
  return met ? "met" : "missed";
}

/** The goals as lines of a table: goal, figure, met or not. */
export function goalLines(goals: readonly Goal[]): string[] {
  const rows = goals.map((goal) => [
    goal.what,
    "atLeast" in goal.bound
      ? `>= ${withUnit(goal.bound.atLeast, goal.unit)}`
      : `<= ${withUnit(goal.bound.atMost, goal.unit)}`,
    goal.figure === null ? "-" : withUnit(goal.figure, goal.unit),
    goal.note === undefined ? verdictOn(goal) : `${verdictOn(goal)} (${goal.note})`,
  ]);
  const widths = [0, 1, 2].map((column) => Math.max(0, ...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

/** Three digits that matter are more than a bench knows. */
export function rounded(value: number): number {
  if (!Number.isFinite(value)) return value;
  if (Math.abs(value) >= 100) return Math.round(value);
  return Number(value.toPrecision(3));
}

function withUnit(value: number, unit: string): string {
  const number = rounded(value).toLocaleString("en-US");
  return unit === "x" || unit.startsWith("/") ? `${number}${unit}` : `${number} ${unit}`.trimEnd();
}
