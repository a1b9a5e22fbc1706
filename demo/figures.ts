import type { Sample } from "./shop-owners.ts";

/** What happened in one second of the demo. */
export interface Second {
  readonly phase: string;
  views: number;
  readonly latenciesMs: number[];
  failed: number;
  /** Messages in the queue that no worker has settled, at the end of the second. */
  backlog: number;
  deadLetters: number;
  /** Views that wait in the phones. */
  waiting: number;
}

export function createSecond(phase: string): Second {
  return { phase, views: 0, latenciesMs: [], failed: 0, backlog: 0, deadLetters: 0, waiting: 0 };
}

export function addSample(second: Second, { durationMs, ok }: Sample): void {
  if (ok) second.latenciesMs.push(durationMs);
  else second.failed++;
}

/** The value that this share of the values does not exceed; 0 where there are none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}

/** The seconds of each phase, taken together, as a table. */
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

const WIDTH = 860;
const PANEL_HEIGHT = 150;
const LEFT = 60;
const RIGHT = 20;

/** Write latency and load through the spike, one point a second, as an SVG document. */
export function plot(seconds: readonly Second[], title: string): string {
  const campaign = seconds.flatMap(({ phase }, index) => (phase === "campaign" ? [index] : []));
  const x = (index: number) => LEFT + (index * (WIDTH - LEFT - RIGHT)) / Math.max(1, seconds.length - 1);
  const p99 = seconds.map(({ latenciesMs }) => percentile(latenciesMs, 0.99));
  const p50 = seconds.map(({ latenciesMs }) => percentile(latenciesMs, 0.5));
  const from = x(campaign[0] ?? 0);
  const shade = (top: number) =>
    `<rect x="${from}" y="${top}" width="${x(campaign.at(-1) ?? 0) - from}" height="${PANEL_HEIGHT}" fill="#fdebc8"/>`;
  const panels = [
    panel({
      top: 60,
      title: "write latency of a mutation, ms",
      x,
      shade,
      series: [
        { name: "p99", color: "#c0392b", values: p99 },
        { name: "p50", color: "#2c3e50", values: p50 },
      ],
    }),
    panel({
      top: 270,
      title: "views a second",
      x,
      shade,
      series: [{ name: "views/s", color: "#1f6f8b", values: seconds.map(({ views }) => views) }],
    }),
    panel({
      top: 480,
      title: "waiting",
      x,
      shade,
      series: [
        { name: "views in phones", color: "#7d6608", values: seconds.map(({ waiting }) => waiting) },
        { name: "messages in the queue", color: "#6c3483", values: seconds.map(({ backlog }) => backlog) },
      ],
    }),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} 680" font-family="sans-serif" font-size="12">
<title>${title}</title>
<rect width="100%" height="100%" fill="white"/>
<text x="${LEFT}" y="26" font-size="16">${title}</text>
${panels.join("\n")}
<text x="${LEFT}" y="665">seconds; shaded: the campaign</text>
</svg>
`;
}

function panel(options: {
  readonly top: number;
  readonly title: string;
  readonly x: (index: number) => number;
  readonly shade: (top: number) => string;
  readonly series: readonly {
    readonly name: string;
    readonly color: string;
    readonly values: readonly number[];
  }[];
}): string {
  const { top, title, x, shade, series } = options;
  const max = Math.max(1, ...series.flatMap(({ values }) => values));
  const y = (value: number) => top + PANEL_HEIGHT - (value / max) * PANEL_HEIGHT;
  const lines = series.map(
    ({ color, values }) =>
      `<polyline fill="none" stroke="${color}" stroke-width="1.5" points="${values.map((value, index) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`).join(" ")}"/>`,
  );
  const names = series.map(
    ({ name, color }, index) =>
      `<text x="${WIDTH - RIGHT - 150 * (series.length - index)}" y="${top - 8}" fill="${color}">${name}</text>`,
  );
  const marks = [0, max / 2, max].map(
    (value) =>
      `<text x="${LEFT - 6}" y="${y(value) + 4}" text-anchor="end">${value < 10 ? value.toFixed(1) : Math.round(value)}</text><line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(value)}" y2="${y(value)}" stroke="#ddd"/>`,
  );
  return [shade(top), `<text x="${LEFT}" y="${top - 8}">${title}</text>`, ...names, ...marks, ...lines].join(
    "\n",
  );
}
