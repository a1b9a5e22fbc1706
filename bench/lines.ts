import { ingest } from "./ingest/line.ts";
import type { Line } from "./support/line.ts";

/** What `npm run bench` measures. */
export const LINES: readonly Line[] = [ingest];

/** What `npm run bench:long` measures. */
export const LONG_LINES: readonly Line[] = [];
