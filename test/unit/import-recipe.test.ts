import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

/** test/examples/mysql-recipe.test.ts runs the recipe; this holds what it found, where no MariaDB is installed. */

const read = (path: string) => readFileSync(join(import.meta.dirname, "../..", path), "utf8");

test.each(["docs/import-export.md", "src/cli/import.ts"])(
  "every mysql in %s names the character set",
  (path) => {
    const commands = read(path).match(/^\s*mysql .*$/gm) ?? [];
    expect(commands).toHaveLength(1);
    for (const command of commands)
      expect(command).toMatch(
        /^\s*mysql --default-character-set=utf8mb4 --batch --raw --skip-column-names --quick /,
      );
  },
);

test("instants are cut to milliseconds, not rounded", () => {
  expect(read("docs/import-export.md")).toContain(
    "'viewedAt', CAST(FLOOR(UNIX_TIMESTAMP(viewed_at) * 1000) AS UNSIGNED),",
  );
});
