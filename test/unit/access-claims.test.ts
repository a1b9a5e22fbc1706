import { describe, expect, test } from "vitest";
import { type ClaimNames, callerOf, isFor } from "../../src/access/claims.ts";
import { mayDo } from "../../src/domain/caller.ts";

const NAMES: ClaimNames = { user: "sub", audience: "aud", scopes: ["scope", "scp"], scopePrefix: "" };

describe("the claims of a token", () => {
  test.each<[Record<string, unknown>, string[]]>([
    [{ scope: "openid impressions:read  impressions:write" }, ["impressions:write", "impressions:read"]],
    [{ scp: ["impressions:read", 7, null] }, ["impressions:read"]],
    [{ scp: "impressions:read other" }, ["impressions:read"]],
    [{ scope: "impressions:read", scp: ["impressions:admin"] }, ["impressions:read", "impressions:admin"]],
    [{ scope: ["impressions:write"] }, ["impressions:write"]],
    [{ scope: "impressions:*", scp: { "impressions:read": true }, permissions: ["impressions:admin"] }, []],
    [{}, []],
  ])("%j allow %j", (claims, scopes) => {
    expect([...callerOf(claims, NAMES).scopes]).toEqual(scopes);
  });

  test.each<[Partial<ClaimNames>, Record<string, unknown>, string[]]>([
    [
      { scopes: ["permissions"] },
      { permissions: ["impressions:read"], scope: "impressions:admin" },
      ["impressions:read"],
    ],
    [
      { scopes: ["scp", "roles"] },
      { scp: "impressions:write", roles: ["impressions:read"] },
      ["impressions:write", "impressions:read"],
    ],
    [{ scopePrefix: "shop/" }, { scope: "shop/impressions:read impressions:admin" }, ["impressions:read"]],
    [{ scopePrefix: "shop/" }, { scope: "shop/shop/impressions:read /impressions:read" }, []],
  ])("with %j, %j allow %j", (names, claims, scopes) => {
    const caller = callerOf(claims, { ...NAMES, ...names });
    expect([...caller.scopes]).toEqual(scopes);
    expect(caller.limited).toBe(true);
  });

  test.each<[string, unknown, boolean]>([
    ["aud", "a", true],
    ["aud", ["x", "b"], true],
    ["aud", "a b", false],
    ["aud", [["a"]], false],
    ["aud", undefined, false],
    ["aud", null, false],
    ["client_id", "b", true],
    ["client_id", "A", false],
  ])("%s=%j is for a or b: %s", (claim, value, expected) => {
    expect(isFor(["a", "b"], { [claim]: value }, { ...NAMES, audience: claim })).toBe(expected);
    expect(isFor(["a", "b"], { [claim]: value, other: "a" }, { ...NAMES, audience: claim })).toBe(expected);
  });

  test.each<[string, unknown, string | null]>([
    ["sub", "maria", "maria"],
    ["user_id", 42, "42"],
    ["https://example.org/user", "x|y", "x|y"],
    ["sub", 1.5, null],
    // The id before JSON rounded it is unknown.
    ["sub", 2 ** 53, null],
    ["sub", "", null],
    ["sub", "undefined", null],
    ["sub", "x".repeat(129), null],
    ["sub", ["maria"], null],
    ["sub", undefined, null],
  ])("%s=%j names %j", (claim, value, subject) => {
    expect(callerOf({ [claim]: value }, { ...NAMES, user: claim }).subject).toBe(subject);
  });

  test("admin may do everything, the others one thing", () => {
    const may = (scope: string) => {
      const caller = callerOf({ scope: `impressions:${scope}` }, NAMES);
      return (["write", "read", "admin"] as const).filter((each) => mayDo(caller, `impressions:${each}`));
    };
    expect(
      ["write", "read", "admin"].map((scope) => callerOf({ scope: `impressions:${scope}` }, NAMES).limited),
    ).toEqual([true, true, false]);
    expect([may("write"), may("read"), may("admin")]).toEqual([
      ["write"],
      ["read"],
      ["write", "read", "admin"],
    ]);
  });
});
