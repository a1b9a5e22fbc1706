import { describe, expect, it } from "vitest";
import { MIGRATIONS_DIRECTORY, readMigrations } from "../../src/scylla/schema/migration-files.ts";
import { STATEMENTS, type Statement } from "../../src/scylla/statements.ts";
import {
  BATCH_BYTES_MAX,
  BATCH_ROWS_MAX,
  type BatchRow,
  cutIntoBatches,
} from "../../src/scylla/writes/batches.ts";

const catalogue = Object.entries<Statement>(STATEMENTS);
const flat = (cql: string) => cql.replaceAll(/\s+/g, " ");

/** Each table's key, read from the migrations. */
const tables = new Map(
  readMigrations().flatMap(({ text }) =>
    [...text.matchAll(/CREATE TABLE IF NOT EXISTS (\w+) \([^;]*?PRIMARY KEY \(\(([^)]*)\)([^)]*)\)/g)].map(
      ([, table = "", partition = "", clustering = ""]) =>
        [table, { partition: namesIn(partition), clustering: namesIn(clustering) }] as const,
    ),
  ),
);

function namesIn(list: string): string[] {
  return list
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
}

function tableOf(cql: string): { name: string; partition: string[]; clustering: string[] } {
  const name = /\b(?:INTO|FROM) (\w+)/.exec(cql)?.[1] ?? "";
  const table = tables.get(name);
  if (table === undefined) throw new Error(`no migration creates ${name}`);
  return { name, ...table };
}

describe("the statement catalogue", () => {
  it("knows the tables", () => {
    expect([...tables.keys()].sort()).toEqual([
      "erased_users",
      "erasure_claims",
      "erasure_receipts",
      "erasures",
      "unfinished_erasures",
      "user_hash_keys",
      "user_packs",
      "viewer_slices",
      "viewers_by_post",
    ]);
  });

  it.each(catalogue)("%s is portable CQL", (_name, { cql }) => {
    expect(cql).not.toMatch(/ALLOW FILTERING/i);
    expect(cql).not.toMatch(/\bIF\b/i);
    expect(cql).not.toMatch(/\bBATCH\b/i);
    expect(cql).not.toMatch(/PER PARTITION|\bCAST\b|\bnow\(\)|\bOR\b|\bLIKE\b|\bCONTAINS\b/i);
    // Texts come as parameters only.
    expect(cql).not.toMatch(/['"]/);
    expect(cql).not.toMatch(/GROUP BY|\bcount\(/i);
  });

  it.each(catalogue.filter(([name]) => !name.startsWith("scan")))(
    "%s names a whole partition key",
    (_name, { kind, cql }) => {
      const { partition } = tableOf(cql);
      for (const column of partition) {
        if (flat(cql).startsWith("INSERT"))
          expect(namesIn(/\(([^)]*)\)/.exec(cql)?.[1] ?? "")).toContain(column);
        else expect(flat(cql)).toMatch(new RegExp(`\\b${column} (= \\?|IN \\?)`));
      }
      if (kind === "write") expect(cql).not.toMatch(/\bIN \?/);
    },
  );

  it("walks the ring for an export, and for nothing else", () => {
    const whole = catalogue.filter(
      ([, { cql }]) => !/WHERE [^;]*\w+ (= \?|IN \?)/.test(flat(cql)) && /^SELECT/.test(cql),
    );
    expect(whole.map(([name]) => name)).toEqual(["scanFirst", "scanLaterUsers"]);
  });

  it.each(catalogue)(
    "%s leaves no row to live for ever and no write time to a server",
    (_name, { kind, cql }) => {
      if (kind !== "write") return;
      const { name } = tableOf(cql);
      const views = ["user_packs", "viewers_by_post", "viewer_slices", "erased_users", "erasure_claims"];
      if (/^INSERT/.test(cql) && views.includes(name)) expect(cql).toMatch(/\bTTL \?/);
      // Any process may write a marker: its content is always the same, and it is never deleted.
      // A claim is written and deleted by its holder alone, with the driver's own growing timestamps.
      if (!["viewer_slices", "erasure_claims"].includes(name)) expect(cql).toMatch(/USING TIMESTAMP \?/);
    },
  );

  it("writes whole rows", () => {
    for (const [, { cql }] of catalogue) {
      const columns = namesIn(/^INSERT INTO \w+ \(([^)]*)\)/.exec(cql)?.[1] ?? "");
      if (columns.length === 0) continue;
      const { name } = tableOf(cql);
      const definition = readMigrations()
        .map(
          ({ text }) =>
            new RegExp(`CREATE TABLE IF NOT EXISTS ${name} \\(([^;]*?)PRIMARY KEY`).exec(text)?.[1],
        )
        .find((body) => body !== undefined);
      const defined = [...(definition ?? "").matchAll(/^\s+(\w+) /gm)].map(([, column]) => column);
      expect(columns.sort()).toEqual(defined.sort());
    }
    expect(catalogue.filter(([, { cql }]) => /^UPDATE/i.test(cql))).toEqual([]);
  });

  it("keeps a user's packs in one partition, so that those of a call are one mutation", () => {
    for (const name of ["insertPack", "deletePack", "deleteHistory"] as const)
      expect(tableOf(STATEMENTS[name].cql).partition).toEqual(["user_id"]);
  });
});

describe("batches", () => {
  const row = (text: string): BatchRow => ({
    statement: "insertPack",
    parameters: [text, new Date(), 5n],
  });
  const texts = (batches: BatchRow[][]) =>
    batches.map((batch) => batch.map(({ parameters }) => parameters[0]));

  it("hold at most 100 rows, and keep a group together", () => {
    const groups = Array.from({ length: 120 }, (_, index) => [row(`${index}a`), row(`${index}b`)]);
    const batches = cutIntoBatches(groups);
    expect(batches.map((batch) => batch.length)).toEqual([BATCH_ROWS_MAX, BATCH_ROWS_MAX, 40]);
    expect(texts(batches).flat()).toEqual(groups.flat().map(({ parameters }) => parameters[0]));
  });

  it("hold at most 30 KiB, and always take one group", () => {
    const wide = "x".repeat(8 * 1_024);
    const batches = cutIntoBatches([
      ...Array.from({ length: 5 }, () => [row(wide)]),
      [{ statement: "insertPack", parameters: [Buffer.from(wide)] }],
      [row("y".repeat(BATCH_BYTES_MAX + 1))],
      [row("z")],
    ]);
    expect(batches.map((batch) => batch.length)).toEqual([3, 3, 1, 1]);
    expect(cutIntoBatches([])).toEqual([]);
  });
});

describe("the migrations", () => {
  const text = readMigrations()
    .map((migration) => migration.text.replaceAll(/--[^\n]*/g, ""))
    .join("\n");

  it("hold portable CQL that can be repeated", () => {
    expect(MIGRATIONS_DIRECTORY).toMatch(/migrations.$/);
    for (const [statement] of text.matchAll(/\b(CREATE|ALTER|DROP)\b[^;]*/g)) {
      expect(statement).toMatch(/^(CREATE (TABLE|TYPE) IF NOT EXISTS|ALTER TABLE \w+\s+WITH)/);
    }
    expect(text).not.toMatch(
      /INDEX|MATERIALIZED|FUNCTION|AGGREGATE|counter|Unified|Incremental|SimpleStrategy/i,
    );
  });

  it("say gc_grace and compaction for every table", () => {
    for (const table of tables.keys()) {
      const said = [...text.matchAll(new RegExp(`TABLE (?:IF NOT EXISTS )?${table}\\b[^;]*`, "g"))].join(
        "\n",
      );
      expect(said).toMatch(/gc_grace_seconds = \d+/);
      expect(said).toMatch(/'class': '(TimeWindow|Leveled)CompactionStrategy'/);
    }
  });
});
