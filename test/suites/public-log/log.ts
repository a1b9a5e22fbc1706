import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { View } from "../../../src/domain/impression.ts";
import { publicLogDirectory } from "./package.ts";

/*
 * What people saw in the recommendation frame of a fashion shop during one week: the Open Bandit Dataset (Saito, Aihara,
 * Matsutani, Narita: "Open Bandit Dataset and Pipeline"), two policies x three campaigns, of each the 10,000 rows that
 * the package carries. A row: when (to the microsecond), which item, in which of three places, and the user as four
 * hashed features. Rows of one user within the same millisecond are common, for the frame shows several items at once.
 */

const POLICIES = ["random", "bts"] as const;
const CAMPAIGNS = ["all", "men", "women"] as const;
const ROWS_PER_FILE = 10_000;

/** How long before the start of the test the newest row is moved to. */
const NEWEST_AGE_MS = 60 * 60_000;

/** How much of the log: its most varied file, or all six. */
export type PublicLogExtent = "one file" | "all";

/** Counted from the files by other means than the code below, so that a row misread is a failure here. */
const FIGURES: Record<PublicLogExtent, PublicLogFigures> = {
  "one file": { rows: 10_000, views: 10_000, users: 240, posts: 80, pairs: 4_399 },
  all: { rows: 60_000, views: 60_000, users: 337, posts: 160, pairs: 13_055 },
};

interface PublicLogFigures {
  readonly rows: number;
  /** Rows with an identity of their own: user, post and millisecond. */
  readonly views: number;
  readonly users: number;
  readonly posts: number;
  /** Of a user and a post that the user saw at least once. */
  readonly pairs: number;
}

/** The log as views, oldest first, its times moved into the retention with their order and distances kept. */
export interface PublicLog {
  readonly views: readonly View[];
  readonly figures: PublicLogFigures;
}

/** The log of this machine, downloaded if need be. */
export async function readPublicLog(extent: PublicLogExtent): Promise<PublicLog> {
  const directory = await publicLogDirectory();
  const files = POLICIES.flatMap((policy) => CAMPAIGNS.map((campaign) => ({ policy, campaign })));
  const rows = (extent === "all" ? files : files.slice(0, 1)).flatMap(({ policy, campaign }) =>
    readFile(join(directory, policy, campaign, `${campaign}.csv`), policy, campaign),
  );
  // Two policies and three campaigns ran side by side; a stable sort keeps the order inside each file.
  rows.sort((a, b) => a.receivedAtUs - b.receivedAtUs);

  const moveMs = Date.now() - NEWEST_AGE_MS - (rows.at(-1)?.viewedAtMs ?? 0);
  const views = rows.map((view) => ({
    ...view,
    viewedAtMs: view.viewedAtMs + moveMs,
    receivedAtUs: view.receivedAtUs + moveMs * 1_000,
  }));
  const figures = figuresOf(views);
  for (const [name, expected] of Object.entries(FIGURES[extent])) {
    const counted = figures[name as keyof PublicLogFigures];
    if (counted !== expected) throw new Error(`the log has ${counted} ${name}, and not ${expected}`);
  }
  return { views, figures };
}

function figuresOf(views: readonly View[]): PublicLogFigures {
  const distinct = (key: (view: View) => string) => new Set(views.map(key)).size;
  return {
    rows: views.length,
    views: distinct(({ userId, postId, viewedAtMs }) => `${userId} ${postId} ${viewedAtMs}`),
    users: distinct(({ userId }) => userId),
    posts: distinct(({ postId }) => postId),
    pairs: distinct(({ userId, postId }) => `${userId} ${postId}`),
  };
}

/** The rows of one file as views, their times as they stand there. A file that looks different is an error. */
function readFile(path: string, policy: string, campaign: string): View[] {
  const text = readFileSync(path, "utf8");
  // No field of these files is quoted, so commas and line feeds separate and do nothing else.
  if (text.includes('"')) throw new Error(`${path} has quoted fields`);
  const [header = "", ...lines] = text.trimEnd().split("\n");
  const columns = header.split(",");
  if (lines.length !== ROWS_PER_FILE) throw new Error(`${path} has ${lines.length} rows`);

  return lines.map((line, index) => {
    const fields = line.split(",");
    const field = (name: string, pattern: RegExp): string => {
      const value = fields.length === columns.length ? fields[columns.indexOf(name)] : undefined;
      if (value === undefined || !pattern.test(value)) {
        throw new Error(`${path}, line ${index + 2}: ${name} is ${value}`);
      }
      return value;
    };
    const timestamp = field("timestamp", /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\+00:00$/);
    const viewedAtMs = Date.parse(`${timestamp.slice(0, 10)}T${timestamp.slice(11, 23)}Z`);
    const hashes = [0, 1, 2, 3].map((feature) => field(`user_feature_${feature}`, /^[0-9a-f]{32}$/));
    return {
      // 128 characters: exactly as long as an id may be.
      userId: hashes.join(""),
      // Each campaign numbers its own items.
      postId: `${campaign}-${field("item_id", /^\d+$/)}`,
      viewedAtMs,
      surface: policy,
      // The log counts the places of its frame from 1.
      position: Number(field("position", /^[123]$/)) - 1,
      dwellMs: null,
      receivedAtUs: viewedAtMs * 1_000 + Number(timestamp.slice(23, 26)),
    };
  });
}
