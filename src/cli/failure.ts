import { TokenKeyError } from "../access/errors.ts";
import { ConfigError } from "../config-values.ts";
import { EngineStartError } from "../ports/errors.ts";
import { TrustedDocumentsError } from "../server/trusted-documents.ts";
import { terminalText } from "./terminal-text.ts";

/** A command cannot do what it was asked to. The message is one line that says what to do instead. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}

/** What a failed command prints: one line where the operator can mend it, the stack where only we can. */
export function explainFailure(error: unknown): string {
  if (error instanceof ConfigError) {
    return error.message
      .split("\n")
      .map((line) => `impressions: configuration: ${line}`)
      .join("\n");
  }
  if (
    error instanceof EngineStartError ||
    error instanceof TokenKeyError ||
    error instanceof TrustedDocumentsError ||
    error instanceof CommandError
  ) {
    return `impressions: ${terminalText(error.message)}`;
  }
  if (isListenError(error)) return `impressions: ${listenFailure(error)}`;
  return `impressions: unexpected failure: ${error instanceof Error ? error.stack : String(error)}`;
}

interface ListenError extends NodeJS.ErrnoException {
  readonly address?: string;
  readonly port?: number;
}

function isListenError(error: unknown): error is ListenError {
  return error instanceof Error && (error as NodeJS.ErrnoException).syscall === "listen";
}

function listenFailure({ code, address, port }: ListenError): string {
  const where = `${address ?? "HOST"}:${port ?? "PORT"}`;
  if (code === "EADDRINUSE") return `${where} is in use: stop what listens there, or set PORT`;
  if (code === "EACCES") return `${where} may not be listened on by this user: set PORT to 1024 or above`;
  if (code === "EADDRNOTAVAIL") return `${where} is not an address of this machine: set HOST`;
  return `cannot listen on ${where} (${code})`;
}
