#!/usr/bin/env bash
# DuckDB 2.0.1, read_json: a column that is null in all lines of the sample (the first 20,480) gets the type NULL, and the
# values that come later are read as null, without an error. The same lines with the key left out instead of null end with
# an error that names the key. So NDJSON with all keys in each line, which other readers prefer, is the form in
# which an optional field (a surface, a dwell time, that an app sends from some release on) is lost silently. With
# `columns` or `sample_size=-1` it is read. Runs the pinned package in a temporary folder; fails if the behaviour changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet install duckdb==2.0.1
cat >try.py <<'PY'
import json

import duckdb

LINES_BEFORE = 25_000


def write(name, early):
    with open(name, "w") as file:
        for number in range(LINES_BEFORE):
            file.write(json.dumps({"post": f"post-{number}", **early}) + "\n")
        file.write(json.dumps({"post": "last", "dwell_ms": 900}) + "\n")


def attempt(title, source):
    try:
        rows = duckdb.sql(f"SELECT * FROM {source} WHERE post = 'last'").fetchall()
        print(f"{title}: {rows[0][1]}")
    except duckdb.Error as error:
        print(f"{title}: {type(error).__name__}")


write("null.ndjson", {"dwell_ms": None})
write("absent.ndjson", {})
attempt("null at first", "read_json('null.ndjson')")
attempt("absent at first", "read_json('absent.ndjson')")
attempt("null at first, the whole file sampled", "read_json('null.ndjson', sample_size=-1)")
attempt("null at first, columns given", "read_json('null.ndjson', columns={post: 'VARCHAR', dwell_ms: 'INTEGER'})")
PY
seen=$(venv/bin/python try.py)
expected='null at first: None
absent at first: InvalidInputException
null at first, the whole file sampled: 900
null at first, columns given: 900'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'changed; expected:\n%s\n' "$expected"; exit 1; }
