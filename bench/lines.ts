import { campaign } from "./campaign/line.ts";
import { drain } from "./drain/line.ts";
import { growth } from "./growth/line.ts";
import { ingest, replicatedIngest } from "./ingest/line.ts";
import { lag } from "./lag/line.ts";
import { reads } from "./reads/line.ts";
import { startup } from "./startup/line.ts";
import type { Line } from "./support/line.ts";

/** What `npm run bench` measures. */
export const LINES: readonly Line[] = [ingest, drain, reads, startup];

/** What `npm run bench:long` measures. */
export const LONG_LINES: readonly Line[] = [replicatedIngest, campaign, lag, growth];
