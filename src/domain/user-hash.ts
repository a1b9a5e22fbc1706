import { createHmac } from "node:crypto";

/** Hexadecimal digits of a hash: 128 bits. */
const DIGITS = 32;

/**
 * What is kept of an erased user: HMAC-SHA-256 under a random key of the installation. It recognizes the same user again, and
 * two installations have nothing to compare. A reader that has the key as well as the hash can still try ids: it is a
 * pseudonym, not nothing.
 */
export function userHash(key: Uint8Array, userId: string): string {
  return `hash:${createHmac("sha256", key).update(userId, "utf8").digest("hex").slice(0, DIGITS)}`;
}
