import { type Finding, ok, warning } from "../domain/finding.ts";
import type { TokenSettings } from "./authenticator.ts";

/** What of the settings for tokens does not fit the identity provider that the issuer names; docs/access.md has the right ones. */

const CHECK = "token settings";

interface Provider {
  readonly name: string;
  readonly issuer: RegExp;
  /** Whether its tokens have `aud`. */
  readonly hasAudience: boolean;
  /** Each is what is wrong, and what to do, for settings that have this issuer. */
  readonly advice: (settings: TokenSettings) => readonly (string | false)[];
}

const PROVIDERS: readonly Provider[] = [
  {
    name: "Amazon Cognito",
    issuer: /^https:\/\/cognito-idp\.[a-z0-9-]+\.amazonaws\.com(\.cn)?\//,
    hasAudience: false,
    advice: ({ claims }) => [
      claims.audience === "aud" &&
        "its access tokens have no aud: set JWT_AUDIENCE_CLAIM=client_id and JWT_AUDIENCE to the app clients' ids",
      claims.scopePrefix === "" &&
        "its scopes begin with the identifier of their resource server: set JWT_SCOPE_PREFIX=IDENTIFIER/",
    ],
  },
  {
    name: "Microsoft Entra ID",
    issuer: /^https:\/\/(login\.microsoftonline\.(com|us)|sts\.windows\.net)\//,
    hasAudience: true,
    advice: ({ issuer, claims }) => [
      /\/(common|organizations|consumers)\//.test(`${issuer}/`) &&
        "no token comes from an issuer without a tenant: put the tenant's id into JWT_ISSUER",
      !claims.scopes.includes("roles") &&
        "its tokens for services have their scopes in roles: set JWT_SCOPE_CLAIMS=scp,roles",
      claims.user === "sub" && "its sub differs from app to app: set JWT_USER_CLAIM=oid",
    ],
  },
  {
    name: "Auth0",
    issuer: /^https:\/\/[^/]+\.auth0\.com(\/|$)/,
    hasAudience: true,
    advice: ({ issuer, claims }) => [
      !issuer.endsWith("/") && "its issuer ends with a slash: set JWT_ISSUER so",
      claims.scopes.includes("scope") &&
        "without RBAC its scope holds whatever an app asks for: enable RBAC and set JWT_SCOPE_CLAIMS=permissions",
    ],
  },
  {
    name: "Okta",
    issuer: /^https:\/\/[^/]+\.okta(preview|-emea)?\.com(\/|$)/,
    hasAudience: true,
    advice: ({ issuer }) => [
      !issuer.includes("/oauth2/") &&
        "tokens of its own authorization server can be verified by Okta alone: set JWT_ISSUER to a custom one",
    ],
  },
  {
    name: "Firebase Authentication",
    issuer: /^https:\/\/securetoken\.google\.com\//,
    hasAudience: true,
    advice: ({ issuer, audiences }) => [
      !audiences.includes(issuer.slice(issuer.lastIndexOf("/") + 1)) &&
        "the audience of its tokens is the project that stands in the issuer: set JWT_AUDIENCE to it",
    ],
  },
];

/** One warning for each setting that does not fit, or what will be read from where. */
export function tokenSettingsFindings(settings: TokenSettings): Finding[] {
  const { issuer, audiences, claims } = settings;
  const provider = PROVIDERS.find((each) => each.issuer.test(issuer));
  const advice = [
    ...(provider?.advice(settings) ?? []),
    provider?.hasAudience === true &&
      claims.audience !== "aud" &&
      `its tokens have aud: with JWT_AUDIENCE_CLAIM=${claims.audience} those count that were made for another service`,
  ].filter((line) => typeof line === "string");
  if (advice.length > 0) return advice.map((line) => warning(CHECK, `${provider?.name}: ${line}`));
  const scopes =
    claims.scopes.join(" and ") + (claims.scopePrefix === "" ? "" : `, behind ${claims.scopePrefix}`);
  return [
    ok(
      CHECK,
      `of ${provider?.name ?? issuer}; ${claims.audience} is ${audiences.join(" or ")}, the user in ${claims.user}, scopes in ${scopes}`,
    ),
  ];
}
