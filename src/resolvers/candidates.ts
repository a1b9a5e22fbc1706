import { checkCandidates } from "./arguments.ts";
import type { CandidateList } from "./loaders.ts";

/**
 * The candidate lists of one request. `users(ids) { unseenPosts(candidates: $candidates) }` hands over the same list
 * for each user: it is checked and made free of duplicates once.
 */
export interface Candidates {
  /** @throws ApiError BAD_USER_INPUT where the list is too long or holds something that is no id. */
  of(postIds: readonly string[]): CandidateList;
}

export function createCandidates(): Candidates {
  const byArray = new WeakMap<readonly string[], CandidateList>();
  const byText = new Map<string, CandidateList>();
  return {
    of(postIds) {
      const known = byArray.get(postIds);
      if (known !== undefined) return known;
      checkCandidates(postIds);
      const distinct = [...new Set(postIds)];
      // Ids hold no control characters, so equal texts are equal lists.
      const text = distinct.join("\u0000");
      const list = byText.get(text) ?? { postIds: distinct, number: byText.size };
      byText.set(text, list);
      byArray.set(postIds, list);
      return list;
    },
  };
}
