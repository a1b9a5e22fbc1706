import type { Clock } from "../domain/time.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Authenticator, TokenSettings } from "./authenticator.ts";

/**
 * What the configuration says; null where no token is asked for, and then the library that verifies them is not
 * loaded.
 *
 * @throws TokenKeyError
 */
export async function openAuthenticator(
  settings: TokenSettings | null,
  deps: { readonly clock: Clock; readonly random: () => number; readonly logger: Logger },
): Promise<Authenticator | null> {
  if (settings === null) return null;
  const { createAuthenticator } = await import("./authenticator.ts");
  return createAuthenticator(settings, deps);
}
