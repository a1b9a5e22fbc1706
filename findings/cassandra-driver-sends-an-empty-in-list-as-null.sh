#!/usr/bin/env bash
# cassandra-driver 4.10.0 encodes an empty array for a `list<text>` parameter, which is what `IN ?` takes, as null, and not as
# a list of no elements. For a column the two mean the same. For `SELECT ... WHERE user_id = ? AND post_id IN ?` they do not:
# `IN ()` is an empty answer, and Apache Cassandra 5.0.9 answers the bound null with "Invalid null value for column post_id"
# (seen with a prepared statement). A set is encoded so, too; an empty map is not: it
# goes as a map of no elements. A program that asks about a list of ids must not ask
# where the list is empty. Runs the pinned package in a temporary folder, without a server; fails if the behaviour changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >init.log
npm install --silent --no-audit --no-fund cassandra-driver@4.10.0
cat >try.cjs <<'JS'
const { Encoder, types } = require("cassandra-driver");

const encoder = new Encoder(4, {});
const text = { code: types.dataTypes.varchar, info: null };
const encode = (value, code, info) => encoder.encode(value, { code, info });

const one = encode(["post-1"], types.dataTypes.list, text);
const none = encode([], types.dataTypes.list, text);
const noSet = encode([], types.dataTypes.set, text);
const noMap = encode({}, types.dataTypes.map, [text, text]);
console.log("a list of one:", one.toString("hex"));
console.log("an empty list:", none, " set:", noSet, " map:", noMap);

// Four bytes: the number of elements. So an empty list has a form of its own on the wire: 00000000.
const isList = one.readInt32BE(0) === 1;
if (!isList || none !== null || noSet !== null || noMap?.readInt32BE(0) !== 0) {
  console.error("the behaviour has changed");
  process.exit(1);
}
JS
node try.cjs
