#!/usr/bin/env bash
# graphql-jit 0.8.9 (with graphql 16.15.0): a field is selected twice under one key, once plainly and once with
# @include(if: false). The excluded selection's direct fields are left out, as they should be; its fields inside an
# inline or a named fragment are resolved and answered. graphql-js leaves out both. Runs the pinned packages
# in a temporary folder; fails if the behaviour changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund graphql@16.15.0 graphql-jit@0.8.9
cat >try.cjs <<'JS'
const { buildSchema, execute, parse } = require("graphql");
const { compileQuery } = require("graphql-jit");

const schema = buildSchema("type Query { user: User } type User { id: ID! views: Int }");
const rootValue = { user: { id: "ann", views: 7 } };
const documents = {
  directly: "query ($y: Boolean!) { user { id } user @include(if: $y) { views } }",
  "inline fragment": "query ($y: Boolean!) { user { id } user @include(if: $y) { ... { views } } }",
  "named fragment": "query ($y: Boolean!) { user { id } user @include(if: $y) { ...F } } fragment F on User { views }",
};
(async () => {
  for (const [name, text] of Object.entries(documents)) {
    const document = parse(text);
    const variableValues = { y: false };
    const interpreted = await execute({ schema, document, rootValue, variableValues });
    const compiled = await compileQuery(schema, document).query(rootValue, {}, variableValues);
    console.log(`${name}: graphql-js ${JSON.stringify(interpreted.data)}, graphql-jit ${JSON.stringify(compiled.data)}`);
  }
})();
JS
seen=$(node try.cjs)
expected='directly: graphql-js {"user":{"id":"ann"}}, graphql-jit {"user":{"id":"ann"}}
inline fragment: graphql-js {"user":{"id":"ann"}}, graphql-jit {"user":{"id":"ann","views":7}}
named fragment: graphql-js {"user":{"id":"ann"}}, graphql-jit {"user":{"id":"ann","views":7}}'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'changed; expected:\n%s\n' "$expected"; exit 1; }
