import type { AuthCheckerFn } from "type-graphql";
import { type Caller, mayDo, type Scope } from "../domain/caller.ts";
import { ApiError } from "../errors.ts";
import { badUserInput } from "./arguments.ts";
import type { RequestContext } from "./context.ts";

/**
 * What type-graphql runs before a resolver under `@Authorized(scope)`. It is part of the field's resolve function, so it
 * holds for compiled and interpreted operations alike.
 */
export const checkAuthorized: AuthCheckerFn<RequestContext, Scope> = ({ context }, scopes) => {
  for (const scope of scopes) requireScope(context.caller, scope);
  return true;
};

/** @throws ApiError FORBIDDEN */
export function requireScope(caller: Caller, scope: Scope): void {
  if (!mayDo(caller, scope)) throw new ApiError("FORBIDDEN", `This needs a token with the scope ${scope}.`);
}

/**
 * Whose views a mutation records: the token's subject and no other user's, unless the caller is an admin.
 *
 * @throws ApiError FORBIDDEN; BAD_USER_INPUT where no user is named.
 */
export function userToRecordFor({ subject, scopes }: Caller, userId: string | null): string {
  if (scopes.has("impressions:admin")) {
    const named = userId ?? subject;
    if (named === null) throw badUserInput("input.userId is required: say whose views these are.");
    return named;
  }
  if (subject === null) throw new ApiError("FORBIDDEN", "This token names no user to record for.");
  if (userId !== null && userId !== subject)
    throw new ApiError("FORBIDDEN", "This token may not record for another user.");
  return subject;
}
