#!/usr/bin/env bash
# graphql-jit 0.8.9 (with graphql 16.15.0): a schema may have a scalar of its own that is called ID, Int, Float, String or
# Boolean, say an ID that refuses numbers because JSON has rounded them. For variables graphql-jit looks at the type's name
# and uses a coercion of its own, so that the schema's parseValue is never called; graphql-js calls it. Without the
# variable, and under another name, both call it. Runs the pinned packages in a temporary folder; fails if the behaviour
# changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund graphql@16.15.0 graphql-jit@0.8.9
cat >try.cjs <<'JS'
const { GraphQLObjectType, GraphQLScalarType, GraphQLSchema, GraphQLString, execute, parse } = require("graphql");
const { compileQuery } = require("graphql-jit");

function schemaWith(name) {
  const own = new GraphQLScalarType({ name, parseValue: (value) => `own ${value}`, parseLiteral: (node) => `own ${node.value}` });
  const echo = { type: GraphQLString, args: { id: { type: own } }, resolve: (_source, { id }) => id };
  return new GraphQLSchema({ query: new GraphQLObjectType({ name: "Query", fields: { echo } }) });
}
(async () => {
  for (const name of ["ID", "PostId"]) {
    const schema = schemaWith(name);
    for (const [how, text] of [["variable", `query ($id: ${name}) { echo(id: $id) }`], ["literal", "{ echo(id: 7) }"]]) {
      const document = parse(text);
      const variableValues = how === "variable" ? { id: 7 } : {};
      const interpreted = await execute({ schema, document, variableValues });
      const compiled = await compileQuery(schema, document).query({}, {}, variableValues);
      console.log(`${name}, ${how}: graphql-js "${interpreted.data.echo}", graphql-jit "${compiled.data.echo}"`);
    }
  }
})();
JS
seen=$(node try.cjs)
expected='ID, variable: graphql-js "own 7", graphql-jit "7"
ID, literal: graphql-js "own 7", graphql-jit "own 7"
PostId, variable: graphql-js "own 7", graphql-jit "own 7"
PostId, literal: graphql-js "own 7", graphql-jit "own 7"'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'changed; expected:\n%s\n' "$expected"; exit 1; }
