import type { Command } from "commander";
import { describeConfig } from "../config.ts";
import type { CliDependencies } from "./dependencies.ts";

export function registerConfig(program: Command, { loadConfig }: CliDependencies): void {
  program
    .command("config")
    .description("print every setting as it is in force (from the environment, .env, or the default)")
    .action(() => {
      for (const line of describeConfig(loadConfig())) process.stdout.write(`${line}\n`);
    });
}
