import { readFileSync } from "node:fs";
import { join } from "node:path";

const ACCESS = join(import.meta.dirname, "../../docs/access.md");
const LINE = /^\| ([^|]+) \| (`JWT_ISSUER=[^|]+) \|/gm;
const SETTING = /`(JWT_[A-Z_]+)=([^`]*)`/g;

/** The settings that docs/access.md gives for each identity provider: what its table has as `NAME=value`. */
export function documentedProviders(): ReadonlyMap<string, Readonly<Record<string, string>>> {
  const lines = [...readFileSync(ACCESS, "utf8").matchAll(LINE)];
  return new Map(
    lines.map(([, provider = "", settings = ""]) => [
      provider,
      Object.fromEntries([...settings.matchAll(SETTING)].map(([, name = "", value = ""]) => [name, value])),
    ]),
  );
}
