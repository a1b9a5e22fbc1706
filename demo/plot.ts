/** Pure functions that draw a plot as SVG text. */

export const PLOT_WIDTH = 860;
export const PLOT_LEFT = 60;
export const PLOT_RIGHT = 20;
const PANEL_HEIGHT = 150;
/** Distance from the top of one panel to the top of the next. */
export const PANEL_STEP = 210;

/** Lines over seconds, with their own scale. */
export interface Panel {
  readonly top: number;
  readonly title: string;
  readonly series: readonly Series[];
  /** The shaded range, in seconds. */
  readonly shaded?: { readonly from: number; readonly to: number };
}

/** One value each second. */
export interface Series {
  readonly name: string;
  readonly color: string;
  readonly values: readonly number[];
}

/** The whole document: a title on white, the panels, and a footer. */
export function svgPage(options: {
  readonly title: string;
  readonly height: number;
  readonly parts: readonly string[];
  readonly foot: string;
}): string {
  const { title, height, parts, foot } = options;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${PLOT_WIDTH} ${height}" font-family="sans-serif" font-size="12">
<title>${escaped(title)}</title>
<rect width="100%" height="100%" fill="white"/>
<text x="${PLOT_LEFT}" y="26" font-size="16">${escaped(title)}</text>
${parts.join("\n")}
<text x="${PLOT_LEFT}" y="${height - 15}">${escaped(foot)}</text>
</svg>
`;
}

export function panel({ top, title, series, shaded }: Panel): string {
  const seconds = Math.max(0, ...series.map(({ values }) => values.length));
  const max = Math.max(1, ...series.flatMap(({ values }) => values));
  const x = (index: number) =>
    PLOT_LEFT + (index * (PLOT_WIDTH - PLOT_LEFT - PLOT_RIGHT)) / Math.max(1, seconds - 1);
  const y = (value: number) => top + PANEL_HEIGHT - (value / max) * PANEL_HEIGHT;
  const shade =
    shaded === undefined
      ? []
      : [
          `<rect x="${x(shaded.from)}" y="${top}" width="${x(shaded.to) - x(shaded.from)}" height="${PANEL_HEIGHT}" fill="#fdebc8"/>`,
        ];
  const lines = series.map(
    ({ color, values }) =>
      `<polyline fill="none" stroke="${color}" stroke-width="1.5" points="${values.map((value, index) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`).join(" ")}"/>`,
  );
  const names = series.map(
    ({ name, color }, index) =>
      `<text x="${PLOT_WIDTH - PLOT_RIGHT - 150 * (series.length - index)}" y="${top - 8}" fill="${color}">${escaped(name)}</text>`,
  );
  const marks = [0, max / 2, max].map(
    (value) =>
      `<text x="${PLOT_LEFT - 6}" y="${y(value) + 4}" text-anchor="end">${value < 10 ? value.toFixed(1) : Math.round(value)}</text><line x1="${PLOT_LEFT}" x2="${PLOT_WIDTH - PLOT_RIGHT}" y1="${y(value)}" y2="${y(value)}" stroke="#ddd"/>`,
  );
  const heading = `<text x="${PLOT_LEFT}" y="${top - 8}">${escaped(title)}</text>`;
  return [...shade, heading, ...names, ...marks, ...lines].join("\n");
}

export function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
