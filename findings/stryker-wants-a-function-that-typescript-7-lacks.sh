#!/usr/bin/env bash
# StrykerJS 10.1.1 in a project with TypeScript 7.0.2 and a tsconfig.json: before any test runs it rewrites tsconfig.json in its
# copy of the project by `ts.parseConfigFileTextToJson`, of the JavaScript API that TypeScript 7 does not have, and ends with
# "ts.parseConfigFileTextToJson is not a function". The runner, the checkers and the mutated files play no part: a project of
# plain JavaScript whose editor has a tsconfig.json is enough. With `tsconfigFile` set to a name that does not exist the same
# project is tested. Runs the pinned packages in a temporary folder; fails if the behaviour changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >init.log
npm install --silent --no-audit --no-fund @stryker-mutator/core@10.1.1 typescript@7.0.2 node@24.14.0
export PATH="$PWD/node_modules/.bin:$PATH"
echo '{ "compilerOptions": { "checkJs": true, "noEmit": true } }' >tsconfig.json
mkdir src
echo 'exports.isAdult = (age) => age >= 18;' >src/age.js
cat >test.cjs <<'JS'
const { isAdult } = require("./src/age.js");
if (!isAdult(18) || isAdult(17)) process.exit(1);
JS
cat >stryker.config.json <<'JSON'
{ "testRunner": "command", "commandRunner": { "command": "node test.cjs" }, "mutate": ["src/*.js"], "reporters": ["clear-text"] }
JSON
if npx stryker run >with.log 2>&1; then echo "it ran: the behaviour has changed"; exit 1; fi
grep --only-matching --max-count=1 'ts.parseConfigFileTextToJson is not a function' with.log
sed -i 's/^{ /{ "tsconfigFile": "none.json", /' stryker.config.json
npx stryker run >without.log 2>&1
grep 'age.js' without.log | tail -1
