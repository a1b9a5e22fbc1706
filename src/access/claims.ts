import type { JWTPayload } from "jose";
import { type Caller, SCOPES } from "../domain/caller.ts";
import { idProblem } from "../domain/validation.ts";

/**
 * Who a verified token's claims say the caller is.
 *
 * Scopes are in `scope`, separated by spaces (RFC 8693), or in `scp`, a list (Okta) or separated by spaces (Entra ID); where
 * both are there, each counts. Others than ours are somebody else's.
 */
export function callerOf(claims: JWTPayload, userClaim: string): Caller {
  const given = new Set([...textsOf(claims.scope), ...textsOf(claims.scp)]);
  return {
    subject: subjectOf(claims[userClaim]),
    scopes: new Set(SCOPES.filter((scope) => given.has(scope))),
    limited: !given.has("impressions:admin"),
  };
}

/** Null where the claim is missing, or can be nobody's id: such a token names no user. */
function subjectOf(claim: unknown): string | null {
  const subject = Number.isSafeInteger(claim) ? String(claim) : claim;
  return typeof subject === "string" && idProblem(subject) === null ? subject : null;
}

function textsOf(claim: unknown): readonly unknown[] {
  if (typeof claim === "string") return claim.split(" ");
  return Array.isArray(claim) ? claim : [];
}
