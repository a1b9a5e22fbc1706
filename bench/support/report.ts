import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Benchmark, Measured, Size, Table } from "./benchmark.ts";
import { drawCharts } from "./chart.ts";
import { type Environment, environmentLine } from "./environment.ts";
import { rounded, verdictOn } from "./goals.ts";

/** A table as text, its columns aligned. */
export function tableLines({ title, rows }: Table): string[] {
  const columns = [...new Set(Object.values(rows).flatMap((row) => Object.keys(row)))];
  const cells = [
    [title, ...columns],
    ...Object.entries(rows).map(([name, row]) => [name, ...columns.map((column) => cell(row[column]))]),
  ];
  const widths = [title, ...columns].map((_, index) =>
    Math.max(...cells.map((row) => row[index]?.length ?? 0)),
  );
  return cells.map((row) =>
    row
      .map((text, index) => (index === 0 ? text.padEnd(widths[0] ?? 0) : text.padStart(widths[index] ?? 0)))
      .join("  "),
  );
}

/** Writes what was found as NAME.json and, where there is something to draw, NAME.svg. */
export async function writeResult(
  directory: string,
  found: {
    readonly benchmark: Benchmark;
    readonly size: Size;
    readonly environment: Environment;
    readonly measured: Measured;
  },
): Promise<void> {
  const { benchmark, size, environment, measured } = found;
  const { goals, tables, charts, servers } = measured;
  await mkdir(directory, { recursive: true });
  const report = {
    line: benchmark.number,
    title: benchmark.title,
    size,
    environment: { ...environment, servers },
    goals: goals.map((goal) => ({
      ...goal,
      figure: goal.figure === null ? null : rounded(goal.figure),
      verdict: verdictOn(goal),
    })),
    tables: tables.map(({ title, rows }) => ({ title, rows: mapCells(rows) })),
  };
  await writeFile(join(directory, `${benchmark.name}.json`), `${JSON.stringify(report, null, 2)}\n`);
  if (charts.length === 0) return;
  const svg = drawCharts(benchmark.title, charts, environmentLine(environment));
  await writeFile(join(directory, `${benchmark.name}.svg`), svg);
}

function mapCells(rows: Table["rows"]): Table["rows"] {
  const round = (value: number | string) => (typeof value === "number" ? rounded(value) : value);
  return Object.fromEntries(
    Object.entries(rows).map(([name, row]) => [
      name,
      Object.fromEntries(Object.entries(row).map(([column, value]) => [column, round(value)])),
    ]),
  );
}

function cell(value: number | string | undefined): string {
  if (value === undefined) return "";
  return typeof value === "number" ? rounded(value).toLocaleString("en-US") : value;
}
