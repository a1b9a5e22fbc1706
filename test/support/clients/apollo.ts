import {
  ApolloClient,
  ApolloLink,
  gql,
  HttpLink,
  InMemoryCache,
  type TypedDocumentNode,
} from "@apollo/client";
import { CombinedGraphQLErrors } from "@apollo/client/errors";
import { relayStylePagination } from "@apollo/client/utilities";
import { tap } from "rxjs";
import { RecordImpressionsDocument, UnseenPostsDocument } from "../../../src/generated/operations.ts";
import { type Caller, type CallerOptions, explanationOf, type SeenPostAnswer } from "./caller.ts";

/** relayStylePagination puts pages together by their edges. */
const HISTORY: TypedDocumentNode<History, { userId: string; first: number; after?: string | null }> = gql`
  query History($userId: ID!, $first: Int!, $after: String) {
    seenPosts(userId: $userId, first: $first, after: $after) {
      edges {
        cursor
        node {
          post {
            id
          }
          lastViewedAt
          views
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`;

interface History {
  readonly seenPosts: {
    readonly edges: readonly { readonly cursor: string; readonly node: SeenPostAnswer }[];
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
  };
}

/** https://www.apollographql.com/docs/react */
export function createApolloCaller({ url, queriesBy, fetch }: CallerOptions): Caller {
  const http = new HttpLink({
    uri: url,
    fetch,
    useGETForQueries: queriesBy === "GET",
  });
  // Apollo's errors have no headers: a link is where a program looks at them.
  let response: Response | undefined;
  const keepResponse = new ApolloLink((operation, forward) =>
    forward(operation).pipe(
      tap(() => {
        response = operation.getContext().response;
      }),
    ),
  );
  const seenPosts = relayStylePagination(["userId", "since", "until"]);
  const client = new ApolloClient({
    link: keepResponse.concat(http),
    cache: new InMemoryCache({ typePolicies: { Query: { fields: { seenPosts } } } }),
  });
  return {
    async record(input) {
      const { data } = await client.mutate({ mutation: RecordImpressionsDocument, variables: { input } });
      return present(data).recordImpressions;
    },

    async unseenPosts(userId, candidates) {
      const { data } = await client.query({
        query: UnseenPostsDocument,
        variables: { userId, candidates },
        fetchPolicy: "no-cache",
      });
      return present(data).unseenPosts;
    },

    async history(userId, first) {
      const variables = { userId, first };
      const list = client.watchQuery({ query: HISTORY, variables });
      const watching = list.subscribe({});
      try {
        let page = present((await client.query({ query: HISTORY, variables })).data);
        while (page.seenPosts.pageInfo.hasNextPage) {
          const after = page.seenPosts.pageInfo.endCursor;
          page = present((await list.fetchMore({ variables: { after } })).data);
        }
        // The cache has put the pages together; what watches the query is given all of them.
        const { seenPosts: whole } = present(client.readQuery({ query: HISTORY, variables }) ?? undefined);
        return whole.edges.map(({ node }) => node);
      } finally {
        watching.unsubscribe();
      }
    },

    explain(error) {
      if (!CombinedGraphQLErrors.is(error)) throw error;
      return explanationOf(error.errors, response);
    },
  };
}

function present<Data>(data: Data | undefined): Data {
  if (data === undefined) throw new Error("an answer without data and without errors");
  return data;
}
