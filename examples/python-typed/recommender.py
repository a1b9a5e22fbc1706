"""Which of these candidates have these users not seen, and what has the first of them seen?

    python recommender.py maria,jakob post-1 post-2 post-3
"""

import os
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any, cast

import httpx
from impressions_client import Client, SeenPostsSeenPostsNodes, SeenRule
from impressions_client.exceptions import GraphQLClientHttpError

USERS_MAX = 100  # users in one request
PAGE_SIZE = 100  # at most 500
ATTEMPTS_MAX = 5
TIMEOUT_SECONDS = 10


class RetryingTransport(httpx.HTTPTransport):
    """Asks again after 429, 503 and lost connections, no sooner than the service says."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        for attempt in range(1, ATTEMPTS_MAX):
            wait_seconds = 2.0**attempt / 2
            try:
                response = super().handle_request(request)
                if response.status_code not in (429, 503):
                    return response
                retry_after = response.headers.get("Retry-After", "")
                if retry_after.isdigit():
                    wait_seconds = int(retry_after)
                response.read()  # the connection is free again
            except httpx.TransportError:
                pass  # no answer: it is harmless to record or to ask the same twice
            time.sleep(wait_seconds)
        return super().handle_request(request)


def connect(url: str, token: str | None = None) -> Client:
    headers = {"Authorization": f"Bearer {token}"} if token else None
    http_client = httpx.Client(headers=headers, timeout=TIMEOUT_SECONDS, transport=RetryingTransport())
    # Of the client that it takes, the generated code describes less than httpx has.
    return Client(f"{url}/graphql", http_client=cast(Any, http_client))


def unseen_for_users(
    client: Client, user_ids: list[str], candidates: list[str], rule: SeenRule
) -> Iterator[tuple[str, list[str]]]:
    """(user, unseen candidates) of many users, one request for each hundred."""
    for start in range(0, len(user_ids), USERS_MAX):
        batch = user_ids[start : start + USERS_MAX]
        for user in client.unseen_posts_for_users(batch, candidates, rule).users:
            yield user.id, user.unseen_posts


def history(client: Client, user_id: str) -> Iterator[SeenPostsSeenPostsNodes]:
    """Each post that the user has seen, newest first. Pages may be empty: has_next_page says when to stop."""
    after = None
    while True:
        page = client.seen_posts(user_id, first=PAGE_SIZE, after=after).seen_posts
        yield from page.nodes
        if not page.page_info.has_next_page:
            return
        after = page.page_info.end_cursor


def main() -> None:
    user_ids, candidates = sys.argv[1].split(","), sys.argv[2:]
    url = os.environ.get("IMPRESSIONS_URL", "http://127.0.0.1:4000")
    client = connect(url, os.environ.get("IMPRESSIONS_TOKEN"))
    # A post may come back when it was last seen a month ago.
    rule = SeenRule(since=datetime.now(timezone.utc) - timedelta(days=30))

    print(f"{user_ids[0]} has not seen:", *client.unseen_posts(user_ids[0], candidates, rule).unseen_posts)
    print("all users, in one request:")
    for user_id, unseen in unseen_for_users(client, user_ids, candidates, rule):
        print(f"{user_id}:", *unseen)
    print(f"{user_ids[0]} has seen:")
    for seen in history(client, user_ids[0]):
        last_viewed_at = seen.last_viewed_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        print(last_viewed_at, seen.post.id, f"{seen.views}x")


if __name__ == "__main__":
    try:
        main()
    except GraphQLClientHttpError as error:
        # The generated client does not read the body of an answer that is not 200; its errors are there.
        errors = cast(httpx.Response, error.response).json()["errors"]
        sys.exit("\n".join(f"{each['extensions']['code']}: {each['message']}" for each in errors))
