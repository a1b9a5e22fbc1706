import { startTcpProxy, type TcpProxy } from "./tcp-proxy.ts";
import { cqlFrames, cqlStream } from "./wire-frames.ts";

/**
 * A real Cassandra that answers as ScyllaDB does, where the two differ for us: no ScyllaDB can be started in the tests.
 * The proxy changes the text of statements on their way; what is stored and how it is read stays Cassandra's. What it
 * imitates was read in ScyllaDB's source (2025.4.2 and 2026.2.5) and is named at each rule.
 */
export interface ScyllaProxy {
  /** `host:port` to connect to. */
  readonly address: string;
  /** The value that `ALTER TABLE ... WITH tombstone_gc` has set, by `keyspace.table` or `table`, as it was written. */
  readonly tombstoneGc: Map<string, string>;
  /** Statements that ScyllaDB would answer wrongly or slowly, and that the proxy refused for it. */
  readonly refused: readonly string[];
  close(): Promise<void>;
}

const QUERY = 0x07;
const PREPARE = 0x09;
const EXECUTE = 0x0a;
const RESULT = 0x08;
const RESULT_PREPARED = 4;
const HEADER_BYTES = 9;
const FLAG_PAGE_SIZE = 0x04;
const FLAG_VALUES = 0x01;

/** select_statement.cc: the client's page size is that of the pages which an aggregate reads inside. */
const AGGREGATE_PAGE_ROWS_MIN = 5_000;
const AGGREGATE = /\bcount\(|\bGROUP BY\b/i;

const READ_REPLICATION = "SELECT replication FROM system_schema.keyspaces";

/** A statement that Cassandra refuses, so that the client hears an "invalid request" with these words in it. */
const refusalOf = (words: string) => `SELECT ${words} FROM system.local`;

/** @param version what system.versions says. @param replicas of the keyspace: with one, mode repair is refused. */
export async function startScyllaProxy(
  target: string,
  { version = "2026.1.4", replicas = 1 }: { readonly version?: string; readonly replicas?: number } = {},
): Promise<ScyllaProxy> {
  const tombstoneGc = new Map<string, string>();
  const refused: string[] = [];
  /** Of each connection: what is being prepared, by stream; then the text by the prepared id. */
  const preparing = new Map<string, string>();
  const prepared = new Map<string, string>();

  const proxy: TcpProxy = await startTcpProxy(target, cqlFrames);
  proxy.setRule((frame, from, connection) => {
    const key = `${connection.number} ${cqlStream(frame)}`;
    if (from === "server") {
      learnPrepared(frame, key);
      return "PASS";
    }
    if (frame[4] === EXECUTE) return refusedExecution(frame) ?? "PASS";
    if (frame[4] !== QUERY && frame[4] !== PREPARE) return "PASS";
    const text = textOf(frame);
    if (frame[4] === PREPARE) preparing.set(key, text);
    const answered = translate(text);
    return answered === text ? "PASS" : withText(frame, answered);
  });

  function translate(text: string): string {
    // system_keyspace.cc: a column of system.local that Cassandra has not; release_version never changes.
    if (/\bsupported_features\b/.test(text))
      return "SELECT cluster_name AS supported_features FROM system.local";
    // virtual_tables.cc: `versions` has one row.
    if (/\bsystem\.versions\b/.test(text)) return `SELECT (text)'${version}' AS version FROM system.local`;
    // One node cannot hold more than one replica, so the keyspace has one, and says that it has more.
    if (replicas > 1 && text.startsWith(READ_REPLICATION)) {
      const told = `(map<text, text>){'class': 'NetworkTopologyStrategy', 'datacenter1': '${replicas}'}`;
      return text.replace("SELECT replication", `SELECT ${told} AS replication`);
    }
    const alter = /^ALTER TABLE (\S+) WITH tombstone_gc = (\{[^}]*\})$/.exec(text.trim());
    if (alter !== null) return setTombstoneGc(alter[1] ?? "", alter[2] ?? "");
    // compress.cc, compression_parameters: "Missing sub-option 'sstable_compression'"; Cassandra wants 'class'.
    const compression = /^ALTER TABLE \S+ WITH compression = \{[^}]*\}$/.exec(text.trim());
    if (compression !== null) {
      return text.includes("'sstable_compression'")
        ? text.replace("'sstable_compression'", "'class'")
        : refusalOf("missing_sub_option_sstable_compression");
    }
    const describe = /^DESCRIBE TABLE (?:\w+\.)?(\w+)$/.exec(text.trim());
    if (describe !== null) return descriptionOf(describe[1] ?? "");
    // interval.hh: tuple bounds of different lengths are compared by their common prefix, one side exclusive, so that
    // a range which lies in one instant is empty. ScyllaDB answers without a word; here it is refused, to be seen.
    if (hasUnequalTuples(text)) return refuse(text, "tuple_bounds_of_different_lengths");
    return text;
  }

  function setTombstoneGc(table: string, value: string): string {
    // tombstone_gc.cc, validate_tombstone_gc_options.
    if (replicas === 1 && value.includes("'repair'"))
      return refusalOf("tombstone_gc_with_mode_repair_is_not_supported_with_RF_one");
    tombstoneGc.set(table, value);
    return `ALTER TABLE ${table} WITH gc_grace_seconds = 864000`;
  }

  /** tombstone_gc.cc: what a table has before anything is said depends on the replicas. */
  function descriptionOf(table: string): string {
    const mode = replicas === 1 ? "timeout" : "repair";
    const value = tombstoneGc.get(table) ?? `{'mode': '${mode}', 'propagation_delay_in_seconds': '3600'}`;
    const statement = `CREATE TABLE ${table} (...) WITH tombstone_gc = ${value}`.replaceAll("'", "''");
    return `SELECT (text)'${statement}' AS create_statement FROM system.local`;
  }

  function refuse(text: string, words: string): string {
    refused.push(text);
    return refusalOf(words);
  }

  function learnPrepared(frame: Buffer, key: string): void {
    const text = preparing.get(key);
    if (text === undefined) return;
    preparing.delete(key);
    if (frame[4] !== RESULT || frame.readInt32BE(HEADER_BYTES) !== RESULT_PREPARED) return;
    const idBytes = frame.readUInt16BE(HEADER_BYTES + 4);
    prepared.set(frame.toString("hex", HEADER_BYTES + 6, HEADER_BYTES + 6 + idBytes), text);
  }

  /** Instead of an aggregate whose pages would be small: a statement that fails. */
  function refusedExecution(frame: Buffer): Buffer | null {
    const idBytes = frame.readUInt16BE(HEADER_BYTES);
    const text = prepared.get(frame.toString("hex", HEADER_BYTES + 2, HEADER_BYTES + 2 + idBytes)) ?? "";
    if (!AGGREGATE.test(text)) return null;
    const pageRows = pageSizeOf(frame, HEADER_BYTES + 2 + idBytes);
    if (pageRows === null || pageRows >= AGGREGATE_PAGE_ROWS_MIN) return null;
    return queryFrame(frame, refuse(text, "aggregate_with_small_pages"));
  }

  return { address: proxy.address, tombstoneGc, refused, close: proxy.close };
}

/** `(a, b) < (?, ?) AND (a) >= (?)`, and a plain bound beside a tuple. */
function hasUnequalTuples(text: string): boolean {
  const lengths = [...text.matchAll(/\(([\w, ]+)\)\s*(?:<|>)=?\s*\(/g)].map(
    ([, names = ""]) => names.split(",").length,
  );
  return new Set(lengths).size > 1;
}

function textOf(frame: Buffer): string {
  const bytes = frame.readInt32BE(HEADER_BYTES);
  return frame.toString("utf8", HEADER_BYTES + 4, HEADER_BYTES + 4 + bytes);
}

/** The frame of a QUERY or PREPARE with another statement; what follows the statement stays. */
function withText(frame: Buffer, text: string): Buffer {
  const rest = frame.subarray(HEADER_BYTES + 4 + frame.readInt32BE(HEADER_BYTES));
  return framed(frame, frame[4] ?? QUERY, Buffer.concat([longString(text), rest]));
}

/** A QUERY without parameters in the place of another request. */
function queryFrame(frame: Buffer, text: string): Buffer {
  const consistencyOne = Buffer.from([0, 1, 0]);
  return framed(frame, QUERY, Buffer.concat([longString(text), consistencyOne]));
}

function framed(original: Buffer, opcode: number, body: Buffer): Buffer {
  const header = Buffer.from(original.subarray(0, HEADER_BYTES));
  header[4] = opcode;
  header.writeUInt32BE(body.byteLength, HEADER_BYTES - 4);
  return Buffer.concat([header, body]);
}

function longString(text: string): Buffer {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeInt32BE(bytes.byteLength);
  return Buffer.concat([length, bytes]);
}

/** The page size in the query parameters of protocol 4 (values without names); null where there is none. */
function pageSizeOf(frame: Buffer, start: number): number | null {
  let at = start + 2;
  const flags = frame[at] ?? 0;
  at += 1;
  if ((flags & FLAG_VALUES) !== 0) {
    const values = frame.readUInt16BE(at);
    at += 2;
    for (let index = 0; index < values; index++) at += 4 + Math.max(0, frame.readInt32BE(at));
  }
  return (flags & FLAG_PAGE_SIZE) === 0 ? null : frame.readInt32BE(at);
}
