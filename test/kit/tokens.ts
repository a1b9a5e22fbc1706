import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, SignJWT } from "jose";

export const ISSUER = "https://login.example";
export const AUDIENCE = "impressions";

/** Issues tokens, with its own keys that exist as long as the test. */
export interface TokenIssuer {
  /** PEM, as JWT_PUBLIC_KEY takes it. */
  readonly publicPem: string;
  /** The public key for a key set. */
  jwk(): Promise<Record<string, unknown>>;
  /** A token that is good for an hour; claims given as undefined are left out. */
  sign(claims: Record<string, unknown>): Promise<string>;
}

export async function createTokenIssuer(
  kid = "key-1",
  alg: "RS256" | "ES256" | "EdDSA" = "RS256",
): Promise<TokenIssuer> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return {
    publicPem: await exportSPKI(publicKey),
    jwk: async () => ({ ...(await exportJWK(publicKey)), kid, alg, use: "sig" }),
    sign: (claims) => signWith(privateKey, alg, claims, kid),
  };
}

/** @param key a private key, or a text as the secret of HS256. */
export function signWith(
  key: CryptoKey | string,
  alg: string,
  claims: Record<string, unknown>,
  kid = "key-1",
): Promise<string> {
  return new SignJWT(goodClaims(claims))
    .setProtectedHeader({ alg, kid })
    .sign(typeof key === "string" ? new TextEncoder().encode(key) : key);
}

/** A token without a signature. */
export function unsignedToken(claims: Record<string, unknown>): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "none", typ: "JWT" })}.${part(goodClaims(claims))}.`;
}

export function seconds(fromNow: number): number {
  return Math.floor(Date.now() / 1_000) + fromNow;
}

function goodClaims(claims: Record<string, unknown>): Record<string, unknown> {
  const whole = { iss: ISSUER, aud: AUDIENCE, exp: seconds(3_600), ...claims };
  return Object.fromEntries(Object.entries(whole).filter(([, value]) => value !== undefined));
}
