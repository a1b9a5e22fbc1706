import type { IncomingHttpHeaders } from "node:http";
import type { ApiError } from "../errors.ts";
import { badUserInput } from "../resolvers/arguments.ts";

/**
 * The longest value of each header that a library takes apart, in characters, and all that Apollo Server is shown. A media type in
 * use has some 50, a list of them some 150; libraries look for them with patterns whose time may grow faster than the text.
 * Headers that are only compared, or not read at all, are bounded by HEADER_BYTES_MAX.
 */
export const HEADER_CHARACTERS_MAX = {
  accept: 1_024,
  "accept-encoding": 1_024,
  "access-control-request-headers": 1_024,
  "access-control-request-method": 64,
  "apollo-require-preflight": 256,
  /** The longest token that is looked at, and its scheme. One with many scopes and claims has some 2,000. */
  authorization: 8_256,
  "content-encoding": 64,
  "content-type": 256,
  "if-none-match": 256,
  origin: 512,
  "x-apollo-operation-name": 256,
  /** Some twenty proxies. */
  "x-forwarded-for": 1_024,
} as const;

type BoundedHeader = keyof typeof HEADER_CHARACTERS_MAX;
const LIMITS = Object.entries(HEADER_CHARACTERS_MAX) as [BoundedHeader, number][];

/** What to say of the first header that is longer than it may be; null where each fits. */
export function tooLongHeader(headers: IncomingHttpHeaders): ApiError | null {
  for (const [name, max] of LIMITS) {
    if ((headers[name]?.length ?? 0) > max)
      return badUserInput(`The header ${name} is longer than ${max} characters.`);
  }
  return null;
}

/** The headers that are bounded, of those that were sent. */
export function boundedHeaders(headers: IncomingHttpHeaders): [BoundedHeader, string][] {
  return LIMITS.flatMap(([name]): [BoundedHeader, string][] => {
    const value = headers[name];
    return value === undefined ? [] : [[name, String(value)]];
  });
}
