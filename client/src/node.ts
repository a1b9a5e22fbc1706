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
  /** Stores waiting views: `fileStorage(directory)`. Default: memory. */
  readonly storage?: ImpressionStorage;
  /** Default: Node's. */
  readonly fetch?: Fetch;
};

/** Just under the server's 256 KiB. */
const BODY_BYTES_MAX = 240 * 1_024;

/**
 * Records views in a Node program: a kiosk, a server-rendered feed, a simulation. Call `close` before the program ends,
 * since the timers of the SDK don't keep a process alive.
 */
export function createImpressions(options: NodeOptions): Impressions {
  return createImpressionsOn(nodePlatform(options), options);
}

/** The platform of `createImpressions`, for a program that replaces a part of it. */
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
 * Stores each value in a file, in a directory that no other process uses. A file is replaced as a whole or not at all. It
 * survives a killed process; it survives a machine that loses power only where the file system had written it to the disk.
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

/** The key that a file name stands for; empty where it is no file of the SDK. */
function keyOf(name: string): string[] {
  try {
    return [decodeURIComponent(name)];
  } catch {
    return [];
  }
}
