/** JWT_PUBLIC_KEY cannot be used. The message is one line that says why. */
export class TokenKeyError extends Error {
  override readonly name = "TokenKeyError";
}
