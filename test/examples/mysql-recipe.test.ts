import { readFileSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { createConnection } from "mariadb";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createTemporaryDirectory } from "../kit/directory.ts";
import { run } from "../servers/command.ts";
import { type MariaDbServer, startMariaDbServer } from "../servers/mariadb.ts";

/** The recipe of docs/import-export.md, taken from there, against Debian's MariaDB. */

const ROOT = join(import.meta.dirname, "../..");
const [, RECIPE = ""] = readFileSync(join(ROOT, "docs/import-export.md"), "utf8").split(/^## From MySQL$/m);
const [, SQL = ""] = /^```sql\n(.*?)^```$/ms.exec(RECIPE) ?? [];
const [, SHELL = ""] = /^```sh\n(.*?)^```$/ms.exec(RECIPE) ?? [];

const DAY_MS = 86_400_000;
/** The last microsecond of a millisecond, a day ago: it must not become the next one's. */
const viewedAtMs = Math.floor((Date.now() - DAY_MS) / 1_000) * 1_000 + 123;
const viewedAt = new Date(viewedAtMs).toISOString().replace("T", " ").replace("Z", "999");

const ROWS: readonly (readonly [userId: string, postId: string, dwellMs: number | null])[] = [
  ["日本", "p1", 1_200],
  ["中国", "p1", null],
  ["🦊", "p1", 0],
  ["🐻", "p1", 7],
  ["\"quoted\" \\ and 'apart'", "žluťoučký", null],
];

describe("the recipe for MySQL", () => {
  let server: MariaDbServer;

  beforeAll(async () => {
    const started = await startMariaDbServer();
    if (started === null)
      throw new Error("this test needs a MariaDB server and its client (Debian: mariadb-server)");
    server = started;
    const connection = await createConnection({ socketPath: server.socketPath, user: "root" });
    const { username } = userInfo();
    if (username !== "root") {
      await connection.query(`CREATE USER '${username}'@'localhost'`);
      await connection.query(`GRANT ALL ON *.* TO '${username}'@'localhost'`);
    }
    await connection.query("CREATE DATABASE app CHARACTER SET utf8mb4 COLLATE utf8mb4_bin");
    await connection.query(
      "CREATE TABLE app.impressions (user_id VARCHAR(128), post_id VARCHAR(128), viewed_at DATETIME(6), surface VARCHAR(64), dwell_ms INT)",
    );
    await connection.batch(
      "INSERT INTO app.impressions VALUES (?, ?, ?, 'HOME', ?)",
      ROWS.map(([userId, postId, dwellMs]) => [userId, postId, viewedAt, dwellMs]),
    );
    await connection.end();
    return server.stop;
  });

  // A container and cron have no locale.
  test.each(["C", "C.UTF-8"])("loses neither ids nor milliseconds under LC_ALL=%s", async (locale) => {
    const directory = createTemporaryDirectory();
    onTestFinished(directory.remove);
    const program = (name: string, command: string) =>
      writeFileSync(join(directory.path, name), `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o755 });
    program("impressions", `node '${join(ROOT, "dist/main.js")}'`);
    // Without what this machine's configuration says: of the socket, and of character sets.
    program("mysql", `mariadb --no-defaults --socket='${server.socketPath}'`);
    writeFileSync(join(directory.path, "export.sql"), SQL);
    await run("sh", ["-ec", SHELL], {
      cwd: directory.path,
      env: {
        PATH: `${directory.path}:${process.env.PATH}`,
        DATA_DIR: join(directory.path, "data"),
        LC_ALL: locale,
      },
      timeoutMs: 120_000,
    });
    const lines = readFileSync(join(directory.path, "views.ndjson"), "utf8").trimEnd().split("\n");
    const read = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    const byUser = (a: { userId?: unknown }, b: { userId?: unknown }) =>
      String(a.userId) < String(b.userId) ? -1 : 1;
    expect(read.toSorted(byUser)).toEqual(
      ROWS.map(([userId, postId, dwellMs]) => ({
        userId,
        postId,
        viewedAt: viewedAtMs,
        surface: "HOME",
        dwellMs,
      })).toSorted(byUser),
    );
  });
});
