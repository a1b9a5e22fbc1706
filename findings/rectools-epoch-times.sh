#!/usr/bin/env bash
# RecTools 0.17.0 (pandas 2.3.3): the interactions' `datetime` column may hold numbers, which are read as
# nanoseconds. Epoch seconds, as in most logs and the MovieLens files, all become the first two seconds of 1970,
# and epoch milliseconds its first half hour, without a warning: splits by days then have one day. Runs the pinned
# packages in a temporary folder; fails if the behaviour changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet install rectools==0.17.0 pandas==2.3.3
cat >try.py <<'PY'
import warnings

import pandas
from rectools.dataset import Dataset

warnings.simplefilter("error", UserWarning)
for unit, factor in (("seconds", 1), ("milliseconds", 1000)):
    views = pandas.DataFrame(
        {
            "user_id": ["ann", "ann"],
            "item_id": ["post-1", "post-2"],
            "weight": [1, 1],
            # 2026-11-30 and a day later
            "datetime": [1796000000 * factor, 1796086400 * factor],
        }
    )
    times = Dataset.construct(views).interactions.df["datetime"]
    print(unit, [time.isoformat() for time in times])
PY
seen=$(venv/bin/python try.py)
expected="seconds ['1970-01-01T00:00:01.796000', '1970-01-01T00:00:01.796086400']
milliseconds ['1970-01-01T00:29:56', '1970-01-01T00:29:56.086400']"
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'changed; expected:\n%s\n' "$expected"; exit 1; }
