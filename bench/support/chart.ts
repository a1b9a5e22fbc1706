import {
  escaped,
  PANEL_STEP,
  type Panel,
  PLOT_LEFT,
  PLOT_RIGHT,
  PLOT_WIDTH,
  panel,
  svgPage,
} from "../../demo/plot.ts";
import { rounded } from "./goals.ts";

/** Something to draw: bars to compare, or lines over seconds. */
export type Chart = BarChart | ({ readonly kind: "seconds" } & Omit<Panel, "top">);

interface BarChart {
  readonly kind: "bars";
  readonly title: string;
  readonly bars: readonly { readonly name: string; readonly value: number }[];
}

const TOP = 60;
const FOOT = 40;
const BAR_STEP = 24;
const BAR_HEIGHT = 16;
/** Where bars begin: their names stand before them. */
const BARS_LEFT = 330;
/** Behind the longest bar, for its figure. */
const FIGURE_WIDTH = 60;

/** The charts below each other, as an SVG document. */
export function drawCharts(title: string, charts: readonly Chart[], foot: string): string {
  let top = TOP;
  const parts: string[] = [];
  for (const chart of charts) {
    parts.push(chart.kind === "bars" ? bars(chart, top) : panel({ ...chart, top }));
    top += chart.kind === "bars" ? (chart.bars.length + 2) * BAR_STEP : PANEL_STEP;
  }
  return svgPage({ title, height: top + FOOT - BAR_STEP, parts, foot });
}

function bars({ title, bars }: BarChart, top: number): string {
  const max = Math.max(Number.MIN_VALUE, ...bars.map(({ value }) => value));
  const room = PLOT_WIDTH - PLOT_RIGHT - FIGURE_WIDTH - BARS_LEFT;
  const drawn = bars.map(({ name, value }, index) => {
    const y = top + index * BAR_STEP;
    const width = (value / max) * room;
    const middle = y + BAR_HEIGHT - 4;
    return [
      `<text x="${BARS_LEFT - 8}" y="${middle}" text-anchor="end">${escaped(name)}</text>`,
      `<rect x="${BARS_LEFT}" y="${y}" width="${width.toFixed(1)}" height="${BAR_HEIGHT}" fill="${index === 0 ? "#1f6f8b" : "#b9c4cc"}"/>`,
      `<text x="${(BARS_LEFT + width + 6).toFixed(1)}" y="${middle}">${rounded(value).toLocaleString("en-US")}</text>`,
    ].join("");
  });
  return [`<text x="${PLOT_LEFT}" y="${top - 10}">${escaped(title)}</text>`, ...drawn].join("\n");
}
