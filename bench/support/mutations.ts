import { print } from "graphql";
import { RecordImpressionsDocument } from "../../src/generated/operations.ts";

/** Impressions of one mutation: when the list of the app is longer, it is sent. */
export const IMPRESSIONS_PER_MUTATION = 10;
/** How far apart the views of one list are. */
const BETWEEN_VIEWS_MS = 1_000;

const QUERY = print(RecordImpressionsDocument);

/** The HTTP body of one mutation as the app sends it: about 1,200 bytes. @param lastViewMs epoch milliseconds. */
export function mutationBody(options: {
  readonly userId: string;
  readonly postIds: readonly string[];
  readonly lastViewMs: number;
}): string {
  const { userId, postIds, lastViewMs } = options;
  return JSON.stringify({
    query: QUERY,
    variables: {
      input: {
        userId,
        impressions: postIds.map((postId, index) => ({
          postId,
          viewedAt: new Date(lastViewMs - index * BETWEEN_VIEWS_MS).toISOString(),
          surface: "HOME",
          position: index,
          dwellMs: 1_800 + index,
        })),
      },
    },
  });
}
