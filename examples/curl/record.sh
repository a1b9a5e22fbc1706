#!/usr/bin/env bash
# Records what maria and jakob saw, so that the examples have something to ask about.
set -euo pipefail

url=${IMPRESSIONS_URL:-http://127.0.0.1:4000}/graphql

headers() {
  echo 'content-type: application/json'
  if [ -n "${IMPRESSIONS_TOKEN:-}" ]; then echo "authorization: Bearer $IMPRESSIONS_TOKEN"; fi
}

# Records for the user $1 the views that jq makes of $2. Sending the same views again changes nothing, so curl may try
# again whenever it got no good answer.
record() {
  jq -n --arg userId "$1" 'def ago($days): now - $days * 86400 | floor | todate;
    { query: "mutation RecordImpressions($input: RecordImpressionsInput!) { recordImpressions(input: $input) { accepted } }",
      variables: { input: { userId: $userId, sentAt: ago(0), impressions: ['"$2"'] } } }' |
    curl --silent --show-error --fail-with-body --max-time 10 --retry 4 --retry-connrefused \
      --header @<(headers) --data-binary @- "$url"
}

record maria '
  { postId: "post-3", viewedAt: ago(0), surface: "HOME", position: 0, dwellMs: 1800 },
  { postId: "post-1", viewedAt: ago(1), surface: "HOME", position: 1, dwellMs: 900 },
  { postId: "post-1", viewedAt: ago(2), surface: "SEARCH" },
  { postId: "post-2", viewedAt: ago(40), surface: "NOTIFICATION" }'
record jakob '
  { postId: "post-1", viewedAt: ago(0) },
  { postId: "post-4", viewedAt: ago(3) }'
