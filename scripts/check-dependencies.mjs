#!/usr/bin/env node
/**
 * Holds what is installed by whom runs the service: exact versions, contents that the lock file vouches for, and licences
 * that need no consent. Fails, too, where docs/licences.md is not the list of them; `--write` writes it.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** SPDX identifiers of licences that ask for no more than to be named. Another one needs a decision. */
const ALLOWED = [
  "0BSD",
  "Apache-2.0",
  "BlueOak-1.0.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "ISC",
  "MIT",
  "Unlicense",
];
const LIST = "docs/licences.md";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const read = (file) => readFileSync(join(root, file), "utf8");
const problems = [];

for (const file of ["package.json", "client/package.json"]) {
  const { dependencies = {}, devDependencies = {} } = JSON.parse(read(file));
  for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
    // Under another name: npm:package@version.
    if (!/^(npm:(@[\w-]+\/)?[\w.-]+@)?\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
      problems.push(`${file}: ${name} ${version}: set one exact version (npm install --save-exact)`);
  }
}

const { packages } = JSON.parse(read("package-lock.json"));
const installed = Object.entries(packages).flatMap(([path, entry]) => {
  const name = path.split("node_modules/").at(-1);
  return path.includes("node_modules/") && entry.link !== true ? [{ name, ...entry }] : [];
});
for (const { name, version, integrity, resolved } of installed) {
  if (!/^sha512-/.test(integrity ?? ""))
    problems.push(`${name}@${version}: package-lock.json has no SHA-512 of it`);
  // Other users would fetch from the registry address of the lock file's author.
  if (resolved !== undefined)
    problems.push(`${name}@${version}: package-lock.json names a registry: ${resolved}`);
}

/** The packages of a production installation (npm ci --omit=dev), each once. */
const shipped = [
  ...new Map(
    installed.filter(({ dev }) => dev !== true).map((entry) => [`${entry.name}@${entry.version}`, entry]),
  ).values(),
].sort((a, b) => (`${a.name}@${a.version}` < `${b.name}@${b.version}` ? -1 : 1));
for (const { name, version, license } of shipped) {
  if (!isAllowed(license))
    problems.push(
      `${name}@${version}: its licence is ${license ?? "not stated"}; allowed are ${ALLOWED.join(", ")}`,
    );
}

const list = `# Licences

What \`npm ci --omit=dev\` and the image hold beside the service itself (Apache-2.0), by licence. Made from package-lock.json by
\`node scripts/check-dependencies.mjs --write\`; \`npm run check\` fails where it is stale, or where a licence is not on the
script's list.

${[...new Set(shipped.map(({ license }) => license))]
  .sort()
  .map((license) => {
    const names = shipped
      .filter((entry) => entry.license === license)
      .map(({ name, version }) => `\`${name}\` ${version}`);
    return `## ${license}\n\n${names.join(", ")}\n`;
  })
  .join("\n")}`;
if (process.argv.includes("--write")) writeFileSync(join(root, LIST), list);
else if (read(LIST) !== list)
  problems.push(`${LIST} is stale: run \`node scripts/check-dependencies.mjs --write\``);

for (const problem of problems) console.error(problem);
console.log(`${shipped.length} packages are shipped, ${problems.length} problems`);
if (problems.length > 0 || shipped.length === 0) process.exitCode = 1;

/** "(MIT OR GPL-3.0-only)" is ours to choose from; of "(MIT AND BSD-3-Clause)" both hold. */
function isAllowed(expression = "") {
  return expression
    .replaceAll(/[()]/g, "")
    .split(" OR ")
    .some((choice) => choice.split(" AND ").every((license) => ALLOWED.includes(license.trim())));
}
