import { describe, expect, test } from "vitest";
import { tokenSettingsFindings } from "../../src/access/providers.ts";
import { readConfig } from "../../src/config.ts";
import { documentedProviders } from "../support/documented-providers.ts";

/** The doctor's findings about the settings, one a line. */
function said(settings: Readonly<Record<string, string>>): string {
  const { tokens } = readConfig({
    AUTH: "jwt",
    JWT_AUDIENCE: "a",
    JWT_JWKS_URL: "https://keys.example",
    ...settings,
  });
  if (tokens === null) throw new Error("there are no tokens");
  return tokenSettingsFindings(tokens)
    .map(({ result, check, detail }) => `${result}: ${check}: ${detail}`)
    .join("\n");
}

describe("the doctor on the settings for tokens", () => {
  test.each([...documentedProviders()])(
    "finds nothing in what is documented for %s",
    (provider, settings) => {
      const isOfOurs = provider === "Keycloak";
      expect(said(settings)).toMatch(/^ok: token settings: [^\n]*$/);
      expect(said(settings)).toContain(isOfOurs ? settings.JWT_ISSUER : provider);
    },
  );

  test("says what is read from where", () => {
    expect(said({ JWT_ISSUER: "https://me.example", JWT_AUDIENCE: "a,b", JWT_SCOPE_PREFIX: "shop/" })).toBe(
      "ok: token settings: of https://me.example; aud is a or b, the user in sub, scopes in scope and scp, behind shop/",
    );
  });

  test.each<[string, Record<string, string>, RegExp]>([
    ["Amazon Cognito", { JWT_AUDIENCE_CLAIM: "aud" }, /have no aud: set JWT_AUDIENCE_CLAIM=client_id/],
    ["Amazon Cognito", { JWT_SCOPE_PREFIX: "" }, /set JWT_SCOPE_PREFIX=/],
    ["Microsoft Entra ID", { JWT_SCOPE_CLAIMS: "scp" }, /set JWT_SCOPE_CLAIMS=scp,roles/],
    ["Microsoft Entra ID", { JWT_USER_CLAIM: "sub" }, /set JWT_USER_CLAIM=oid/],
    ["Microsoft Entra ID", { JWT_AUDIENCE_CLAIM: "azp" }, /its tokens have aud: with JWT_AUDIENCE_CLAIM=azp/],
    [
      "Microsoft Entra ID",
      { JWT_ISSUER: "https://login.microsoftonline.com/common/v2.0" },
      /the tenant's id/,
    ],
    ["Auth0", { JWT_ISSUER: "https://shop.eu.auth0.com" }, /ends with a slash/],
    ["Auth0", { JWT_SCOPE_CLAIMS: "scope,permissions" }, /enable RBAC/],
    ["Okta", { JWT_ISSUER: "https://shop.okta.com" }, /set JWT_ISSUER to a custom one/],
    ["Firebase Authentication", { JWT_AUDIENCE: "other-12345" }, /set JWT_AUDIENCE to it/],
  ])("warns of one that does not fit: %s, %j", (provider, change, advice) => {
    const findings = said({ ...documentedProviders().get(provider), ...change });
    expect(findings).toMatch(new RegExp(`^warning: token settings: ${provider}: [^\\n]*$`));
    expect(findings).toMatch(advice);
  });
});
