#!/usr/bin/env bash
# cornac 2.2.1: of several lines with one user and one item the first in the file stays, with its value and its time; the
# later ones are dropped. A log of views that is newest first keeps the newest view, one that is oldest first the oldest,
# and a value that grows with each view keeps its first. scikit-surprise 1.1.5 keeps all lines of the same data. Runs the
# pinned packages in a temporary folder; fails if the behaviour changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet install cornac==2.2.1 scikit-surprise==1.1.5 'numpy<2' pandas==2.3.3
cat >try.py <<'PY'
import warnings

warnings.filterwarnings("ignore")
import cornac
import pandas
import surprise

oldest_first = [("ann", "post-1", 1.0, 10), ("ann", "post-1", 2.0, 20), ("ann", "post-2", 1.0, 30)]
for order, lines in (("oldest first", oldest_first), ("newest first", oldest_first[::-1])):
    kept = cornac.data.Dataset.build(lines, fmt="UIRT")
    post = kept.iid_map["post-1"]
    rows = [(float(v), int(t)) for i, v, t in zip(kept.uir_tuple[1], kept.uir_tuple[2], kept.timestamps) if i == post]
    print(f"cornac, {order}: {rows}")
frame = pandas.DataFrame([line[:3] for line in oldest_first])
trainset = surprise.Dataset.load_from_df(frame, surprise.Reader(rating_scale=(1, 2))).build_full_trainset()
print(f"surprise: {[value for item, value in trainset.ur[0] if item == 0]}")
PY
seen=$(venv/bin/python try.py)
expected='cornac, oldest first: [(1.0, 10)]
cornac, newest first: [(2.0, 20)]
surprise: [1.0, 2.0]'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'changed; expected:\n%s\n' "$expected"; exit 1; }
