import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { settingsPage, withFirstSettings } from "../../scripts/settings-page.ts";
import { describeConfig, readConfig } from "../../src/config.ts";

const ROOT = join(import.meta.dirname, "../..");
const README_LINES_MAX = 219;

const PAGES = globSync(["*.md", "docs/**/*.md", "client/*.md", "examples/**/*.md"], { cwd: ROOT }).sort();
const DECISIONS = globSync("docs/adr/[0-9]*.md", { cwd: ROOT }).sort();

const FILES = globSync(
  ["src", "client", "test", "bench", "demo", "examples", "scripts", "findings"].map(
    (folder) => `${folder}/**/*.{ts,mjs}`,
  ),
  {
    cwd: ROOT,
    exclude: (name) => name.endsWith("node_modules"),
  },
);

const read = (page: string) => readFileSync(join(ROOT, page), "utf8");

/** GitHub's anchor of a heading: lower case, words joined by `-`, no other punctuation, no links. */
function anchorsOf(page: string): string[] {
  const withoutCode = read(page).replaceAll(/^```.*?^```/gms, "");
  return [...withoutCode.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .replaceAll(/\[(.+?)\]\(.+?\)/g, "$1")
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, "")
      .replaceAll(" ", "-"),
  );
}

/** The links of a page that stay in this repository and lead nowhere. */
function brokenLinksOf(page: string): string[] {
  return [...read(page).matchAll(/\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)/g)].flatMap(
    ([, path = "", anchor]) => {
      const target = path === "" ? page : join(dirname(page), path);
      if (!existsSync(join(ROOT, target))) return [`${page}: ${path}`];
      if (anchor === undefined || !target.endsWith(".md") || anchorsOf(target).includes(anchor)) return [];
      return [`${page}: ${path}#${anchor}`];
    },
  );
}

/** Files of ours that a text names by a part of their paths, such as `domain/walk.ts`, and that are not there. */
function missingFilesOf(text: string): string[] {
  return [...text.matchAll(/(?<![\w./@-])(?:[\w-]+\/)+[\w.-]+\.(?:ts|mjs)\b(?! *")/g)]
    .map(([path]) => path)
    .filter((path) => !FILES.some((file) => file === path || file.endsWith(`/${path}`)));
}

describe("the pages", () => {
  test("name only files that exist, in comments and on pages but those of decisions", () => {
    const texts = [
      ...PAGES.filter((page) => !/adr|CHANGELOG/.test(page)),
      ...globSync("src/**/*.ts", { cwd: ROOT }),
    ];
    const missing = texts.flatMap((file) => {
      const lines = read(file).split("\n");
      const said = file.endsWith(".ts") ? lines.filter((line) => /^ *(\/\/|\/?\*)/.test(line)) : lines;
      return missingFilesOf(said.join("\n")).map((path) => `${file}: ${path}`);
    });
    expect(missing).toEqual([]);
  });

  test("link only to files and headings that exist", () => {
    expect(PAGES.length).toBeGreaterThan(20);
    expect(PAGES.flatMap(brokenLinksOf)).toEqual([]);
  });

  test("number each decision once, and list it under its heading", () => {
    const list = read("docs/adr/README.md");
    const numbers = DECISIONS.map((page) => Number(page.match(/(\d{4})-/)?.[1]));
    expect(new Set(numbers).size).toBe(DECISIONS.length);
    const expected = DECISIONS.map((page, index) => {
      const [, number, title] = read(page).match(/^# (\d+)\. (.+)$/m) ?? [];
      expect(Number(number), page).toBe(numbers[index]);
      return `| ${number} | [${title}](${page.slice("docs/adr/".length)}) |`;
    });
    expect(list.match(/^\| \d.+$/gm)).toEqual(expected);
  });
});

describe("the front page", () => {
  test("stays short", () => {
    expect(read("README.md").trimEnd().split("\n").length).toBeLessThanOrEqual(README_LINES_MAX);
  });

  test("has the settings of a newcomer as src/settings.ts describes them", () => {
    const readme = read("README.md");
    expect(readme).toMatch(/^\| ENGINE \|/m);
    expect(withFirstSettings(readme), "npm run settings:emit").toBe(readme);
  });
});

describe("the page of settings", () => {
  test("is what src/settings.ts describes", () => {
    expect(settingsPage(), "npm run settings:emit").toBe(read("docs/settings.md"));
  });

  test("has one row for each setting that `impressions config` prints, in its order", () => {
    const names = describeConfig(readConfig({})).map((line) => line.slice(0, line.indexOf("=")));
    expect(names.length).toBeGreaterThan(50);
    expect([...read("docs/settings.md").matchAll(/^\| ([A-Z_]+) \|/gm)].map(([, name]) => name)).toEqual(
      names,
    );
  });
});
