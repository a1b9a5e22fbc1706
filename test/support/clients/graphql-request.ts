import { ClientError, GraphQLClient } from "graphql-request";
import {
  RecordImpressionsDocument,
  SeenPostsDocument,
  type SeenPostsQuery,
  type SeenPostsQueryVariables,
  UnseenPostsDocument,
} from "../../../src/generated/operations.ts";
import { type Caller, type CallerOptions, explanationOf, type SeenPostAnswer } from "./caller.ts";

/** The package graphql-request. */
export function createGraphQLRequestCaller({ url, queriesBy, fetch }: CallerOptions): Caller {
  const client = new GraphQLClient(url, {
    method: queriesBy,
    fetch,
    // Required with GET (cross-site request forgery), harmless with POST.
    headers: { "apollo-require-preflight": "true" },
    jsonSerializer: JSON,
  });
  return {
    async record(input) {
      return (await client.request(RecordImpressionsDocument, { input })).recordImpressions;
    },

    async unseenPosts(userId, candidates) {
      return (await client.request(UnseenPostsDocument, { userId, candidates })).unseenPosts;
    },

    async history(userId, first) {
      const nodes: SeenPostAnswer[] = [];
      let after: string | null = null;
      for (;;) {
        const variables: SeenPostsQueryVariables = { userId, first, after };
        const { seenPosts }: SeenPostsQuery = await client.request(SeenPostsDocument, variables);
        nodes.push(...seenPosts.nodes);
        if (!seenPosts.pageInfo.hasNextPage) return nodes;
        after = seenPosts.pageInfo.endCursor;
      }
    },

    explain(error) {
      if (!(error instanceof ClientError)) throw error;
      const { errors, status, headers } = error.response;
      return explanationOf(errors, { status, headers: new Headers(headers) });
    },
  };
}
