import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createTokenIssuer, seconds, type TokenIssuer } from "../kit/tokens.ts";
import { startApi } from "../support/api.ts";
import { documentedProviders } from "../support/documented-providers.ts";

/**
 * Tokens as identity providers make them (claims as their documentation shows them; the values are ours), with the
 * settings that docs/access.md gives for each. Only the keys come from here.
 */

type Claims = Record<string, unknown>;

interface Shapes {
  /** Of a signed-in user whose app may record. */
  readonly app: Claims;
  /** How its user is named. */
  readonly user: string;
  /** Of a server that may read about every user. */
  readonly server: Claims;
  /** Of the same app, with none of our scopes. */
  readonly unscoped: Claims;
  /** As the server's, but for something else. */
  readonly foreign: Claims;
}

const cognito: Claims = {
  iss: "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Shop12345",
  aud: undefined,
  sub: "a3f4b864-8071-7001-5b0c-5e1f2c1d4b11",
  client_id: "1example23456789",
  origin_jti: "6c2a1f6e-1111-2222-3333-444455556666",
  event_id: "dc2a1f6e-1111-2222-3333-444455556666",
  token_use: "access",
  scope: "openid shop/impressions:write",
  auth_time: seconds(-60),
  iat: seconds(-60),
  version: 2,
  jti: "aa2a1f6e-1111-2222-3333-444455556666",
  username: "maria",
  "cognito:groups": ["impressions:admin"],
};
const cognitoServer: Claims = {
  ...cognito,
  sub: "2example98765432",
  client_id: "2example98765432",
  scope: "shop/impressions:read",
  username: undefined,
};

const entra: Claims = {
  iss: "https://login.microsoftonline.com/aaaabbbb-0000-cccc-1111-dddd2222eeee/v2.0",
  aud: "00001111-aaaa-2222-bbbb-3333cccc4444",
  azp: "11112222-bbbb-3333-cccc-4444dddd5555",
  azpacr: "0",
  iat: seconds(-60),
  nbf: seconds(-60),
  aio: "AXQAi/8TAAAA",
  name: "Maria",
  oid: "33334444-dddd-5555-eeee-6666ffff7777",
  preferred_username: "maria@shop.example",
  rh: "0.AXcA",
  scp: "User.Something impressions:write",
  sub: "pairwise-AAAAAAAAAAAAAAAAAAAAAA",
  tid: "aaaabbbb-0000-cccc-1111-dddd2222eeee",
  uti: "AAAAAAAAAAAA",
  ver: "2.0",
};
const entraServer: Claims = {
  ...entra,
  azpacr: "1",
  idtyp: "app",
  name: undefined,
  preferred_username: undefined,
  scp: undefined,
  roles: ["impressions:read"],
  oid: "55556666-ffff-7777-aaaa-8888bbbb9999",
  sub: "55556666-ffff-7777-aaaa-8888bbbb9999",
};

const auth0: Claims = {
  iss: "https://shop.eu.auth0.com/",
  sub: "auth0|65f0c0ffee",
  aud: ["https://impressions.shop.example", "https://shop.eu.auth0.com/userinfo"],
  iat: seconds(-60),
  azp: "my_client_id",
  // What the app asked for; what its user may is in `permissions`.
  scope: "openid profile impressions:read impressions:admin",
  permissions: ["impressions:write", "catalogue:read"],
};
const auth0Server: Claims = {
  ...auth0,
  sub: "machine_client_id@clients",
  aud: "https://impressions.shop.example",
  azp: "machine_client_id",
  gty: "client-credentials",
  scope: "impressions:read",
  permissions: ["impressions:read"],
};

const keycloak: Claims = {
  iss: "https://login.shop.example/realms/shop",
  aud: ["impressions", "account"],
  sub: "f1a2b3c4-0000-1111-2222-333344445555",
  typ: "Bearer",
  azp: "shop-app",
  sid: "0f0f0f0f-0000-1111-2222-333344445555",
  iat: seconds(-60),
  jti: "onrtac:0f0f0f0f-0000-1111-2222-333344445556",
  acr: "1",
  realm_access: { roles: ["offline_access", "impressions:admin"] },
  resource_access: { account: { roles: ["manage-account"] } },
  scope: "openid email profile impressions:write",
  preferred_username: "maria",
};
const keycloakServer: Claims = {
  ...keycloak,
  azp: "recommender",
  scope: "email profile impressions:read",
  client_id: "recommender",
};

const okta: Claims = {
  ver: 1,
  jti: "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE",
  iss: "https://shop.okta.com/oauth2/default",
  aud: "api://default",
  iat: seconds(-60),
  cid: "nmdP1fcyvdVO11AL7ECm",
  uid: "00ujmkLgagxeRrAg20g3",
  scp: ["openid", "impressions:write"],
  auth_time: seconds(-60),
  sub: "maria@shop.example",
};
const oktaServer: Claims = {
  ...okta,
  cid: "0oa1recommender",
  sub: "0oa1recommender",
  uid: undefined,
  auth_time: undefined,
  scp: ["impressions:read"],
};

const firebase: Claims = {
  iss: "https://securetoken.google.com/shop-12345",
  aud: "shop-12345",
  auth_time: seconds(-60),
  user_id: "abcDEF0123456789abcDEF012345",
  sub: "abcDEF0123456789abcDEF012345",
  iat: seconds(-60),
  email: "maria@shop.example",
  firebase: { identities: { email: ["maria@shop.example"] }, sign_in_provider: "password" },
  scp: ["impressions:write"],
};
const firebaseServer: Claims = {
  ...firebase,
  user_id: "recommender",
  sub: "recommender",
  scp: ["impressions:read"],
};

const PROVIDERS: Readonly<Record<string, Shapes>> = {
  "Amazon Cognito": {
    app: cognito,
    user: "a3f4b864-8071-7001-5b0c-5e1f2c1d4b11",
    server: cognitoServer,
    // The names of ours without the resource server are not ours.
    unscoped: { ...cognito, scope: "openid impressions:read other/impressions:read shopimpressions:read" },
    foreign: { ...cognitoServer, client_id: "3example55555555" },
  },
  "Microsoft Entra ID": {
    app: entra,
    user: "33334444-dddd-5555-eeee-6666ffff7777",
    server: entraServer,
    unscoped: { ...entra, scp: "User.Something" },
    foreign: { ...entraServer, aud: "00000003-0000-0000-c000-000000000000" },
  },
  Auth0: {
    app: auth0,
    user: "auth0|65f0c0ffee",
    server: auth0Server,
    unscoped: { ...auth0, permissions: [] },
    foreign: { ...auth0Server, aud: "https://shop.eu.auth0.com/api/v2/" },
  },
  Keycloak: {
    app: keycloak,
    user: "f1a2b3c4-0000-1111-2222-333344445555",
    server: keycloakServer,
    unscoped: { ...keycloak, scope: "openid email profile" },
    foreign: { ...keycloakServer, aud: "account" },
  },
  Okta: {
    app: okta,
    user: "00ujmkLgagxeRrAg20g3",
    server: oktaServer,
    unscoped: { ...okta, scp: ["openid"] },
    foreign: { ...oktaServer, aud: "https://shop.okta.com" },
  },
  "Firebase Authentication": {
    app: firebase,
    user: "abcDEF0123456789abcDEF012345",
    server: firebaseServer,
    unscoped: { ...firebase, scp: undefined },
    foreign: { ...firebaseServer, aud: "other-12345", iss: "https://securetoken.google.com/other-12345" },
  },
};

const READ = { query: '{ seenPosts(userId: "somebody") { nodes { post { id } } } }' };
const RECORD = {
  query: "mutation R($input: RecordImpressionsInput!) { recordImpressions(input: $input) { accepted } }",
};
const ADMIN = { query: "{ pipeline { pending } }" };

describe("tokens of identity providers", () => {
  let issuer: TokenIssuer;
  let jwksUrl: string;
  const keys = createServer(async (_, response) => {
    // Not every provider says which algorithm a key is for.
    const { alg: _alg, ...jwk } = await issuer.jwk();
    response.end(JSON.stringify({ keys: [jwk] }));
  });
  beforeAll(async () => {
    issuer = await createTokenIssuer();
    await new Promise<void>((resolve) => keys.listen(0, "127.0.0.1", resolve));
    jwksUrl = `http://127.0.0.1:${(keys.address() as AddressInfo).port}/`;
  });
  afterAll(() => keys.close());

  test("each provider of the table is tried", () => {
    expect([...documentedProviders().keys()]).toEqual(Object.keys(PROVIDERS));
  });

  test.each(Object.entries(PROVIDERS))("%s: the documented settings are right", async (provider, shapes) => {
    const settings = documentedProviders().get(provider);
    const api = await startApi({ environment: { AUTH: "jwt", ...settings, JWT_JWKS_URL: jwksUrl } });
    onTestFinished(() => api.stop());
    const ask = async (claims: Claims, body: object) =>
      (await api.post(body, { authorization: `Bearer ${await issuer.sign(claims)}` })).status;
    const recordFor = (userId?: string) => ({
      ...RECORD,
      variables: { input: { userId, impressions: [{ postId: "p1", viewedAt: new Date().toISOString() }] } },
    });

    expect(await ask(shapes.app, recordFor())).toBe(200);
    expect(await ask(shapes.app, recordFor(shapes.user))).toBe(200);
    expect(await ask(shapes.app, recordFor("somebody"))).toBe(403);
    expect(await ask(shapes.app, READ)).toBe(403);
    expect(await ask(shapes.app, ADMIN)).toBe(403);

    expect(await ask(shapes.server, READ)).toBe(200);
    expect(await ask(shapes.server, recordFor())).toBe(403);
    expect(await ask(shapes.server, ADMIN)).toBe(403);

    for (const body of [READ, recordFor(), ADMIN]) {
      expect(await ask(shapes.unscoped, body)).toBe(403);
      expect(await ask(shapes.foreign, body)).toBe(401);
      expect(await ask({ ...shapes.server, iss: "https://login.example" }, body)).toBe(401);
    }
  });
});
