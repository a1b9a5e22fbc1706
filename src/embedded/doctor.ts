import { accessSync, constants, existsSync, statfsSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { type Finding, failed, ok, printableBytes, warning } from "../domain/finding.ts";
import { EngineInUseError } from "../ports/errors.ts";
import { checkWhole, messageOf, schemaVersion } from "./database.ts";
import { lockDirectory } from "./lock.ts";
import { QUEUE_SCHEMA, type Schema, STORE_SCHEMA } from "./schema.ts";

/** Below this much room nothing is sure to be taken: a write-ahead log alone grows to 64 MiB. */
const FREE_BYTES_MIN = 128 * 1024 * 1024;
/** Modes of a directory that others than its owner may read. */
const OTHERS_MAY_READ = 0o044;

export interface EmbeddedDoctorOptions {
  readonly dataDir: string;
  readonly queueMaxBytes: number;
  readonly deadLetterMaxBytes: number;
  /** Whether a running service has the directory. */
  readonly isHeld: boolean;
}

/** Looks at the data directory. Makes none, and takes one that is there only for a moment. */
export function diagnoseEmbedded(options: EmbeddedDoctorOptions): Finding[] {
  const { dataDir, isHeld } = options;
  if (!existsSync(dataDir)) return [missingDirectoryFinding(dataDir), diskFinding(options)];
  return [
    isHeld ? ok("data directory", `${dataDir} is held by the running service`) : directoryFinding(dataDir),
    ...modeFindings(dataDir),
    ...[
      { file: "queue.sqlite", schema: QUEUE_SCHEMA },
      { file: "store.sqlite", schema: STORE_SCHEMA },
    ].map(({ file, schema }) => schemaFinding(dataDir, file, schema)),
    diskFinding(options),
  ];
}

function missingDirectoryFinding(dataDir: string): Finding {
  const parent = existing(resolve(dataDir));
  try {
    accessSync(parent, constants.W_OK);
    return ok("data directory", `${dataDir} is not there yet: the first start makes it`);
  } catch {
    return failed(
      "data directory",
      `${dataDir} is not there, and this user may not write ${parent}: set DATA_DIR`,
    );
  }
}

function directoryFinding(dataDir: string): Finding {
  try {
    lockDirectory(dataDir).release();
    return ok("data directory", `${dataDir} can be written, and no other process has it`);
  } catch (error) {
    const asking =
      error instanceof EngineInUseError
        ? "; if that is the service, PORT or IMPRESSIONS_URL lets it be asked"
        : "";
    return failed("data directory", messageOf(error) + asking);
  }
}

function modeFindings(dataDir: string): Finding[] {
  if ((statSync(dataDir).mode & OTHERS_MAY_READ) === 0) return [];
  return [
    warning(
      "permissions",
      `other users may look into ${dataDir}, which tells who viewed what: chmod 700 ${dataDir}`,
    ),
  ];
}

function schemaFinding(dataDir: string, file: string, schema: Schema): Finding {
  const path = join(dataDir, file);
  if (!existsSync(path)) return ok(file, "not there yet: the first start makes it");
  try {
    const version = schemaVersion(path, schema);
    checkWhole(path);
    const known = schema.steps.length;
    const format =
      version < known ? `format ${version} (the next start brings it to ${known})` : `format ${version}`;
    return ok(file, `${format}, no damage found`);
  } catch (error) {
    return failed(file, messageOf(error));
  }
}

function diskFinding({ dataDir, queueMaxBytes, deadLetterMaxBytes }: EmbeddedDoctorOptions): Finding {
  const { bavail, bsize } = statfsSync(existing(resolve(dataDir)));
  const freeBytes = bavail * bsize;
  const detail = `${printableBytes(freeBytes)} free`;
  if (freeBytes < FREE_BYTES_MIN) {
    return failed("disk", `${detail} in ${dataDir}: make room, or set DATA_DIR to another disk`);
  }
  const neededBytes = queueMaxBytes + deadLetterMaxBytes;
  if (freeBytes >= neededBytes) return ok("disk", detail);
  return warning(
    "disk",
    `${detail} in ${dataDir}, and a full queue with its dead letters takes ${printableBytes(neededBytes)}: make room, or ` +
      "lower QUEUE_MAX_BYTES or DEAD_LETTER_MAX_BYTES",
  );
}

/** The nearest directory that is there. */
function existing(path: string): string {
  return existsSync(path) ? path : existing(dirname(path));
}
