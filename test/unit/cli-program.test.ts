import { expect, test } from "vitest";
import type { CliDependencies } from "../../src/cli/dependencies.ts";
import { createProgram } from "../../src/cli/program.ts";

/** The program's output for a command line that it refuses, before it uses its dependencies. */
async function refusalOf(...words: string[]): Promise<string> {
  let printed = "";
  const program = createProgram({} as CliDependencies, "0.0.0")
    .exitOverride()
    .configureOutput({
      writeErr: (text) => {
        printed += text;
      },
    });
  await expect(program.parseAsync(words, { from: "user" })).rejects.toMatchObject({ exitCode: 1 });
  return printed;
}

test("a command that does not exist is called that, and no argument of the default command", async () => {
  expect(await refusalOf("nonsense")).toMatch(/^error: unknown command 'nonsense'/);
});
