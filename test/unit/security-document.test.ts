import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const DOCUMENT = readFileSync(join(ROOT, "SECURITY.md"), "utf8");

test("every threat in SECURITY.md names tests that exist", () => {
  const rows = DOCUMENT.split("\n").filter((line) => line.startsWith("| ") && line.split(" | ").length === 4);
  expect(rows.length).toBeGreaterThan(20);
  const scenarios = readdirSync(join(ROOT, "test/chaos"));
  for (const row of rows.slice(1)) {
    const held = row.split(" | ").at(-1) ?? "";
    const paths = [...held.matchAll(/`(test\/[^`]+)`/g)].map(([, path = ""]) => path);
    const chaos = [...held.matchAll(/chaos (\d+)/g)].map(([, number = ""]) => number);
    expect(paths.length + chaos.length + (held.includes("access matrix") ? 1 : 0), row).toBeGreaterThan(0);
    for (const path of paths) expect(existsSync(join(ROOT, path)), path).toBe(true);
    for (const number of chaos)
      expect(
        scenarios.some((name) => name.startsWith(`${number}-`)),
        number,
      ).toBe(true);
  }
});
