import { errors, jwtVerify } from "jose";
import type { Caller } from "../domain/caller.ts";
import type { Clock } from "../domain/time.ts";
import { ApiError } from "../errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import { type ClaimNames, callerOf, isFor } from "./claims.ts";
import { FETCH_INTERVAL_MS, KeysUnavailableError } from "./remote-keys.ts";
import { type KeySource, openTokenKeys } from "./token-keys.ts";
import { createVerifiedTokens } from "./verified-tokens.ts";

/** How far the issuer's clock may be from ours. */
const CLOCK_TOLERANCE_S = 30;
/** Longer ones are refused unread; with a few groups and an RSA signature they take 1 to 3 KiB. */
const TOKEN_CHARACTERS_MAX = 8 * 1024;
/** RFC 6750, section 2.1. */
const BEARER = /^Bearer +([A-Za-z0-9._~+/-]+=*) *$/i;

/** What a token must be. */
export interface TokenSettings {
  readonly keys: KeySource;
  readonly issuer: string;
  /** It must be for one of these. */
  readonly audiences: readonly string[];
  readonly claims: ClaimNames;
}

/** Finds the caller of a request by its Authorization header. */
export interface Authenticator {
  /** The caller, if this token was verified a moment ago; null: `authenticate` has to look. Costs microseconds. */
  known(authorization: string | undefined): Caller | null;
  /** @throws ApiError UNAUTHENTICATED, or AUTH_UNAVAILABLE where the keys cannot be fetched. */
  authenticate(authorization: string | undefined): Promise<Caller>;
}

/**
 * Verifies tokens: signature, issuer, audience, expiry (which they must have), and `nbf` where it is there.
 *
 * @throws TokenKeyError
 */
export async function createAuthenticator(
  settings: TokenSettings,
  deps: { readonly clock: Clock; readonly random: () => number; readonly logger: Logger },
): Promise<Authenticator> {
  const { issuer, audiences, claims } = settings;
  const { clock, random, logger } = deps;
  const keys = await openTokenKeys(settings.keys, deps);
  const verified = createVerifiedTokens(clock);

  async function verify(token: string): Promise<Caller> {
    const { payload } = await jwtVerify(token, keys.find, {
      algorithms: [...keys.algorithms],
      issuer,
      requiredClaims: ["exp"],
      clockTolerance: CLOCK_TOLERANCE_S,
      currentDate: new Date(clock.nowMs()),
    });
    if (!isFor(audiences, payload, claims)) {
      throw new errors.JWTClaimValidationFailed(
        `"${claims.audience}" names none of the audiences`,
        payload,
        claims.audience,
        "check_failed",
      );
    }
    const caller = callerOf(payload, claims);
    verified.add(token, caller, ((payload.exp ?? 0) + CLOCK_TOLERANCE_S) * 1_000);
    return caller;
  }

  /** The error for the caller. Why exactly a token is refused is logged only: its sender may not be its owner. */
  function refusal(error: unknown): ApiError {
    if (error instanceof KeysUnavailableError) {
      return new ApiError(
        "AUTH_UNAVAILABLE",
        "The keys that tokens are verified with cannot be fetched right now. Send the same again after retryAfterMs.",
        Math.round(FETCH_INTERVAL_MS * (1 + random())),
      );
    }
    // What jose has no word for is a fault of the keys, such as an RSA key that is too short.
    const level = error instanceof errors.JOSEError ? "debug" : "warn";
    logger[level]({ err: error }, "a token was refused");
    if (error instanceof errors.JWTExpired)
      return new ApiError("UNAUTHENTICATED", "The token has expired. Get a fresh one.");
    return new ApiError("UNAUTHENTICATED", "The token is not valid here. Get one for this service.");
  }

  return {
    known(authorization) {
      const token = tokenOf(authorization);
      return token === null ? null : verified.find(token);
    },
    async authenticate(authorization) {
      const token = tokenOf(authorization);
      if (token === null)
        throw new ApiError("UNAUTHENTICATED", "Send a valid token: Authorization: Bearer ...");
      try {
        return await verify(token);
      } catch (error) {
        throw refusal(error);
      }
    },
  };
}

function tokenOf(authorization = ""): string | null {
  const [, token] = BEARER.exec(authorization) ?? [];
  return token === undefined || token.length > TOKEN_CHARACTERS_MAX ? null : token;
}
