import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Fetch, fetchPost } from "./fetch-post.ts";
import { createImpressionsOn, type Impressions } from "./impressions.ts";
import { commonPlatform, memoryStorage, processLocks } from "./local.ts";
import type { CoreOptions } from "./options.ts";
import type { ImpressionStorage, Platform } from "./platform.ts";

export * from "./index.ts";

export type NodeOptions = CoreOptions & {
  /** The service's GraphQL address, such as `http://127.0.0.1:4000/graphql`. */
  readonly endpoint: string;
  /** Where views wait: `fileStorage(directory)`. Default: memory. */
  readonly storage?: ImpressionStorage;
  /** Default: Node's. */
  readonly fetch?: Fetch;
};

/** Just under the server's 256 KiB. */
const BODY_BYTES_MAX = 240 * 1_024;

/**
 * Records views that a Node program knows of: a kiosk, a server-rendered feed, a simulation. Call `close` before the
 * program ends: its timers don't keep a process alive.
 */
export function createImpressions(options: NodeOptions): Impressions {
  return createImpressionsOn(nodePlatform(options), options);
}

/** What `createImpressions` runs on, for a program that wants to change a part of it. */
export function nodePlatform({
  endpoint,
  storage = memoryStorage(),
  fetch = globalThis.fetch,
}: Pick<NodeOptions, "endpoint" | "storage" | "fetch">): Platform {
  return {
    ...commonPlatform(),
    post: fetchPost(fetch, endpoint),
    online: () => true,
    listen: () => () => undefined,
    storage,
    locks: processLocks,
    bodyBytesMax: BODY_BYTES_MAX,
  };
}

/**
 * A file for each value, in a directory that no other process uses. A file is replaced as a whole or not at all; it survives
 * the death of the process, and of the machine only where the file system has written it.
 */
export function fileStorage(directory: string): ImpressionStorage {
  const ready = () => mkdir(directory, { recursive: true });
  const pathOf = (key: string) => join(directory, `${encodeURIComponent(key)}.json`);
  return {
    async keys() {
      await ready();
      const names = await readdir(directory);
      return names.filter((name) => name.endsWith(".json")).flatMap((name) => keyOf(name.slice(0, -5)));
    },
    get: (key) =>
      readFile(pathOf(key), "utf8").catch((error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT") return null;
        throw error;
      }),
    async set(key, value) {
      await ready();
      const temporary = join(directory, `${randomUUID()}.tmp`);
      await writeFile(temporary, value);
      await rename(temporary, pathOf(key));
    },
    remove: (key) => rm(pathOf(key), { force: true }),
  };
}

/** The key of a file's name, or nothing where it cannot be one of ours. */
function keyOf(name: string): string[] {
  try {
    return [decodeURIComponent(name)];
  } catch {
    return [];
  }
}
