import { createPublicKey, type KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { JWTVerifyGetKey } from "jose";
import type { Clock } from "../domain/time.ts";
import type { Logger } from "../telemetry/logger.ts";
import { TokenKeyError } from "./errors.ts";
import { createRemoteKeys } from "./remote-keys.ts";

/** Where the keys come from that tokens are verified with. */
export type KeySource =
  | { readonly kind: "jwks"; readonly url: string }
  /** PEM, or the path of a file that holds it. */
  | { readonly kind: "publicKey"; readonly pemOrPath: string }
  | { readonly kind: "secret"; readonly secret: string };

/** The keys, and the algorithms that they may be used with: never those that a token's header asks for. */
export interface TokenKeys {
  readonly algorithms: readonly string[];
  /** @throws KeysUnavailableError they cannot be fetched now. */
  readonly find: JWTVerifyGetKey;
}

const RSA = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
const EDDSA = ["EdDSA", "Ed25519"];
/** Each curve has the one algorithm that RFC 7518 and RFC 8037 give it; the names of the curves are OpenSSL's. */
const OF_CURVE: Readonly<Record<string, string>> = {
  prime256v1: "ES256",
  secp384r1: "ES384",
  secp521r1: "ES512",
};
/** RFC 7518, section 3.3. */
const RSA_BITS_MIN = 2_048;

/**
 * Makes the keys usable. Those of a URL are fetched when they are first needed.
 *
 * @throws TokenKeyError
 */
export async function openTokenKeys(
  source: KeySource,
  deps: { readonly clock: Clock; readonly logger: Logger },
): Promise<TokenKeys> {
  switch (source.kind) {
    case "jwks":
      // jose takes a key of the set only for the algorithms of its type and curve.
      return {
        algorithms: [...RSA, ...Object.values(OF_CURVE), ...EDDSA],
        find: createRemoteKeys(source.url, deps),
      };
    case "publicKey": {
      const key = await readPublicKey(source.pemOrPath);
      return { algorithms: algorithmsOf(key), find: async () => key };
    }
    case "secret": {
      const key = new TextEncoder().encode(source.secret);
      return { algorithms: ["HS256"], find: async () => key };
    }
  }
}

async function readPublicKey(pemOrPath: string): Promise<KeyObject> {
  // Looked for first: what cannot be read is repeated.
  refusePrivateKey(pemOrPath);
  const isPem = pemOrPath.startsWith("-----BEGIN ");
  // A file for environments writes line ends as \n.
  const pem = isPem
    ? pemOrPath.replaceAll("\\n", "\n")
    : await readFile(pemOrPath, "utf8").catch(({ code }: NodeJS.ErrnoException) => {
        throw new TokenKeyError(
          `JWT_PUBLIC_KEY=${pemOrPath}: cannot be read (${code}); it must be a PEM text or the path of a PEM file`,
        );
      });
  refusePrivateKey(pem);
  try {
    return createPublicKey(pem);
  } catch {
    throw new TokenKeyError("JWT_PUBLIC_KEY must hold a public key or a certificate in PEM");
  }
}

function refusePrivateKey(pem: string): void {
  if (pem.includes("PRIVATE KEY"))
    throw new TokenKeyError("JWT_PUBLIC_KEY holds a private key: give this service the public one alone");
}

function algorithmsOf(key: KeyObject): readonly string[] {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  const ofCurve = OF_CURVE[details?.namedCurve ?? ""];
  if (type === "rsa" && (details?.modulusLength ?? 0) >= RSA_BITS_MIN) return RSA;
  if (type === "ec" && ofCurve !== undefined) return [ofCurve];
  if (type === "ed25519") return EDDSA;
  throw new TokenKeyError(
    `JWT_PUBLIC_KEY must be RSA with at least ${RSA_BITS_MIN} bits, EC on P-256, P-384 or P-521, or Ed25519`,
  );
}
