#!/usr/bin/env bash
# graphql-jit 0.8.9 (with graphql 16.15.0): a fragment that is spread twice in one selection, the first time under a
# condition, is compiled with the first spread's condition alone. Where that is false the answer lacks the fields that
# the second, unconditional spread selects, without an error; graphql-js gives them. The same field written twice
# without a fragment is right. Runs the pinned packages in a temporary folder; fails if the behaviour changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund graphql@16.15.0 graphql-jit@0.8.9
cat >try.cjs <<'JS'
const { buildSchema, execute, parse } = require("graphql");
const { compileQuery } = require("graphql-jit");

const schema = buildSchema("type Query { user: User } type User { id: ID! }");
const rootValue = { user: { id: "ann" } };
const documents = {
  "fragment spread twice": "query ($y: Boolean!) { user { ...F @include(if: $y) ...F } } fragment F on User { id }",
  "field written twice": "query ($y: Boolean!) { user { id @include(if: $y) id } }",
};
(async () => {
  for (const [name, text] of Object.entries(documents)) {
    const document = parse(text);
    const variableValues = { y: false };
    const interpreted = await execute({ schema, document, rootValue, variableValues });
    const compiled = await compileQuery(schema, document).query(rootValue, {}, variableValues);
    console.log(`${name}: graphql-js ${JSON.stringify(interpreted)}, graphql-jit ${JSON.stringify(compiled)}`);
  }
})();
JS
seen=$(node try.cjs)
expected='fragment spread twice: graphql-js {"data":{"user":{"id":"ann"}}}, graphql-jit {"data":{"user":{}}}
field written twice: graphql-js {"data":{"user":{"id":"ann"}}}, graphql-jit {"data":{"user":{"id":"ann"}}}'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'changed; expected:\n%s\n' "$expected"; exit 1; }
