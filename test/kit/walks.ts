import {
  PostViewersDocument,
  type PostViewersQuery,
  SeenPostsDocument,
  type SeenPostsQuery,
} from "../../src/generated/operations.ts";
import { query } from "./graphql-request.ts";

/** Everything that `seenPosts` gives for a user, page after page over HTTP. */
export async function walkSeenPosts(url: string, userId: string, first = 500) {
  const nodes: SeenPostsQuery["seenPosts"]["nodes"][number][] = [];
  let after: string | null = null;
  for (;;) {
    const page: SeenPostsQuery["seenPosts"] = await seenPostsPage(url, {
      userId,
      first,
      after,
    });
    nodes.push(...page.nodes);
    if (!page.pageInfo.hasNextPage) return nodes;
    after = page.pageInfo.endCursor ?? null;
  }
}

/** Everything that `postViewers` gives for a post. */
export async function walkPostViewers(url: string, postId: string, first = 500) {
  const nodes: PostViewersQuery["postViewers"]["nodes"][number][] = [];
  let after: string | null = null;
  for (;;) {
    const page: PostViewersQuery["postViewers"] = await postViewersPage(url, {
      postId,
      first,
      after,
    });
    nodes.push(...page.nodes);
    if (!page.pageInfo.hasNextPage) return nodes;
    after = page.pageInfo.endCursor ?? null;
  }
}

async function seenPostsPage(
  url: string,
  variables: { userId: string; first: number; after: string | null },
) {
  return (await query(url, SeenPostsDocument, variables)).seenPosts;
}

async function postViewersPage(
  url: string,
  variables: { postId: string; first: number; after: string | null },
) {
  return (await query(url, PostViewersDocument, variables)).postViewers;
}
