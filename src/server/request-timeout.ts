import type { IncomingHttpHeaders } from "node:http";
import { badUserInput } from "../resolvers/arguments.ts";

/** By this header a caller asks for an answer, if only an error, within so many milliseconds. */
export const REQUEST_TIMEOUT_HEADER = "x-request-timeout-ms";

/** More digits than any bound that can be configured. */
const MILLISECONDS = /^\d{1,9}$/;

/**
 * How long a request may take: what its caller asks for, never more than the service allows.
 *
 * @throws ApiError BAD_USER_INPUT where the header is there and no number of milliseconds.
 */
export function requestTimeoutMs(headers: IncomingHttpHeaders, timeoutMsMax: number): number {
  const asked = headers[REQUEST_TIMEOUT_HEADER];
  if (asked === undefined) return timeoutMsMax;
  const timeoutMs = typeof asked === "string" && MILLISECONDS.test(asked) ? Number(asked) : 0;
  if (timeoutMs < 1) {
    throw badUserInput(
      `The header ${REQUEST_TIMEOUT_HEADER} must be a whole number of milliseconds from 1 (at most ${timeoutMsMax} are given).`,
    );
  }
  return Math.min(timeoutMs, timeoutMsMax);
}
