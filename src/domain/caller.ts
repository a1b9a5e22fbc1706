/** What a token may allow; docs/access.md. */
export const SCOPES = ["impressions:write", "impressions:read", "impressions:admin"] as const;
export type Scope = (typeof SCOPES)[number];

/** Who sent a request, and what they may do. */
export interface Caller {
  /** The user that the token names; null where it names none, or where there are no tokens. */
  readonly subject: string | null;
  readonly scopes: ReadonlySet<Scope>;
  /** Whether rate limits hold for it. Not for admins: back ends that import, and operators. */
  readonly limited: boolean;
}

/** Every client of a service that asks for no tokens (AUTH=off). */
export const ANYBODY: Caller = { subject: null, scopes: new Set(SCOPES), limited: true };
/** An operator on the machine itself. */
export const OPERATOR: Caller = { ...ANYBODY, limited: false };

/** Admin may do everything: a token that can erase users and read dead letters gains nothing by the other two. */
export function mayDo(caller: Caller, scope: Scope): boolean {
  return caller.scopes.has(scope) || caller.scopes.has("impressions:admin");
}
