import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { View } from "../../src/domain/impression.ts";
import { decodeLine, encodeLine } from "../../src/transfer/line-codec.ts";
import { createTemporaryDirectory } from "../kit/directory.ts";
import { run } from "../servers/command.ts";
import { pythonEnvironment } from "./support/python.ts";

/** The statements of docs/import-export.md about readers of an export and writers of an import, with the programs themselves. */

const DOCUMENT = readFileSync(join(import.meta.dirname, "../../docs/import-export.md"), "utf8");
const PROGRAMS = [...DOCUMENT.matchAll(/^```python\nimport (\w+)\n(.*?)^```$/gms)].map(
  ([, reader = "", program = ""]) => ({ reader, program: `import ${reader}\n${program}` }),
);

const WRITERS = [...DOCUMENT.matchAll(/^```python\n# (\w+)\n(.*?)^```$/gms)].map(
  ([, name = "", program = ""]) => ({ module: name.toLowerCase(), program }),
);

/** What a writer finds: instants without a time zone, with more digits than are kept, and a row without details. */
const TABLE = `
from datetime import datetime
columns = {
    "userId": ["007", "u2"],
    "postId": ["p1", "p2"],
    "viewedAt": [datetime(2026, 11, 22, 10, 15, 30, 123999), datetime(2026, 11, 22, 10, 15, 31)],
    "surface": ["HOME", None],
    "position": [3, None],
    "dwellMs": [1200, None],
}
`;
const TABLE_IN: Readonly<Record<string, string>> = {
  pandas: "views = pandas.DataFrame(columns)",
  polars: "views = polars.DataFrame(columns)",
  duckdb:
    "duckdb.sql('CREATE TABLE views (userId TEXT, postId TEXT, viewedAt TIMESTAMP, surface TEXT, position INT, dwellMs INT)')\n\
duckdb.executemany('INSERT INTO views VALUES (?, ?, ?, ?, ?, ?)', list(zip(*columns.values())))",
};

/** The rows of a reader's `views`, as JSON: instants in their text, what is missing as null. */
const SHOW = `
import json
def plain(value):
    return value.isoformat() if hasattr(value, "isoformat") else None if value != value else value
if hasattr(views, "to_dicts"): rows = views.to_dicts()
elif hasattr(views, "fetchall"): rows = [dict(zip(views.columns, row)) for row in views.fetchall()]
else: rows = views.astype(object).where(views.notna(), None).to_dict("records")
shown = [{name: plain(value) for name, value in rows[index].items()} for index in (0, -1)]
print(json.dumps({"count": len(rows), "shown": shown}))
`;

const VIEW: View = {
  userId: "1000000000000000001",
  postId: "007",
  viewedAtMs: Date.parse("2026-11-22T10:15:30.123Z"),
  receivedAtUs: Date.parse("2026-11-22T10:15:31.123Z") * 1_000 + 456,
  surface: null,
  position: null,
  dwellMs: null,
};
const LAST: View = { ...VIEW, userId: "1000000000000000002", surface: "HOME", position: 0, dwellMs: 1_200 };

const shownOf = ({ userId, postId, surface, position, dwellMs }: View) => ({
  userId,
  postId,
  surface,
  position,
  dwellMs,
  viewedAt: expect.stringMatching(/^2026-11-22T10:15:30\.123(000)?\+00:00$/),
  receivedAt: "2026-11-22T10:15:31.123456+00:00",
});

describe("an export", () => {
  let python: string;
  beforeAll(async () => {
    python = join(await pythonEnvironment(join(import.meta.dirname, "readers-requirements.txt")), "python");
  });

  /** Runs a program beside an export of so many views, of which the last alone has all fields. */
  function read(program: string, lines: number, encode: (view: View) => string): Promise<string> {
    const directory = createTemporaryDirectory();
    onTestFinished(directory.remove);
    const views = Array.from({ length: lines }, (_, index) => encode(index < lines - 1 ? VIEW : LAST));
    writeFileSync(join(directory.path, "views.ndjson"), `${views.join("\n")}\n`);
    return run(python, ["-c", program], { cwd: directory.path, timeoutMs: 120_000 });
  }

  /** As exports were before they held nulls. */
  const withoutNulls = (view: View) =>
    JSON.stringify(JSON.parse(encodeLine(view)), (_, value: unknown) => value ?? undefined);

  test("is read by three programs", () => {
    expect(PROGRAMS.map(({ reader }) => reader)).toEqual(["polars", "duckdb", "pandas"]);
  });

  test.each(PROGRAMS)("is whole in $reader, wherever a field has its first value", async ({ program }) => {
    for (const encode of [encodeLine, withoutNulls])
      for (const lines of [2_001, 25_000]) {
        const { count, shown } = JSON.parse(await read(program + SHOW, lines, encode)) as {
          count: number;
          shown: unknown;
        };
        expect({ count, shown }).toEqual({ count: lines, shown: [shownOf(VIEW), shownOf(LAST)] });
      }
  });

  // The behaviour that the document warns of. If a reader does better by now, correct the document.
  test("is not whole without the types", async () => {
    const polars = 'import polars\nprint(polars.read_ndjson("views.ndjson").columns)';
    await expect(read(polars, 2_001, encodeLine)).rejects.toThrow(/HOME/);
    expect(await read(polars, 2_001, withoutNulls)).not.toContain("surface");

    const duckdb =
      "import duckdb\nprint(duckdb.sql(\"SELECT count(dwellMs) FROM 'views.ndjson'\").fetchall())";
    expect(await read(duckdb, 2_001, encodeLine)).toContain("[(1,)]");
    expect(await read(duckdb, 25_000, encodeLine)).toContain("[(0,)]");

    const pandas = 'import pandas\nprint(pandas.read_json("views.ndjson", lines=True)["postId"][0])';
    expect(await read(pandas, 2_001, encodeLine)).toBe("7\n");
  });
});

describe("a table", () => {
  let python: string;
  beforeAll(async () => {
    python = join(await pythonEnvironment(join(import.meta.dirname, "readers-requirements.txt")), "python");
  });

  test("is written by three programs", () => {
    expect(WRITERS.map(({ module }) => module)).toEqual(["pandas", "polars", "duckdb"]);
  });

  test.each(WRITERS)("is written by $module as the import reads it", async ({ module, program }) => {
    const directory = createTemporaryDirectory();
    onTestFinished(directory.remove);
    const setUp = `import ${module}\n${TABLE}${TABLE_IN[module]}\n`;
    await run(python, ["-c", setUp + program], { cwd: directory.path, timeoutMs: 120_000 });

    const lines = readFileSync(join(directory.path, "views.ndjson"), "utf8").trimEnd().split("\n");
    expect(lines.map(decodeLine)).toEqual([
      recordOf("007", "p1", "2026-11-22T10:15:30.123Z", { surface: "HOME", position: 3, dwellMs: 1_200 }),
      recordOf("u2", "p2", "2026-11-22T10:15:31.000Z", { surface: null, position: null, dwellMs: null }),
    ]);
  });

  function recordOf(userId: string, postId: string, viewedAt: string, details: Partial<View>) {
    const impression = { postId, viewedAtMs: Date.parse(viewedAt), ...details };
    return { kind: "record", record: { userId, receivedAtUs: null, impression } };
  }
});
