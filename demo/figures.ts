import { PANEL_STEP, type Panel, panel, svgPage } from "./plot.ts";
import type { Sample } from "./shop-owners.ts";

/** The measurements of one second of the demo. */
export interface Second {
  readonly phase: string;
  views: number;
  readonly latenciesMs: number[];
  failed: number;
  /** Messages in the queue that are not acked, at the end of the second. */
  backlog: number;
  deadLetters: number;
  /** Views that wait on the phones. */
  waiting: number;
}

export function createSecond(phase: string): Second {
  return { phase, views: 0, latenciesMs: [], failed: 0, backlog: 0, deadLetters: 0, waiting: 0 };
}

export function addSample(second: Second, { durationMs, ok }: Sample): void {
  if (ok) second.latenciesMs.push(durationMs);
  else second.failed++;
}

/** The percentile: the value that this share of the values does not exceed; 0 without values. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}

/** A table with one row for each phase. */
export function phaseTable(seconds: readonly Second[]): string {
  const phases = [...new Set(seconds.map(({ phase }) => phase))];
  const rows = phases.map((phase) => {
    const those = seconds.filter((second) => second.phase === phase);
    const latenciesMs = those.flatMap((second) => second.latenciesMs);
    const views = those.reduce((sum, second) => sum + second.views, 0);
    return [
      phase,
      `${those.length} s`,
      (views / those.length).toFixed(0),
      (latenciesMs.length / those.length).toFixed(0),
      percentile(latenciesMs, 0.5).toFixed(1),
      percentile(latenciesMs, 0.99).toFixed(1),
      String(Math.max(...those.map(({ backlog }) => backlog))),
      String(Math.max(...those.map(({ waiting }) => waiting))),
    ];
  });
  const head = ["phase", "for", "views/s", "requests/s", "p50 ms", "p99 ms", "backlog max", "in phones max"];
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join("  ");
  return [head, ...rows].map(line).join("\n");
}

/** Write latency and load through the spike, one point a second, as an SVG document. */
export function plot(seconds: readonly Second[], title: string): string {
  const campaign = seconds.flatMap(({ phase }, index) => (phase === "campaign" ? [index] : []));
  const p99 = seconds.map(({ latenciesMs }) => percentile(latenciesMs, 0.99));
  const p50 = seconds.map(({ latenciesMs }) => percentile(latenciesMs, 0.5));
  const shaded = { from: campaign[0] ?? 0, to: campaign.at(-1) ?? 0 };
  const panels: readonly Omit<Panel, "top" | "shaded">[] = [
    {
      title: "write latency of a mutation, ms",
      series: [
        { name: "p99", color: "#c0392b", values: p99 },
        { name: "p50", color: "#2c3e50", values: p50 },
      ],
    },
    {
      title: "views a second",
      series: [{ name: "views/s", color: "#1f6f8b", values: seconds.map(({ views }) => views) }],
    },
    {
      title: "waiting",
      series: [
        { name: "views in phones", color: "#7d6608", values: seconds.map(({ waiting }) => waiting) },
        { name: "messages in the queue", color: "#6c3483", values: seconds.map(({ backlog }) => backlog) },
      ],
    },
  ];
  return svgPage({
    title,
    height: 680,
    parts: panels.map((part, index) => panel({ ...part, top: 60 + index * PANEL_STEP, shaded })),
    foot: "seconds; shaded: the campaign",
  });
}
