import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { EngineStartError } from "../../ports/errors.ts";
import { type Flavour, zstdCompression } from "../flavour.ts";

/** migrations/ of this package, from src/scylla as from dist/scylla. */
export const MIGRATIONS_DIRECTORY = fileURLToPath(new URL("../../../migrations/", import.meta.url));

const FILE_NAME = /^(\d{4})_[a-z0-9_]+\.cql$/;
const PLACEHOLDER = /\{\{([A-Z_]+)\}\}/g;
const HOURS_PER_DAY = 24;
const SECONDS_PER_DAY = 86_400;
/** A time window is about this part of the retention: a read meets few SSTables, and there are never 50 windows. */
const TIME_WINDOWS = 30;
/** A marker may be written when its slice of 30 days begins, and has a day of slack. */
const MARKER_EXTRA_DAYS = 31;

/** One file of migrations/, as it stands there. */
export interface Migration {
  readonly version: number;
  /** The file's name without its ending. */
  readonly name: string;
  readonly text: string;
  /** Of the text with its placeholders: what they render to is a setting, not a change of the file. */
  readonly checksum: string;
}

/** What the placeholders stand for, by name. */
export type MigrationValues = Readonly<Record<string, string>>;

export function migrationValues(retentionDays: number, flavour: Pick<Flavour, "database">): MigrationValues {
  return {
    ZSTD_COMPRESSION: zstdCompression(flavour),
    RETENTION_SECONDS: String(retentionDays * SECONDS_PER_DAY),
    TIME_WINDOW_HOURS: String(Math.ceil((retentionDays * HOURS_PER_DAY) / TIME_WINDOWS)),
    MARKER_SECONDS: String((retentionDays + MARKER_EXTRA_DAYS) * SECONDS_PER_DAY),
  };
}

/** The migrations of a directory, in order. @throws EngineStartError their numbers are not 1, 2, 3, ... */
export function readMigrations(directory: string = MIGRATIONS_DIRECTORY): Migration[] {
  const files = readdirSync(directory)
    .filter((name) => name.endsWith(".cql"))
    .sort();
  return files.map((file, index) => {
    const version = Number(FILE_NAME.exec(file)?.[1]);
    if (version !== index + 1) {
      throw new EngineStartError(
        `${join(directory, file)}: migrations are named NNNN_name.cql and numbered without a gap; expected ${index + 1}`,
      );
    }
    // A checkout may have turned the line ends; that changes nothing.
    const text = readFileSync(join(directory, file), "utf8").replaceAll("\r\n", "\n");
    const checksum = createHash("sha256").update(text).digest("hex");
    return { version, name: file.slice(0, -".cql".length), text, checksum };
  });
}

/** Those of the values that the migration uses, as a text that changes when one of them does. */
export function renderedValues({ text }: Migration, values: MigrationValues): string {
  const names = [...new Set([...text.matchAll(PLACEHOLDER)].map(([, name]) => name ?? ""))];
  return names.map((name) => `${name}=${values[name]}`).join(" ");
}

/** The migration's statements, rendered, without comments. */
export function statementsOf({ name, text }: Migration, values: MigrationValues): string[] {
  const rendered = text.replace(PLACEHOLDER, (_placeholder, key: string) => {
    const value = values[key];
    if (value === undefined)
      throw new EngineStartError(`migration ${name} asks for an unknown value {{${key}}}`);
    return value;
  });
  return splitStatements(rendered);
}

/** Cuts CQL at its semicolons; those in quoted texts and in comments to the end of a line are none. */
function splitStatements(cql: string): string[] {
  const tokens = cql.matchAll(/--[^\n]*|'(?:[^']|'')*'|;|[^;'-]+|-/g);
  const statements: string[] = [];
  let statement = "";
  for (const [token] of tokens) {
    if (token === ";") {
      statements.push(statement.trim());
      statement = "";
    } else if (!token.startsWith("--")) {
      statement += token;
    }
  }
  statements.push(statement.trim());
  return statements.filter((text) => text !== "");
}
