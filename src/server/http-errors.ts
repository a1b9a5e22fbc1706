import type { FastifyReply } from "fastify";
import { ApiError, ERROR_CATALOGUE } from "../errors.ts";
import { badUserInput } from "../resolvers/arguments.ts";
import { publicErrorOf, publicExtensionsOf } from "../resolvers/error-mapping.ts";
import type { Logger } from "../telemetry/logger.ts";
import { HEADER_BYTES_MAX } from "./limits.ts";
import { ENCODINGS_READ, UnknownEncodingError } from "./request-body.ts";

const JSON_TYPE = "application/json; charset=utf-8";
const GRAPHQL_RESPONSE_TYPE = "application/graphql-response+json; charset=utf-8";

/** An error that ends a request before GraphQL sees it, in the shape of a GraphQL answer. */
interface HttpFailure {
  readonly status: number;
  readonly error: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answers with an error in the shape that GraphQL clients read: `{"errors":[{"message","extensions":{"code"}}]}`. */
export function sendFailure(reply: FastifyReply, { status, error, headers = {} }: HttpFailure): FastifyReply {
  const publicError = publicErrorOf(error);
  const { code, message, retryAfterMs } = publicError;
  const { outcome } = reply.request;
  // Missing, too, where Fastify could not even read the URL.
  if (outcome) outcome.code = code;
  if (code === "UNAUTHENTICATED")
    reply.header("www-authenticate", challenge(reply.request.headers.authorization));
  if (retryAfterMs !== undefined) reply.header("retry-after", String(Math.ceil(retryAfterMs / 1_000)));
  return reply
    .code(status)
    .headers(headers)
    .header(
      "content-type",
      acceptsOnlyGraphQLResponse(reply.request.headers.accept) ? GRAPHQL_RESPONSE_TYPE : JSON_TYPE,
    )
    .send(JSON.stringify({ errors: [{ message, extensions: publicExtensionsOf(publicError) }] }));
}

/** RFC 6750, section 3: no error where no token was sent. */
function challenge(authorization: string | undefined): string {
  const realm = 'Bearer realm="impressions"';
  return authorization === undefined ? realm : `${realm}, error="invalid_token"`;
}

/**
 * Our own errors with the status that the catalogue gives their code, Fastify's (body, content type, URL) in our words;
 * whatever else reaches it is a bug of ours.
 */
export function failureOf(error: unknown, requestId: string, logger: Logger): HttpFailure {
  if (error instanceof ApiError) return { status: ERROR_CATALOGUE[publicErrorOf(error).code].status, error };
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  switch (code) {
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return {
        status: 415,
        error: badUserInput('Send the header "content-type: application/json" and a JSON body.'),
      };
    case "FST_ERR_CTP_EMPTY_JSON_BODY":
    case "FST_ERR_CTP_INVALID_JSON_BODY":
      return {
        status: 400,
        error: badUserInput('The body must be JSON: {"query": "...", "variables": {...}}.'),
      };
    case "FST_ERR_BAD_URL":
      return { status: 400, error: badUserInput("The path is not a valid URL path.") };
    default:
      if (error instanceof UnknownEncodingError)
        return {
          status: 415,
          error: badUserInput(
            `The header content-encoding must be one of ${ENCODINGS_READ}, or left out where the body is not compressed.`,
          ),
          headers: { "accept-encoding": ENCODINGS_READ },
        };
      // Whatever else Fastify refuses: the caller's doing by its status, and no line in our log.
      if (isCallersMistake(error))
        return {
          status: error.statusCode,
          error: badUserInput("This is no request that the service takes."),
        };
      logger.error({ err: error, requestId }, "a request failed unexpectedly");
      return { status: 500, error };
  }
}

function isCallersMistake(error: unknown): error is Error & { readonly statusCode: number } {
  if (!(error instanceof Error && "statusCode" in error && "code" in error)) return false;
  const { statusCode, code } = error;
  return (
    String(code).startsWith("FST_") && typeof statusCode === "number" && statusCode >= 400 && statusCode < 500
  );
}

/** The raw answer to bytes that are no request which the server could answer. */
export function clientErrorResponse(error: NodeJS.ErrnoException): string {
  const [status, message] = describeClientError(error.code);
  const body = JSON.stringify({ errors: [{ message, extensions: { code: "BAD_USER_INPUT" } }] });
  return [
    `HTTP/1.1 ${status}`,
    `content-type: ${JSON_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    "connection: close",
    "",
    body,
  ].join("\r\n");
}

function describeClientError(code: string | undefined): [status: string, message: string] {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return [
        "431 Request Header Fields Too Large",
        `The headers are larger than ${HEADER_BYTES_MAX} bytes.`,
      ];
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return ["408 Request Timeout", "The request did not arrive in time."];
    default:
      return ["400 Bad Request", "This is not an HTTP/1.1 request."];
  }
}

function acceptsOnlyGraphQLResponse(accept = ""): boolean {
  return accept.includes("application/graphql-response+json") && !/application\/json|\*\//.test(accept);
}
