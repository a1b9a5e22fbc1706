import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { EngineStartError } from "../../src/ports/errors.ts";
import {
  migrationValues,
  readMigrations,
  renderedValues,
  statementsOf,
} from "../../src/scylla/schema/migration-files.ts";
import { type AppliedMigration, pendingMigrations } from "../../src/scylla/schema/schema-history.ts";

const CASSANDRA = { database: "Cassandra" } as const;
const RETENTIONS_DAYS = [1, 2, 7, 29, 30, 31, 90, 365, 3_650];

describe("migrationValues", () => {
  it.each(RETENTIONS_DAYS)("give %i days of retention about 30 time windows, never more than 50", (days) => {
    const { RETENTION_SECONDS, TIME_WINDOW_HOURS, MARKER_SECONDS } = migrationValues(days, CASSANDRA);
    const windows = Number(RETENTION_SECONDS) / (Number(TIME_WINDOW_HOURS) * 3_600);
    expect(windows).toBeGreaterThan(15);
    expect(windows).toBeLessThanOrEqual(30);
    // A slice of 30 days that begins now, its retention, and some slack.
    expect(Number(MARKER_SECONDS)).toBeGreaterThan(Number(RETENTION_SECONDS) + 30 * 86_400);
    // The longest TTL that Cassandra takes is 20 years.
    expect(Number(MARKER_SECONDS)).toBeLessThan(630_720_000);
  });
});

// docs/adr/0027: processes of the release before run on the new schema for as long as a rollout takes.
it("the migrations only add, and may be repeated", () => {
  const values = migrationValues(90, CASSANDRA);
  const statements = readMigrations().flatMap((migration) => statementsOf(migration, values));
  expect(statements.length).toBeGreaterThan(5);
  for (const statement of statements) {
    expect(statement).toMatch(
      /^(CREATE (TABLE|TYPE) IF NOT EXISTS|ALTER TABLE (IF EXISTS )?\w+\s+(WITH|ADD IF NOT EXISTS))\s/,
    );
  }
});

describe("statementsOf", () => {
  const migration = (text: string) => ({ version: 1, name: "0001_test", text, checksum: "" });
  const values = { DAYS: "7", HOURS: "6" };

  it("renders placeholders, drops comments, and cuts at semicolons that are not quoted", () => {
    const text =
      "-- one; two\nCREATE a -- b;\n WITH x = '--;''{{DAYS}}' AND y=-1;\n\nALTER c {{HOURS}} {{DAYS}};\n-- end";
    expect(statementsOf(migration(text), values)).toEqual([
      "CREATE a \n WITH x = '--;''7' AND y=-1",
      "ALTER c 6 7",
    ]);
    expect(renderedValues(migration(text), values)).toBe("DAYS=7 HOURS=6");
    expect(renderedValues(migration("CREATE a"), values)).toBe("");
  });

  it("refuses an unknown placeholder", () => {
    expect(() => statementsOf(migration("ALTER {{NONSENSE}}"), values)).toThrow(EngineStartError);
  });
});

describe("readMigrations", () => {
  function directoryOf(files: Record<string, string>): string {
    const directory = mkdtempSync(join(tmpdir(), "impressions-migrations-"));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
    return directory;
  }

  it("reads the files in order, and takes their checksums before anything is rendered", () => {
    const read = readMigrations(
      directoryOf({ "0002_b.cql": "B {{X}};", "0001_a.cql": "A;", "notes.md": "" }),
    );
    expect(read.map(({ version, name, text }) => ({ version, name, text }))).toEqual([
      { version: 1, name: "0001_a", text: "A;" },
      { version: 2, name: "0002_b", text: "B {{X}};" },
    ]);
    const turned = readMigrations(directoryOf({ "0001_a.cql": "A\r\nB;" }));
    expect(turned[0]?.checksum).toBe(readMigrations(directoryOf({ "0001_a.cql": "A\nB;" }))[0]?.checksum);
  });

  it.each([
    { "0002_a.cql": "" },
    { "0001_a.cql": "", "0003_b.cql": "" },
    { "1_a.cql": "" },
    { "0001_a.cql": "", "0001_b.cql": "" },
  ])("refuses files that are not numbered 1, 2, 3: %o", (files: Record<string, string>) => {
    expect(() => readMigrations(directoryOf(files))).toThrow(EngineStartError);
  });
});

describe("pendingMigrations", () => {
  const values = { DAYS: "7" };
  const migrations = [
    { version: 1, name: "0001_a", text: "A", checksum: "one" },
    { version: 2, name: "0002_b", text: "B {{DAYS}}", checksum: "two" },
  ];
  const history: AppliedMigration[] = [
    { version: 1, name: "0001_a", checksum: "one", settings: "" },
    { version: 2, name: "0002_b", checksum: "two", settings: "DAYS=7" },
  ];
  const pending = (applied: AppliedMigration[], with_ = values) =>
    pendingMigrations(migrations, applied, with_).map(({ migration, reason }) => [migration.name, reason]);

  it("are those that were not applied, or with other settings", () => {
    expect(pending([])).toEqual([
      ["0001_a", "new"],
      ["0002_b", "new"],
    ]);
    expect(pending(history.slice(0, 1))).toEqual([["0002_b", "new"]]);
    expect(pending(history)).toEqual([]);
    expect(pending(history, { DAYS: "8" })).toEqual([["0002_b", "settings"]]);
  });

  it("refuse a database of a release before packs, with what to do, whatever else was applied", () => {
    const checksum = "ab8c5f0c6c684e6544be834cf15386fd755be137ba6b4ab78977f757eed878a9";
    const before = { version: 1, name: "0001_views", checksum, settings: "" };
    for (const applied of [[before], [before, ...history.slice(1)]])
      expect(() => pending(applied)).toThrow(
        /a release before packs.*impressions export.*impressions import/,
      );
  });

  it("refuse a database that is newer, and a file that was changed", () => {
    const newer = { version: 3, name: "0003_c", checksum: "three", settings: "" };
    expect(() => pending([...history, newer])).toThrow(/newer version of impressions .*0003_c/);
    const changed = history.map((migration) => ({ ...migration, checksum: "other" }));
    expect(() => pending(changed)).toThrow(/migrations\/0001_a\.cql is not the file that was applied/);
  });
});
