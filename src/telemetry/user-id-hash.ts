import { createHmac, randomBytes } from "node:crypto";

const KEY_BYTES = 32;
/** 64 bits: no two users of a hundred million are likely to share one. */
const HEX_DIGITS = 16;

/**
 * Stands for a user id in the log. Keyed: ids are often numbers, and without a key every reader could hash them all and look each
 * one up.
 *
 *   printf %s USER | openssl dgst -sha256 -hmac "$LOG_USER_ID_KEY" | cut -d' ' -f2 | cut -c1-16
 *
 * @param key unless given, a random one that ends with the process.
 */
export function createUserIdHash(key: string | undefined): (userId: string) => string {
  const secret = key ?? randomBytes(KEY_BYTES);
  return (userId) => createHmac("sha256", secret).update(userId).digest("hex").slice(0, HEX_DIGITS);
}
