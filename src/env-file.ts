import { parseEnv } from "node:util";
import { SECRETS } from "./config.ts";
import { ConfigError } from "./config-values.ts";

/** A line that sets a variable, and what is written behind its `=`. */
const ASSIGNMENT = /^\s*(?:export\s+)?([A-Z_]+)[^\S\n]*=[^\S\n]*(.*?)\r?$/gm;
const QUOTES = ["", "'", '"', "`"];

/**
 * Refuses a file `.env` in which a secret is written that Node reads as another one: without quotes a `#` begins a
 * comment and spaces at the end are cut off; between double quotes `\n` is a line end; behind a closing quote nothing counts.
 *
 * @param text the file's content.
 * @param environment as it is once the file is loaded: what was set before the file is not the file's business.
 * @throws ConfigError that names the settings, and repeats none of them.
 */
export function refuseMisreadSecrets(text: string, environment: Record<string, string | undefined>): void {
  const misread = [...text.matchAll(ASSIGNMENT)].flatMap(([line, name = "", written = ""]) => {
    if (!(SECRETS as ReadonlySet<string>).has(name)) return [];
    const read = parseEnv(line)[name] ?? "";
    const isAsWritten = QUOTES.some((quote) => written === quote + read + quote);
    return isAsWritten || environment[name] !== read ? [] : [name];
  });
  if (misread.length === 0) return;
  throw new ConfigError(
    misread
      .map((name) => `${name} in .env is read as another text than is written there: put it between ' and '`)
      .join("\n"),
  );
}
