import { createInterface } from "node:readline/promises";
import { CommandError } from "./failure.ts";
import { terminalText } from "./terminal-text.ts";

/**
 * Asks before something that cannot be undone. Only "yes" is a yes.
 *
 * @param what one sentence: what would be done.
 * @param flags.yes the answer was given with the command; nothing is asked.
 * @returns whether to go on. @throws CommandError there is no terminal that could answer.
 */
export async function confirmed(
  what: string,
  { yes, signal }: { readonly yes: boolean | undefined; readonly signal: AbortSignal },
): Promise<boolean> {
  if (yes === true) return true;
  if (!process.stdin.isTTY) throw new CommandError(`${what} Add --yes to do so without a question.`);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // On a terminal that is being read Ctrl-C is a key and no signal.
  terminal.once("SIGINT", () => process.emit("SIGINT", "SIGINT"));
  try {
    const answer = await terminal.question(`${terminalText(what)} Type yes to go on: `, { signal });
    return answer.trim().toLowerCase() === "yes";
  } catch (error) {
    if (signal.aborted) return false;
    throw error;
  } finally {
    terminal.close();
  }
}
