import { z } from "zod";
import type { TokenSettings } from "./access/authenticator.ts";
import { ConfigError, isLoopback, secret, text } from "./config-values.ts";

/** The settings that say which tokens are taken, a part of settings.ts and config.ts. */

/** RFC 7518, section 3.2: a key for HS256 is no shorter than its hash. */
const JWT_SECRET_BYTES_MIN = 32;
/** RFC 7519, section 4.1: each has a meaning of its own. A scope out of `sub` would be one that a user chooses. */
const REGISTERED_CLAIMS: ReadonlySet<string> = new Set(["iss", "sub", "aud", "exp", "nbf", "iat", "jti"]);

/** Comma-separated. */
const list = z
  .string()
  .transform((names) => names.split(",").map((name) => name.trim()))
  .refine(
    (names) => names.every((name) => name !== ""),
    "must be a name, or several with commas between them",
  );

const areFree = (names: readonly string[]) => names.every((name) => !REGISTERED_CLAIMS.has(name));

/** By name, a part of `SETTINGS` in settings.ts. */
export const TOKEN_SETTINGS = {
  JWT_JWKS_URL: z
    .url({ protocol: /^https?$/, error: "must be an http or https address" })
    .refine((url) => !/^https?:\/\/[^/?#]*@/i.test(url), "must hold no user and no password")
    .optional()
    .describe(
      "address of the key set; AUTH=jwt needs this, JWT_PUBLIC_KEY or JWT_SECRET, and only one of them",
    ),
  JWT_PUBLIC_KEY: z.string().optional().describe("public key, as PEM text or the path of a PEM file"),
  JWT_SECRET: secret
    .refine(
      (text) => Buffer.byteLength(text) >= JWT_SECRET_BYTES_MIN,
      `must have at least ${JWT_SECRET_BYTES_MIN} bytes`,
    )
    .optional()
    .describe(`secret that tokens are signed with, at least ${JWT_SECRET_BYTES_MIN} bytes`),
  JWT_ISSUER: z.string().optional().describe("what `iss` must be; required with AUTH=jwt"),
  JWT_AUDIENCE: list
    .optional()
    .describe(
      "what `aud` must be; required with AUTH=jwt. Of several, with commas between them, one is enough",
    ),
  JWT_AUDIENCE_CLAIM: text("aud")
    .refine(
      (name) => name === "aud" || areFree([name]),
      "must be aud, or another claim that says whom a token is for, such as client_id",
    )
    .describe("claim that names the audience, for [your provider](access.md#identity-providers)"),
  JWT_SCOPE_CLAIMS: list
    .refine(areFree, "must be claims that hold scopes, such as scope, scp, permissions or roles")
    .prefault("scope,scp")
    .describe("claims that hold the scopes, for [your provider](access.md#identity-providers)"),
  JWT_SCOPE_PREFIX: z
    .string()
    .regex(/^\S+$/, "must be what stands in front of scopes, without white space")
    .optional()
    .describe("prefix of a scope in JWT_SCOPE_CLAIMS, such as `shop/`"),
  JWT_USER_CLAIM: text("sub").describe("claim that names the user"),
} as const;

/** What `readTokenSettings` looks at. */
type Settings = z.output<z.ZodObject<typeof TOKEN_SETTINGS>> & {
  readonly AUTH: "off" | "jwt";
  readonly ALLOW_INSECURE: boolean;
};

/**
 * What a token must be; null with AUTH=off.
 *
 * @throws ConfigError for settings that contradict each other: none is guessed where access is decided.
 */
export function readTokenSettings(settings: Settings): TokenSettings | null {
  const { JWT_JWKS_URL, JWT_PUBLIC_KEY, JWT_SECRET, JWT_ISSUER, JWT_AUDIENCE } = settings;
  const sources = [
    ...(JWT_JWKS_URL === undefined ? [] : [{ kind: "jwks" as const, url: JWT_JWKS_URL }]),
    ...(JWT_PUBLIC_KEY === undefined ? [] : [{ kind: "publicKey" as const, pemOrPath: JWT_PUBLIC_KEY }]),
    ...(JWT_SECRET === undefined ? [] : [{ kind: "secret" as const, secret: JWT_SECRET }]),
  ];
  const [keys] = sources;
  if (settings.AUTH === "off") {
    if (keys === undefined) return null;
    throw new ConfigError(
      "AUTH=off: keys for tokens are set, but no token is asked for. Set AUTH=jwt, or remove the keys",
    );
  }
  if (keys === undefined || sources.length > 1) {
    throw new ConfigError(
      "AUTH=jwt: needs exactly one of JWT_JWKS_URL, JWT_PUBLIC_KEY and JWT_SECRET " +
        `to verify tokens with, and has ${sources.length === 0 ? "none" : sources.length}`,
    );
  }
  if (JWT_ISSUER === undefined || JWT_AUDIENCE === undefined) {
    throw new ConfigError(
      "AUTH=jwt: needs JWT_ISSUER and JWT_AUDIENCE; without them tokens that were made for another service would do",
    );
  }
  if (keys.kind === "jwks" && !settings.ALLOW_INSECURE) {
    const { protocol, hostname } = new URL(keys.url);
    if (protocol === "http:" && !isLoopback(hostname.replace(/^\[|\]$/g, ""))) {
      throw new ConfigError(
        `JWT_JWKS_URL=${keys.url}: an attacker who changes what comes over plain http can make tokens. ` +
          "Use https, or set ALLOW_INSECURE=1 where the network in between is trusted",
      );
    }
  }
  if (settings.JWT_SCOPE_CLAIMS.includes(settings.JWT_USER_CLAIM)) {
    throw new ConfigError(
      `JWT_USER_CLAIM=${settings.JWT_USER_CLAIM}: is one of JWT_SCOPE_CLAIMS; a user's id must not say what the user may do`,
    );
  }
  return {
    keys,
    issuer: JWT_ISSUER,
    audiences: JWT_AUDIENCE,
    claims: {
      user: settings.JWT_USER_CLAIM,
      audience: settings.JWT_AUDIENCE_CLAIM,
      scopes: settings.JWT_SCOPE_CLAIMS,
      scopePrefix: settings.JWT_SCOPE_PREFIX ?? "",
    },
  };
}
