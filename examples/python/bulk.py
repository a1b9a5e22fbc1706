"""Whole histories in, and many users at once, several requests at a time: asyncio and httpx, no GraphQL library.

    python bulk.py record views.ndjson
    python bulk.py unseen users.txt post-1 post-2 post-3
    python bulk.py unseen-each lists.ndjson
"""

import asyncio
import itertools
import json
import os
import sys

import httpx

LIST_MAX = 500  # impressions in one mutation
USERS_MAX = 100  # users in one request
CANDIDATES_MAX = 5000  # of all users in one request, whose body may have 256 KiB; of one user at most 1000
REQUESTS_AT_ONCE = 8
ATTEMPTS_MAX = 5
TIMEOUT_SECONDS = 10

RECORD = """
mutation RecordImpressions($input: RecordImpressionsInput!) {
  recordImpressions(input: $input) { accepted flushAfterMs }
}"""

UNSEEN_POSTS_FOR_USERS = """
query UnseenPostsForUsers($userIds: [ID!]!, $candidates: [ID!]!, $rule: SeenRule) {
  users(ids: $userIds) { id unseenPosts(candidates: $candidates, rule: $rule) }
}"""


class ImpressionsError(Exception):
    """An answer with errors; `code` says what to do."""

    def __init__(self, error):
        self.code = error.get("extensions", {}).get("code", "UNKNOWN")
        super().__init__(f"{self.code}: {error['message']}")


class Impressions:
    def __init__(self, url, get_token=lambda: None):
        """get_token is called for each request, so that a job may run longer than a token is good for."""
        self.get_token = get_token
        self.slots = asyncio.Semaphore(REQUESTS_AT_ONCE)
        # One client for all: it keeps its connections open.
        self.http = httpx.AsyncClient(base_url=url, timeout=TIMEOUT_SECONDS)

    async def unseen_for_users(self, user_ids, candidates, rule=None):
        """{user: the candidates (at most 1000) that the user has not seen, in the order given}."""

        async def ask(batch):
            variables = {"userIds": batch, "candidates": candidates, "rule": rule}
            return (await self.ask(UNSEEN_POSTS_FOR_USERS, variables))["users"]

        batches = [user_ids[start : start + USERS_MAX] for start in range(0, len(user_ids), USERS_MAX)]
        answers = await asyncio.gather(*(ask(batch) for batch in batches))
        return {user["id"]: user["unseenPosts"] for users in answers for user in users}

    async def unseen_for_each(self, candidates_of, rule=None):
        """The same where each user has a list of its own, {user: candidates}: one field for each user in a request."""

        async def ask(batch):
            users = range(len(batch))
            parameters = "".join(f", $u{i}: ID!, $c{i}: [ID!]!" for i in users)
            fields = " ".join(f"a{i}: unseenPosts(userId: $u{i}, candidates: $c{i}, rule: $rule)" for i in users)
            variables = {"rule": rule}
            for i, (user_id, candidates) in enumerate(batch):
                variables |= {f"u{i}": user_id, f"c{i}": candidates}
            answer = await self.ask(f"query UnseenForEach($rule: SeenRule{parameters}) {{ {fields} }}", variables)
            return [(user_id, answer[f"a{i}"]) for i, (user_id, _) in enumerate(batch)]

        answers = await asyncio.gather(*(ask(batch) for batch in batches_of(candidates_of.items())))
        return dict(itertools.chain.from_iterable(answers))

    async def record(self, lists):
        """Records (user, impressions) pairs from an iterator, which is read no faster than the service takes them."""
        lists = iter(lists)

        async def record_next():
            accepted = 0
            for user_id, impressions in lists:  # all of them take from the one iterator
                variables = {"input": {"userId": user_id, "impressions": impressions}}
                answer = (await self.ask(RECORD, variables))["recordImpressions"]
                accepted += answer["accepted"]
                await asyncio.sleep(answer["flushAfterMs"] / 1000)
            return accepted

        return sum(await asyncio.gather(*(record_next() for _ in range(REQUESTS_AT_ONCE))))

    async def ask(self, query, variables):
        """Asks again after 429, 503 and lost connections, no sooner than the service says."""
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                async with self.slots:
                    response = await self.http.post(
                        "/graphql", json={"query": query, "variables": variables}, headers=self.headers()
                    )
                answer = answer_of(response)
            except httpx.TransportError:  # no answer: it is harmless to record or to ask the same twice
                if attempt == ATTEMPTS_MAX:
                    raise
                await asyncio.sleep(2**attempt / 2)
                continue
            if not answer.get("errors"):
                return answer["data"]
            waits_ms = [error.get("extensions", {}).get("retryAfterMs", 0) for error in answer["errors"]]
            if max(waits_ms) == 0 or attempt == ATTEMPTS_MAX:
                raise ImpressionsError(answer["errors"][0])
            await asyncio.sleep(max(waits_ms) / 1000)

    def headers(self):
        # The service gives up reading a little before this program gives up waiting, and so can say why.
        headers = {"x-request-timeout-ms": str(TIMEOUT_SECONDS * 900)}
        token = self.get_token()
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return headers


def answer_of(response):
    """The service answers JSON whatever the status; a proxy on the way may not."""
    try:
        return response.json()
    except ValueError:
        extensions = {"code": f"HTTP_{response.status_code}"}
        if response.status_code in (429, 502, 503, 504):
            retry_after = response.headers.get("Retry-After", "")
            extensions["retryAfterMs"] = int(retry_after) * 1000 if retry_after.isdigit() else 1000
        return {"errors": [{"message": response.text[:200], "extensions": extensions}]}


def batches_of(lists):
    """Lists of (user, candidates), each as long as one request may be."""
    batch, size = [], 0
    for user_id, candidates in lists:
        if batch and (len(batch) == USERS_MAX or size + len(candidates) > CANDIDATES_MAX):
            yield batch
            batch, size = [], 0
        batch.append((user_id, candidates))
        size += len(candidates)
    if batch:
        yield batch


def lists_of(lines):
    """(user, at most 500 impressions) of lines as `impressions import` reads them; lines of one user stand together."""
    for user_id, views in itertools.groupby(map(json.loads, lines), key=lambda view: view["userId"]):
        fields = ("postId", "viewedAt", "surface", "position", "dwellMs")
        impressions = ({field: view.get(field) for field in fields} for view in views)
        while batch := list(itertools.islice(impressions, LIST_MAX)):
            yield user_id, batch


async def main():
    url = os.environ.get("IMPRESSIONS_URL", "http://127.0.0.1:4000")
    impressions = Impressions(url, lambda: os.environ.get("IMPRESSIONS_TOKEN"))
    command, path, *candidates = sys.argv[1:]
    with open(path, encoding="utf-8") as lines:
        if command == "record":
            print("accepted:", await impressions.record(lists_of(lines)))
            return
        if command == "unseen":
            answers = await impressions.unseen_for_users(lines.read().split(), candidates)
        else:
            lists = {each["userId"]: each["candidates"] for each in map(json.loads, lines)}
            answers = await impressions.unseen_for_each(lists)
    for user_id, unseen in answers.items():
        print(f"{user_id}:", *unseen)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except ImpressionsError as error:
        sys.exit(str(error))
    except httpx.TransportError as error:
        sys.exit(f"no answer from {error.request.url}: {error!r}")
