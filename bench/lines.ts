import { drain } from "./drain/line.ts";
import { ingest } from "./ingest/line.ts";
import { startup } from "./startup/line.ts";
import type { Line } from "./support/line.ts";

/** What `npm run bench` measures. */
export const LINES: readonly Line[] = [ingest, drain, startup];

/** What `npm run bench:long` measures. */
export const LONG_LINES: readonly Line[] = [];
