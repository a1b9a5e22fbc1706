#!/usr/bin/env bash
# hyparquet-writer 0.17.0: with a schema of (user_id, post_id) and the column data given as (post_id, user_id), each with
# its name, the file is written without an error. hyparquet 1.33.0 reads it back right, by the names in the column
# chunks; pyarrow 26.0.1, polars 2.1.0 and DuckDB 2.0.1 read columns by their place in the schema and swap
# users and posts, without an error. A test that reads the file back with hyparquet does not notice.
# Runs the pinned packages in a temporary folder; fails if the behaviour changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund hyparquet-writer@0.17.0 hyparquet@1.33.0
python3 -m venv venv
venv/bin/pip --quiet install pyarrow==26.0.1 polars==2.1.0 duckdb==2.0.1
cat >write.mjs <<'JS'
import { writeFileSync } from "node:fs";
import { parquetReadObjects } from "hyparquet";
import { parquetWriteBuffer } from "hyparquet-writer";

const text = { type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "REQUIRED" };
const file = parquetWriteBuffer({
  schema: [{ name: "root", num_children: 2 }, { name: "user_id", ...text }, { name: "post_id", ...text }],
  columnData: [
    { name: "post_id", data: ["post-1", "post-2"] },
    { name: "user_id", data: ["ann", "bob"] },
  ],
});
writeFileSync("views.parquet", Buffer.from(file));
console.log("hyparquet", JSON.stringify((await parquetReadObjects({ file })).map((row) => row.user_id)));
JS
cat >read.py <<'PY'
import json

import duckdb
import polars
import pyarrow.parquet

print("pyarrow", json.dumps(pyarrow.parquet.read_table("views.parquet")["user_id"].to_pylist()))
print("polars", json.dumps(polars.read_parquet("views.parquet")["user_id"].to_list()))
print("duckdb", json.dumps([row[0] for row in duckdb.sql("SELECT user_id FROM 'views.parquet'").fetchall()]))
PY
seen=$(node write.mjs; venv/bin/python read.py)
expected='hyparquet ["ann","bob"]
pyarrow ["post-1", "post-2"]
polars ["post-1", "post-2"]
duckdb ["post-1", "post-2"]'
printf 'user_id as read by\n%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'changed; expected:\n%s\n' "$expected"; exit 1; }
