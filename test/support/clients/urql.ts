import { Client, CombinedError, fetchExchange, type OperationResult } from "@urql/core";
import {
  RecordImpressionsDocument,
  SeenPostsDocument,
  type SeenPostsQuery,
  type SeenPostsQueryVariables,
  UnseenPostsDocument,
} from "../../../src/generated/operations.ts";
import { type Caller, type CallerOptions, explanationOf, type SeenPostAnswer } from "./caller.ts";

/** https://nearform.com/open-source/urql/ */
export function createUrqlCaller({ url, queriesBy, fetch }: CallerOptions): Caller {
  const client = new Client({
    url,
    exchanges: [fetchExchange],
    fetch,
    preferGetMethod: queriesBy === "GET" ? "force" : false,
    // Required with GET (cross-site request forgery), harmless with POST.
    fetchOptions: { headers: { "apollo-require-preflight": "true" } },
  });
  return {
    async record(input) {
      return dataOf(await client.mutation(RecordImpressionsDocument, { input })).recordImpressions;
    },

    async unseenPosts(userId, candidates) {
      return dataOf(await client.query(UnseenPostsDocument, { userId, candidates })).unseenPosts;
    },

    async history(userId, first) {
      const nodes: SeenPostAnswer[] = [];
      let after: string | null = null;
      for (;;) {
        const variables: SeenPostsQueryVariables = { userId, first, after };
        const { seenPosts }: SeenPostsQuery = dataOf(await client.query(SeenPostsDocument, variables));
        nodes.push(...seenPosts.nodes);
        if (!seenPosts.pageInfo.hasNextPage) return nodes;
        after = seenPosts.pageInfo.endCursor;
      }
    },

    explain(error) {
      if (!(error instanceof CombinedError)) throw error;
      return explanationOf(error.graphQLErrors, error.response);
    },
  };
}

// biome-ignore lint/suspicious/noExplicitAny: urql's own bound for variables.
function dataOf<Data>({ data, error }: OperationResult<Data, any>): Data {
  if (error !== undefined) throw error;
  if (data === undefined) throw new Error("an answer without data and without errors");
  return data;
}
