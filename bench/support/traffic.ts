import type { Impression, Submission } from "../../src/domain/impression.ts";
import { IMPRESSIONS_PER_MUTATION } from "./mutations.ts";

/**
 * What many users look at: `uniform`, every post alike; `campaign`, 60 % of all views are of one post, as when a
 * notification brings everyone into the app.
 */
export type Traffic = "uniform" | "campaign";

/** Those who take part: numbers from `first` on. */
export interface Users {
  readonly first: number;
  readonly count: number;
}

const EVERYBODY: Users = { first: 0, count: 20_000 };
const POSTS = 5_000;
const CAMPAIGN_SHARE = 0.6;

/** The mutation of that number, ten views of one user: always the same for the same arguments. */
export function submissionOf(
  mutation: number,
  traffic: Traffic,
  endMs: number,
  users: Users = EVERYBODY,
): Submission {
  const lastViewMs = endMs - mutation;
  return {
    userId: `user-${String(users.first + (mixed(mutation) % users.count)).padStart(7, "0")}`,
    receivedAtUs: endMs * 1_000 + mutation,
    impressions: Array.from({ length: IMPRESSIONS_PER_MUTATION }, (_, index): Impression => {
      const chance = mixed(mutation * IMPRESSIONS_PER_MUTATION + index);
      const isCampaign = traffic === "campaign" && chance / 2 ** 32 < CAMPAIGN_SHARE;
      return {
        postId: isCampaign ? "post-campaign" : `post-${String(mixed(chance) % POSTS).padStart(6, "0")}`,
        viewedAtMs: lastViewMs - index * 1_000,
        surface: "HOME",
        position: index,
        dwellMs: 1_800 + index,
      };
    }),
  };
}

/** 32 bits that look random (the finalizer of MurmurHash3). */
function mixed(number: number): number {
  let bits = (number + 0x9e3779b9) >>> 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
