import { Command } from "commander";
import { registerConfig } from "./config.ts";
import { registerDeadLetters } from "./dead-letters.ts";
import type { CliDependencies } from "./dependencies.ts";
import { registerDoctor } from "./doctor.ts";
import { registerEraseUser } from "./erase-user.ts";
import { registerExport } from "./export.ts";
import { registerImport } from "./import.ts";
import { registerMigrate } from "./migrate.ts";
import { registerSchema } from "./schema.ts";
import { registerServe } from "./serve.ts";

/** The `impressions` program with all its commands. */
export function createProgram(dependencies: CliDependencies, version: string): Command {
  const program = new Command("impressions")
    .description(
      "Records which user viewed which post, when, and answers recommenders' questions about it.\n\n" +
        "New here? Run `impressions serve` and open the playground it prints. It needs nothing but Node:\n" +
        "everything is kept in ./data. Settings are environment variables; `impressions config` lists them.",
    )
    .version(version)
    .showHelpAfterError("(add --help for what this command takes)");
  registerServe(program, dependencies);
  registerMigrate(program, dependencies);
  registerConfig(program, dependencies);
  registerDoctor(program, dependencies);
  registerDeadLetters(program, dependencies);
  registerEraseUser(program, dependencies);
  registerImport(program, dependencies);
  registerExport(program, dependencies);
  registerSchema(program);
  return program;
}
