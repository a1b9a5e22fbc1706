import type { JWTPayload } from "jose";
import { type Caller, SCOPES } from "../domain/caller.ts";
import { idProblem } from "../domain/validation.ts";

/** Which claims of a token say what; providers differ (docs/access.md). */
export interface ClaimNames {
  readonly user: string;
  /** Whom the token is for: `aud`, or what stands for it where there is none. */
  readonly audience: string;
  /** Each of them counts. */
  readonly scopes: readonly string[];
  /** What stands in front of each of our scopes; those without it belong to other services. */
  readonly scopePrefix: string;
}

/** Whether a verified token is for one of these audiences, which it names by a text or a list. */
export function isFor(audiences: readonly string[], claims: JWTPayload, names: ClaimNames): boolean {
  const claim = claims[names.audience];
  const given: readonly unknown[] = Array.isArray(claim) ? claim : [claim];
  return audiences.some((audience) => given.includes(audience));
}

/**
 * Who a verified token's claims say the caller is.
 *
 * A claim holds scopes separated by spaces (RFC 8693; Entra ID's `scp`) or as a list (Okta's `scp`, Auth0's `permissions`).
 * Others than ours belong to other services.
 */
export function callerOf(claims: JWTPayload, names: ClaimNames): Caller {
  const given = new Set(names.scopes.flatMap((name) => textsOf(claims[name])));
  const scopes = new Set(SCOPES.filter((scope) => given.has(names.scopePrefix + scope)));
  return { subject: subjectOf(claims[names.user]), scopes, limited: !scopes.has("impressions:admin") };
}

/** Null where the claim is missing, or cannot be an id: such a token names no user. */
function subjectOf(claim: unknown): string | null {
  const subject = Number.isSafeInteger(claim) ? String(claim) : claim;
  return typeof subject === "string" && idProblem(subject) === null ? subject : null;
}

function textsOf(claim: unknown): readonly unknown[] {
  if (typeof claim === "string") return claim.split(" ");
  return Array.isArray(claim) ? claim : [];
}
