"""Which of these candidates have these users not seen, and what has the first of them seen?

    python recommender.py maria,jakob post-1 post-2 post-3
"""

import os
import sys
import time
from datetime import datetime, timedelta, timezone

from gql import Client, GraphQLRequest
from gql.transport.exceptions import TransportConnectionFailed, TransportQueryError, TransportServerError
from gql.transport.requests import RequestsHTTPTransport

USERS_MAX = 100  # users in one request
PAGE_SIZE = 100  # at most 500
ATTEMPTS_MAX = 5
TIMEOUT_SECONDS = 10

UNSEEN_POSTS = """
query UnseenPosts($userId: ID!, $candidates: [ID!]!, $rule: SeenRule) {
  unseenPosts(userId: $userId, candidates: $candidates, rule: $rule)
}"""

UNSEEN_POSTS_FOR_USERS = """
query UnseenPostsForUsers($userIds: [ID!]!, $candidates: [ID!]!, $rule: SeenRule) {
  users(ids: $userIds) { id unseenPosts(candidates: $candidates, rule: $rule) }
}"""

SEEN_POSTS = """
query SeenPosts($userId: ID!, $first: Int!, $after: String) {
  seenPosts(userId: $userId, first: $first, after: $after) {
    nodes { post { id } lastViewedAt views }
    pageInfo { hasNextPage endCursor }
  }
}"""


class Impressions:
    """Keep one for each thread: it holds a connection."""

    def __init__(self, url, token=None):
        headers = {"Authorization": f"Bearer {token}"} if token else None
        self.transport = RequestsHTTPTransport(f"{url}/graphql", headers=headers, timeout=TIMEOUT_SECONDS)
        self.session = Client(transport=self.transport).connect_sync()

    def unseen(self, user_id, candidates, rule=None):
        """The candidates (at most 1000) that the user has not seen, in the order given."""
        variables = {"userId": user_id, "candidates": candidates, "rule": rule}
        return self.ask(UNSEEN_POSTS, variables)["unseenPosts"]

    def unseen_for_users(self, user_ids, candidates, rule=None):
        """The same for many users: {user: unseen candidates}, one request for each hundred users."""
        unseen = {}
        for start in range(0, len(user_ids), USERS_MAX):
            batch = user_ids[start : start + USERS_MAX]
            variables = {"userIds": batch, "candidates": candidates, "rule": rule}
            for user in self.ask(UNSEEN_POSTS_FOR_USERS, variables)["users"]:
                unseen[user["id"]] = user["unseenPosts"]
        return unseen

    def history(self, user_id):
        """Each post that the user has seen, newest first. Pages may be empty: hasNextPage says when to stop."""
        page_info = {"hasNextPage": True, "endCursor": None}
        while page_info["hasNextPage"]:
            variables = {"userId": user_id, "first": PAGE_SIZE, "after": page_info["endCursor"]}
            page = self.ask(SEEN_POSTS, variables)["seenPosts"]
            yield from page["nodes"]
            page_info = page["pageInfo"]

    def ask(self, document, variables):
        """Asks again after 429, 503 and lost connections, no sooner than the service says."""
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                return self.session.execute(GraphQLRequest(document, variable_values=variables))
            except (TransportQueryError, TransportServerError, TransportConnectionFailed) as error:
                wait_seconds = self.retry_after_seconds(error, attempt)
                if wait_seconds is None or attempt == ATTEMPTS_MAX:
                    raise
                time.sleep(wait_seconds)

    def retry_after_seconds(self, error, attempt):
        """How long to wait before the next attempt; None if asking again would not help."""
        if isinstance(error, TransportQueryError):
            waits_ms = [each.get("extensions", {}).get("retryAfterMs", 0) for each in error.errors]
            return max(waits_ms) / 1000 or None
        if isinstance(error, TransportServerError):  # not the service's words: a proxy on the way
            if error.code not in (429, 503):
                return None
            retry_after = self.transport.response_headers.get("Retry-After", "")
            if retry_after.isdigit():
                return int(retry_after)
        return 2**attempt / 2


def main():
    user_ids, candidates = sys.argv[1].split(","), sys.argv[2:]
    url = os.environ.get("IMPRESSIONS_URL", "http://127.0.0.1:4000")
    impressions = Impressions(url, os.environ.get("IMPRESSIONS_TOKEN"))
    # A post may come back when it was last seen a month ago.
    rule = {"since": (datetime.now(timezone.utc) - timedelta(days=30)).isoformat(timespec="milliseconds")}

    print(f"{user_ids[0]} has not seen:", *impressions.unseen(user_ids[0], candidates, rule))
    print("all users, in one request:")
    for user_id, unseen in impressions.unseen_for_users(user_ids, candidates, rule).items():
        print(f"{user_id}:", *unseen)
    print(f"{user_ids[0]} has seen:")
    for seen in impressions.history(user_ids[0]):
        print(seen["lastViewedAt"], seen["post"]["id"], f"{seen['views']}x")


if __name__ == "__main__":
    try:
        main()
    except TransportQueryError as error:
        sys.exit("\n".join(f"{each['extensions']['code']}: {each['message']}" for each in error.errors))
