import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { PAGE_SIZE_MAX } from "../../src/domain/limits.ts";
import type { Reads } from "../../src/scylla/database.ts";
import { createPackDensity, createPostViews } from "../../src/scylla/packs/post-views.ts";
import { migrationValues, readMigrations, statementsOf } from "../../src/scylla/schema/migration-files.ts";
import { CLUSTERING_IDS_MAX, PARTITIONS_PER_QUERY_MAX, STATEMENTS } from "../../src/scylla/statements.ts";
import { BATCH_BYTES_MAX } from "../../src/scylla/writes/batches.ts";
import { COALESCED_BYTES_MAX, COALESCED_PARTITIONS_MAX } from "../../src/scylla/writes/write-coalescer.ts";

/**
 * The rules that keep us portable, held over every CQL text of the project. Each names its source: ScyllaDB's as of 2025.4.2
 * and 2026.2.5, Apache Cassandra's as of 5.0.9.
 */

const SOURCES = join(import.meta.dirname, "../../src/scylla");
/** The one file for what differs (docs/adr/0050); its words are ScyllaDB's. */
const FLAVOUR = "flavour.ts";

interface CqlText {
  readonly where: string;
  readonly cql: string;
}

/** Statements that stand in the sources beside the catalogue: strings and templates that begin as CQL does. */
function textsIn(file: string): CqlText[] {
  const source = readFileSync(join(SOURCES, file), "utf8");
  const literals = source.matchAll(
    /(["`])\s*((?:SELECT|INSERT|UPDATE|DELETE|ALTER|CREATE|DROP|TRUNCATE|DESCRIBE|BEGIN)\s[\s\S]*?)\1/g,
  );
  return [...literals].map(([, , cql = ""]) => ({ where: file, cql }));
}

const CASSANDRA = { database: "Cassandra" } as const;
const inSources = globSync("**/*.ts", { cwd: SOURCES }).filter((file) => file !== "statements.ts");
const texts: readonly CqlText[] = [
  ...Object.entries(STATEMENTS).map(([where, { cql }]) => ({ where, cql })),
  ...readMigrations().flatMap((migration) =>
    statementsOf(migration, migrationValues(90, CASSANDRA)).map((cql) => ({ where: migration.name, cql })),
  ),
  ...inSources.flatMap(textsIn),
].map(({ where, cql }) => ({ where, cql: cql.replaceAll(/\s+/g, " ") }));

/** Says of which texts a rule does not hold. */
function offenders(breaks: (cql: string) => boolean): CqlText[] {
  return texts.filter(({ cql }) => breaks(cql));
}

it("knows every place that sends CQL", () => {
  const places = new Set(texts.map(({ where }) => where));
  for (const file of ["schema/migrate.ts", "schema/schema-history.ts", "doctor.ts", FLAVOUR])
    expect(places).toContain(file);
  expect(texts.length).toBeGreaterThan(50);
  // This reads the files that call the driver directly.
  const callers = inSources.filter((file) =>
    /\.(execute|batch)\(/.test(readFileSync(join(SOURCES, file), "utf8")),
  );
  expect(callers.filter((file) => file !== "database.ts" && !places.has(file))).toEqual([]);
});

describe("the rules", () => {
  // ScyllaDB, utils/interval.hh: bounds of different lengths are compared by their common prefix, one side exclusive:
  // a range that lies in one instant is empty, without an error. A plain column beside a tuple is refused.
  it("both bounds of a range over several columns are tuples of one length", () => {
    expect(offenders(hasUnequalBounds)).toEqual([]);
    expect(hasUnequalBounds("WHERE p = ? AND (a, b) < (?, ?) AND (a) >= (?)")).toBe(true);
    expect(hasUnequalBounds("WHERE p = ? AND (a, b) < (?, ?) AND a >= ?")).toBe(true);
    expect(hasUnequalBounds("WHERE p = ? AND (a, b) < (?, ?) AND (a, b) >= (?, ?)")).toBe(false);
  });

  // ScyllaDB, cql3/statements/select_statement.cc: the client's page size is that of the pages which an aggregate reads
  // inside, one after another and under one timeout.
  it("nothing is aggregated in the database", () => {
    const aggregates = (cql: string) => /\b(count|sum|min|max|avg) ?\(|\bGROUP BY\b|\bDISTINCT\b/i.test(cql);
    expect(offenders(aggregates)).toEqual([]);
    expect(aggregates("SELECT a, count(*) FROM t WHERE p = ? GROUP BY a")).toBe(true);
  });

  // ScyllaDB, db/config.cc: max_clustering_key_restrictions_per_query and max_partition_key_restrictions_per_query are
  // 100; an IN on both is their product. Cassandra fans a list of partitions out to all their replicas.
  it("lists in a question are short", async () => {
    expect(CLUSTERING_IDS_MAX).toBeLessThanOrEqual(100);
    expect(PARTITIONS_PER_QUERY_MAX).toBeLessThanOrEqual(25);
    const lists: { readonly statement: string; readonly length: number }[] = [];
    const reads: Reads = {
      read: async () => [],
      async *pages(statement, parameters) {
        for (const list of parameters)
          if (Array.isArray(list)) lists.push({ statement, length: list.length });
        yield [];
      },
    };
    const ids = Array.from({ length: PAGE_SIZE_MAX }, (_, index) => `id-${index}`);
    const postViews = createPostViews(reads, "post", createPackDensity());
    await postViews.storedWithin(ids, 0, 1);
    await postViews.storedAmong(ids.map((userId, index) => ({ userId, viewedAtMs: index })));
    expect(lists.length).toBe(2 * (PAGE_SIZE_MAX / PARTITIONS_PER_QUERY_MAX));
    for (const { length } of lists) expect(length).toBeLessThanOrEqual(PARTITIONS_PER_QUERY_MAX);
    // What an erasure asks beside these: slices of every length of so many views.
    const asked = new Set([...lists.map(({ statement }) => statement), "findSlices"]);
    expect([...asked].sort()).toEqual(
      Object.entries(STATEMENTS)
        .flatMap(([name, { cql }]) => (/ IN \?/.test(cql) ? [name] : []))
        .sort(),
    );
  });

  // Cassandra, cassandra.yaml: a batch of several partition keys fails over 50 KiB and is warned of over 5 KiB or ten
  // partitions; ScyllaDB, db/config.cc: any batch fails over 1 MiB and is warned of over 128 KiB.
  it("batches are small, those of several partitions more so", () => {
    expect(BATCH_BYTES_MAX).toBeLessThanOrEqual(128 * 1_024);
    expect(COALESCED_BYTES_MAX).toBeLessThanOrEqual(5 * 1_024);
    expect(COALESCED_PARTITIONS_MAX).toBeLessThanOrEqual(10);
  });

  // What one of the two does not have, or has with limits of its own (docs/adr/0007).
  it("no filtering, no secondary index, no lightweight transaction, no counter, no server's clock", () => {
    const forbidden =
      /\bALLOW FILTERING\b|\bCREATE (CUSTOM )?INDEX\b|\bMATERIALIZED\b|\bIF (?!NOT EXISTS|EXISTS)|\bcounter\b|\bUPDATE\b/i;
    expect(offenders((cql) => forbidden.test(cql.replaceAll(/'[^']*'/g, "''")))).toEqual([]);
    const inserted = (cql: string) =>
      /^INSERT INTO (?!schema_migrations|\$\{HISTORY_TABLE\})/.test(cql) && / IF NOT EXISTS/.test(cql);
    expect(offenders(inserted)).toEqual([]);
  });

  // ScyllaDB, compaction/time_window_compaction_strategy.cc: a table has a default TTL, and at most 50 windows in it
  // (twcs_max_window_count).
  it.each([1, 7, 30, 90, 365, 3_650])("%i days of retention are at most 50 time windows", (days) => {
    const tables = readMigrations()
      .flatMap((migration) => statementsOf(migration, migrationValues(days, CASSANDRA)))
      .filter((cql) => cql.includes("TimeWindowCompactionStrategy"));
    expect(tables.length).toBeGreaterThan(0);
    for (const cql of tables) {
      const ttl = Number(/default_time_to_live = (\d+)/.exec(cql)?.[1]);
      const hours = Number(/'compaction_window_size': '(\d+)'/.exec(cql)?.[1]);
      expect(cql).toContain("'compaction_window_unit': 'HOURS'");
      expect(ttl / (hours * 3_600)).toBeLessThanOrEqual(50);
      expect(ttl).toBeGreaterThan(0);
    }
  });

  it("no name of ours is a reserved word of either grammar", () => {
    const names = new Set(texts.flatMap(({ cql }) => namesDefinedIn(cql)));
    expect([...names]).toEqual(expect.arrayContaining(["user_packs", "viewed_at", "pack_id", "post_id"]));
    expect([...names].filter((name) => RESERVED.has(name.toUpperCase()))).toEqual([]);
    expect(namesDefinedIn("CREATE TABLE IF NOT EXISTS t (token text, PRIMARY KEY ((token)))")).toContain(
      "token",
    );
  });

  it("words that only ScyllaDB knows stand in the file for what differs", () => {
    const scyllas =
      /tombstone_gc|supported_features|system\.versions|BYPASS CACHE|USING TIMEOUT|sstable_compression/;
    const elsewhere = offenders((cql) => scyllas.test(cql)).filter(({ where }) => where !== FLAVOUR);
    // What that file works out, sent by the runner of migrations.
    expect(elsewhere).toEqual([
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the text of the source.
      { where: "schema/migrate.ts", cql: "ALTER TABLE ${table} WITH tombstone_gc = ${value}" },
    ]);
  });
});

function hasUnequalBounds(cql: string): boolean {
  const tuples = [...cql.matchAll(/\(([\w, ]+)\) ?[<>]=? ?\(([?, ]+)\)/g)];
  const lengths = tuples.flatMap(([, names = "", values = ""]) => [
    names.split(",").length,
    values.split(",").length,
  ]);
  const columns = new Set(tuples.flatMap(([, names = ""]) => names.split(",").map((name) => name.trim())));
  const plain = [...cql.matchAll(/(?<![(\w, ])\b(\w+) [<>]=? \?/g), ...cql.matchAll(/AND (\w+) [<>]=? \?/g)];
  return new Set(lengths).size > 1 || plain.some(([, name = ""]) => columns.has(name));
}

/** Tables, types and columns that a statement makes. */
function namesDefinedIn(cql: string): string[] {
  const definition = /^CREATE (?:TABLE|TYPE) IF NOT EXISTS (\w+) ?\((.*)\)/.exec(cql);
  if (definition === null) return [];
  const [, name = "", columns = ""] = definition;
  const defined = columns.replace(/PRIMARY KEY.*/, "").split(",");
  return [name, ...defined.flatMap((column) => /^ ?(\w+) /.exec(column)?.[1] ?? [])];
}

/**
 * Cassandra: cql3/reserved_keywords.txt of 5.0.9. ScyllaDB: the keywords of cql3/Cql.g that none of its rules for
 * unreserved ones has; those beyond Cassandra's stand last.
 */
const RESERVED = new Set(
  `ADD ALLOW ALTER AND APPLY ASC AUTHORIZE BATCH BEGIN BY COLUMNFAMILY CREATE DELETE DESC DESCRIBE DROP ENTRIES EXECUTE
  FROM FULL GRANT IF IN INDEX INFINITY INSERT INTO IS KEYSPACE LIMIT MATERIALIZED MODIFY NAN NORECURSIVE NOT NULL OF ON
  OR ORDER PRIMARY RENAME REVOKE SCHEMA SELECT SET TABLE TO TOKEN TRUNCATE UNLOGGED UPDATE USE USING VIEW WHERE WITH
  CONSTRAINT LENGTH CHECK
  ANN CAST CONCURRENCY DEFAULT FALSE REPLACE SCYLLA_CLUSTERING_BOUND SCYLLA_COUNTER_SHARD_LIST
  SCYLLA_TIMEUUID_LIST_INDEX TRUE UNSET VECTOR_SEARCH_INDEXING`.split(/\s+/),
);
