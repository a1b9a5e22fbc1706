/**
 * Writes the tables of settings out of src/settings.ts: docs/settings.md, and those of a newcomer in README.md. Run it by
 * `npm run settings:emit`; test/unit/pages.test.ts fails where a page differs.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describeConfig, readConfig } from "../src/config.ts";
import { SETTING_GROUPS, SETTINGS } from "../src/settings.ts";

type Name = keyof typeof SETTINGS;

const ROOT = join(import.meta.dirname, "..");
const INTRODUCTION = `# Settings

Generated from [src/settings.ts](../src/settings.ts) by \`npm run settings:emit\`. [README](../README.md#configuration) says where
settings come from; \`npx impressions config\` prints the values in force.
`;
/** README's: what a first installation of either engine decides. */
const FIRST: readonly Name[] = [
  "ENGINE",
  "HOST",
  "PORT",
  "DATA_DIR",
  "NATS_SERVERS",
  "SCYLLA_CONTACT_POINTS",
  "SCYLLA_LOCAL_DC",
  "QUEUE_REPLICAS",
  "QUEUE_MAX_BYTES",
  "RETENTION_DAYS",
  "AUTH",
  "JWT_JWKS_URL",
  "JWT_ISSUER",
  "JWT_AUDIENCE",
  "CORS_ORIGINS",
  "TRUST_PROXY",
  "LOG_LEVEL",
];
const README_TABLE = /(<!-- settings -->\n\n).*?(?=\n\n<!-- \/settings -->)/s;

const defaultsWith = (environment: Record<string, string>): ReadonlyMap<string, string> =>
  new Map(
    describeConfig(readConfig(environment)).map((line) => {
      const at = line.indexOf("=");
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
const OPEN = defaultsWith({});
const TOKENS = { AUTH: "jwt", JWT_PUBLIC_KEY: "key.pem", JWT_ISSUER: "issuer", JWT_AUDIENCE: "audience" };
const WITH_TOKENS = defaultsWith(TOKENS);

const UNITS = ["GiB", "MiB", "KiB"] as const;

/** As one would set it: sizes with their unit. */
function valueText(name: Name, value: string): string {
  if (!/_BYTES(_MAX)?$/.test(name)) return value.replaceAll(",", ", ");
  const bytes = Number(value);
  const [unit = "B", factor = 1] =
    UNITS.map((unit, index) => [unit, 1024 ** (UNITS.length - index)] as const).find(
      ([, factor]) => bytes % factor === 0,
    ) ?? [];
  return `${bytes / factor}${unit}`;
}

function defaultText(name: Name): string {
  const open = OPEN.get(name) ?? "";
  const withTokens = name in TOKENS ? open : (WITH_TOKENS.get(name) ?? "");
  return [
    valueText(name, open),
    ...(withTokens === open ? [] : [`${valueText(name, withTokens)} with AUTH=jwt`]),
  ].join("; ");
}

/** The setting's error for an impossible value, which states all of its bounds. Empty for a setting that takes any text. */
function valuesText(name: Name): string {
  const issue = SETTINGS[name].safeParse("\0").error?.issues[0]?.message ?? "";
  return issue.startsWith("must be ") ? issue.slice("must be ".length) : "";
}

function rowOf(name: Name): string {
  const meaning = SETTINGS[name].description;
  if (meaning === undefined) throw new Error(`src/settings.ts does not describe ${name}`);
  return `| ${[name, defaultText(name), valuesText(name), meaning].map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

export function settingsPage(): string {
  const sections = Object.entries(SETTING_GROUPS).map(
    ([heading, settings]) =>
      `## ${heading}\n\n| name | default | values | meaning |\n|---|---|---|---|\n` +
      `${(Object.keys(settings) as Name[]).map(rowOf).join("\n")}\n`,
  );
  return [INTRODUCTION, ...sections].join("\n");
}

/** README with its table as it should be. */
export function withFirstSettings(readme: string): string {
  const rows = FIRST.map((name) => {
    const meaning = (SETTINGS[name].description ?? "").replaceAll(/\]\((?!\w+:)/g, "](docs/");
    return `| ${name} | ${defaultText(name)} | ${meaning} |`;
  });
  const table = ["| name | default | meaning |", "|---|---|---|", ...rows].join("\n");
  return readme.replace(README_TABLE, (_, start) => `${start}${table}`);
}

if (import.meta.main) {
  writeFileSync(join(ROOT, "docs/settings.md"), settingsPage());
  const readme = join(ROOT, "README.md");
  writeFileSync(readme, withFirstSettings(readFileSync(readme, "utf8")));
}
