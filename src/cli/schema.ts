import { writeFile } from "node:fs/promises";
import type { Command } from "commander";
import { printGraphQLSchema } from "../resolvers/schema.ts";

/** For contributors: what `npm run schema:emit` calls. */
export function registerSchema(program: Command): void {
  program
    .command("schema", { hidden: true })
    .description("print the GraphQL schema")
    .option("--out <file>", "write it to a file instead")
    .action(async ({ out }: { out?: string }) => {
      const text = await printGraphQLSchema();
      if (out === undefined) process.stdout.write(text);
      else await writeFile(out, text);
    });
}
