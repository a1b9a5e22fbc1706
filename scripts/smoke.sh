#!/usr/bin/env bash
# `npm start` as a newcomer types it: it must come up, take an impression, answer for it, and stop cleanly.
set -euo pipefail
cd "$(dirname "$0")/.."

port=${SMOKE_PORT:-4173}
url="http://127.0.0.1:$port"
data=$(mktemp -d)
log=$data/service.log
PORT=$port DATA_DIR=$data/data npm start >"$log" 2>&1 &
npm=$!
finish() {
  status=$?
  [ "$status" -eq 0 ] || cat "$log"
  kill "$npm" 2>/dev/null || true
  rm -rf "$data"
  exit "$status"
}
trap finish EXIT

graphql() { curl -fsS "$url/graphql" -H 'content-type: application/json' -d "$1"; }
# Waits for a condition, 60 s at most.
eventually() {
  for _ in $(seq 240); do
    if "$@" >/dev/null 2>&1; then return 0; fi
    sleep 0.25
  done
  echo "not within 60 s: $*" >&2
  return 1
}

eventually curl -fsS "$url/readyz"
now=$(date -u +%Y-%m-%dT%H:%M:%S.000Z)
graphql '{"query":"mutation { recordImpressions(input: { userId: \"ana\", impressions: [{ postId: \"p1\", viewedAt: \"'"$now"'\" }] }) { accepted } }"}'
echo
seen() { graphql '{"query":"{ unseenPosts(userId: \"ana\", candidates: [\"p1\", \"p2\"]) }"}' | grep -qF '{"unseenPosts":["p2"]}'; }
eventually seen
graphql '{"query":"{ unseenPosts(userId: \"ana\", candidates: [\"p1\", \"p2\"]) }"}'
echo
curl -fsS "$url/playground" | grep -qi graphiql

# npm passes the signal to its child, which is the service itself (`exec` in the script, not a shell around it).
kill -TERM "$npm"
wait "$npm" || true
eventually grep -q '"msg":"stopped"' "$log"
echo 'smoke run passed'
