import { createLocalJWKSet, errors } from "jose";
import { type Finding, failed, ok } from "../domain/finding.ts";
import type { Clock } from "../domain/time.ts";
import type { Logger } from "../telemetry/logger.ts";
import { TokenKeyError } from "./errors.ts";
import { fetchKeySet } from "./remote-keys.ts";
import { type KeySource, openTokenKeys } from "./token-keys.ts";

const CHECK = "token keys";

/** Whether the keys that tokens are verified with can be had, now and from here. */
export async function diagnoseTokenKeys(
  source: KeySource,
  deps: { readonly clock: Clock; readonly logger: Logger },
): Promise<Finding> {
  if (source.kind === "jwks") return keySetFinding(source.url);
  try {
    const { algorithms } = await openTokenKeys(source, deps);
    return ok(CHECK, `tokens are signed with ${algorithms.join(", ")}`);
  } catch (error) {
    if (!(error instanceof TokenKeyError)) throw error;
    return failed(CHECK, error.message);
  }
}

async function keySetFinding(url: string): Promise<Finding> {
  try {
    const set = await fetchKeySet(url);
    createLocalJWKSet(set);
    if (set.keys.length === 0) return failed(CHECK, `${url} holds no key: correct JWT_JWKS_URL`);
    return ok(CHECK, `${set.keys.length} at ${url}`);
  } catch (error) {
    if (error instanceof errors.JWKSInvalid || error instanceof SyntaxError)
      return failed(CHECK, `${url} holds no key set: correct JWT_JWKS_URL`);
    return failed(
      CHECK,
      `${url} cannot be fetched (${reasonOf(error)}): correct JWT_JWKS_URL, or the way there`,
    );
  }
}

/** `fetch` itself says only that it failed; its cause says of what. */
function reasonOf(error: unknown): string {
  const { cause = error } = error as Error;
  if (!(cause instanceof Error)) return String(cause);
  const { code, message, name } = cause as NodeJS.ErrnoException;
  return message || code || name;
}
