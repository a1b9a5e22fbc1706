#!/usr/bin/env bash
# RecBole 1.2.1: an atomic file's `timestamp:float` in epoch seconds becomes a 32-bit float before the interactions are
# sorted by time ("TO"). Near 1.8e9 these are 128 s apart, so all views of two minutes are one instant, and their order is
# that of the file: of a history that is exported newest first, leave-one-out takes a view from the middle for the last
# one. The same ten views, oldest first, are split right. Also, lines of items that are called NA, null or None
# disappear without a warning. Runs the pinned packages in a temporary folder (1 GB); fails if the behaviour changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet install recbole==1.2.1 numpy==1.26.4 pandas==2.2.3 scipy==1.13.1 torch==2.15.0 ray==2.6.3
mkdir -p data/newest data/oldest
cat >try.py <<'PY'
import logging
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)
from recbole.config import Config
from recbole.data import create_dataset

START = 1796000000
views = [f"ann\tpost-{number}\t{START + 30 * number}\n" for number in range(10)]
odd = [f"bob\t{name}\t{START}\n" for name in ("NA", "null", "None", "fine")]
for order, lines in (("newest", views[::-1]), ("oldest", views)):
    with open(f"data/{order}/{order}.inter", "w") as file:
        file.writelines(["user_id:token\titem_id:token\ttimestamp:float\n", *lines, *odd])
    settings = {
        "data_path": "data",
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "eval_args": {"split": {"LS": "test_only"}, "order": "TO", "group_by": "user", "mode": "full"},
    }
    dataset = create_dataset(Config(model="BPR", dataset=order, config_dict=settings))
    lines_read = dataset.inter_num
    items = dataset.field2id_token["item_id"]
    test = dataset.build()[-1].inter_feat
    print(f"{order} first: {lines_read} of 14 lines; the last view: {[str(items[item]) for item in test['item_id'].tolist()]}")
PY
seen=$(venv/bin/python try.py 2>/dev/null)
expected="newest first: 11 of 14 lines; the last view: ['post-7']
oldest first: 11 of 14 lines; the last view: ['post-9']"
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'changed; expected:\n%s\n' "$expected"; exit 1; }
