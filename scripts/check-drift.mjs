#!/usr/bin/env node
/**
 * Fails where a generated file that is committed differs from what its source generates now:
 *
 *   schema/schema.graphql        from the type-graphql classes (built into dist/)
 *   src/generated/operations.ts  from schema/schema.graphql and schema/operations, by codegen.yml
 *
 * Writes nothing.
 */
import { readFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { generate, loadContext } from "@graphql-codegen/cli";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stale = [];

const { printGraphQLSchema } = await import("../dist/resolvers/schema.js");
await compare("schema/schema.graphql", printGraphQLSchema(), "npm run schema:emit");

process.chdir(root);
const context = await loadContext("codegen.yml");
context.updateConfig({ silent: true });
const files = await generate(context, false).catch((error) => {
  console.error(`schema/operations does not fit schema/schema.graphql:\n${error.message}`);
  process.exit(1);
});
for (const { filename, content } of files) {
  await compare(relative(root, join(root, filename)), content, "npm run codegen");
}

if (stale.length > 0) {
  for (const { file, line, command } of stale) {
    console.error(
      `${file} is stale (it differs from line ${line} on): run \`${command}\` and commit the result`,
    );
  }
  process.exitCode = 1;
}

async function compare(file, generated, command) {
  const committed = await readFile(join(root, file), "utf8").catch(() => "");
  if (committed === generated) return;
  const lines = committed.split("\n");
  const line = generated.split("\n").findIndex((text, index) => text !== lines[index]) + 1;
  stale.push({ file, line: line === 0 ? lines.length : line, command });
}
