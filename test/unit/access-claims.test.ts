import { describe, expect, test } from "vitest";
import { callerOf } from "../../src/access/claims.ts";
import { mayDo } from "../../src/domain/caller.ts";

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
    expect([...callerOf(claims, "sub").scopes]).toEqual(scopes);
  });

  test.each<[string, unknown, string | null]>([
    ["sub", "maria", "maria"],
    ["user_id", 42, "42"],
    ["https://example.org/user", "x|y", "x|y"],
    ["sub", 1.5, null],
    // Which id it was before JSON rounded it, nobody can tell.
    ["sub", 2 ** 53, null],
    ["sub", "", null],
    ["sub", "undefined", null],
    ["sub", "x".repeat(129), null],
    ["sub", ["maria"], null],
    ["sub", undefined, null],
  ])("%s=%j names %j", (claim, value, subject) => {
    expect(callerOf({ [claim]: value }, claim).subject).toBe(subject);
  });

  test("admin may do everything, the others one thing", () => {
    const may = (scope: string) => {
      const caller = callerOf({ scope: `impressions:${scope}` }, "sub");
      return (["write", "read", "admin"] as const).filter((each) => mayDo(caller, `impressions:${each}`));
    };
    expect(
      ["write", "read", "admin"].map((scope) => callerOf({ scope: `impressions:${scope}` }, "sub").limited),
    ).toEqual([true, true, false]);
    expect([may("write"), may("read"), may("admin")]).toEqual([
      ["write"],
      ["read"],
      ["write", "read", "admin"],
    ]);
  });
});
