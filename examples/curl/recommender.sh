#!/usr/bin/env bash
# Which of these candidates have these users not seen, and what has the first of them seen?
#
#     ./recommender.sh maria,jakob post-1 post-2 post-3
set -euo pipefail

url=${IMPRESSIONS_URL:-http://127.0.0.1:4000}/graphql
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

headers() {
  echo 'content-type: application/json'
  if [ -n "${IMPRESSIONS_TOKEN:-}" ]; then echo "authorization: Bearer $IMPRESSIONS_TOKEN"; fi
}

# Sends the operation $1 with the variables on stdin, and prints its data.
# curl asks again after 429, 503 and refused connections, no sooner than Retry-After says.
ask() {
  jq --arg query "$1" '{ query: $query, variables: . }' |
    curl --silent --show-error --fail-with-body --max-time 10 --retry 4 --retry-connrefused \
      --header @<(headers) --data-binary @- --output "$answer" "$url" || {
    jq -r '.errors[] | "\(.extensions.code): \(.message)"' "$answer" >&2 || true
    return 1
  }
  jq .data "$answer"
}

# Each post that the user $1 has seen, newest first. Pages may be empty: hasNextPage says when to stop.
seen_posts() {
  local variables page
  variables=$(jq -n --arg userId "$1" '{ userId: $userId, first: 100 }')
  while true; do
    page=$(ask 'query SeenPosts($userId: ID!, $first: Int!, $after: String) {
      seenPosts(userId: $userId, first: $first, after: $after) {
        nodes { post { id } lastViewedAt views }
        pageInfo { hasNextPage endCursor }
      }
    }' <<<"$variables")
    jq -r '.seenPosts.nodes[] | "\(.lastViewedAt) \(.post.id) \(.views)x"' <<<"$page"
    jq -e .seenPosts.pageInfo.hasNextPage <<<"$page" >/dev/null || return 0
    variables=$(jq --argjson page "$page" '.after = $page.seenPosts.pageInfo.endCursor' <<<"$variables")
  done
}

users=${1:?usage: ./recommender.sh USER[,USER] CANDIDATE...}
user=${users%%,*}
shift
# A post may come back when it was last seen a month ago.
variables=$(jq -n --arg users "$users" \
  '{ userIds: ($users / ","), candidates: $ARGS.positional, rule: { since: (now - 30 * 86400 | floor | todate) } }' --args "$@")

jq '{ userId: .userIds[0], candidates, rule }' <<<"$variables" |
  ask 'query UnseenPosts($userId: ID!, $candidates: [ID!]!, $rule: SeenRule) {
    unseenPosts(userId: $userId, candidates: $candidates, rule: $rule)
  }' | jq -r --arg user "$user" '["\($user) has not seen:"] + .unseenPosts | join(" ")'

echo 'all users, in one request:'
ask 'query UnseenPostsForUsers($userIds: [ID!]!, $candidates: [ID!]!, $rule: SeenRule) {
  users(ids: $userIds) { id unseenPosts(candidates: $candidates, rule: $rule) }
}' <<<"$variables" | jq -r '.users[] | ["\(.id):"] + .unseenPosts | join(" ")'

echo "$user has seen:"
seen_posts "$user"
