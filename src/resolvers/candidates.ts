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
  /** Most requests have one list, which then need not be compared with others. */
  let first: CandidateList | undefined;

  function sameAs(list: CandidateList): CandidateList {
    if (first === undefined) {
      first = list;
      return list;
    }
    if (byText.size === 0) byText.set(textOf(first), first);
    const text = textOf(list);
    const known = byText.get(text) ?? { ...list, number: byText.size };
    byText.set(text, known);
    return known;
  }

  return {
    of(postIds) {
      const known = byArray.get(postIds);
      if (known !== undefined) return known;
      checkCandidates(postIds);
      const list = sameAs({ postIds: [...new Set(postIds)], number: 0 });
      byArray.set(postIds, list);
      return list;
    },
  };
}

/** Ids hold no control characters, so equal texts are equal lists. */
function textOf({ postIds }: CandidateList): string {
  return postIds.join("\u0000");
}
