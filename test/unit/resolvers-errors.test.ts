import { readFileSync } from "node:fs";
import { join } from "node:path";
import { GraphQLError } from "graphql";
import { describe, expect, test } from "vitest";
import { ApiError, ERROR_CATALOGUE, type ErrorCode, QueryTooComplexError } from "../../src/errors.ts";
import { OverloadedError, SubmissionTooLargeError } from "../../src/ingest/errors.ts";
import {
  DeadLettersFullError,
  EngineStartError,
  HistoryTooLongError,
  QueueFullError,
  QueueUnavailableError,
  StoreRefusedError,
  StoreUnavailableError,
} from "../../src/ports/errors.ts";
import { publicErrorOf, publicExtensionsOf } from "../../src/resolvers/error-mapping.ts";

const DOCUMENT = readFileSync(join(import.meta.dirname, "../../docs/errors.md"), "utf8");
const CODES = Object.keys(ERROR_CATALOGUE) as ErrorCode[];

/** The document's sections by their code. */
const sections = new Map(
  DOCUMENT.split(/^## /m)
    .slice(1)
    .map((section) => [section.split("\n", 1)[0] ?? "", section] as const),
);

describe("docs/errors.md and the catalogue", () => {
  test("have the same codes, in the same order", () => {
    expect([...sections.keys()]).toEqual(CODES);
  });

  test.each(CODES)("agree about %s", (code) => {
    const { status, retryable } = ERROR_CATALOGUE[code];
    const anchor = code.toLowerCase();
    expect(DOCUMENT).toContain(`| [${code}](#${anchor}) | ${status} | ${retryable ? "yes" : "no"} |`);
    const section = sections.get(code) ?? "";
    expect(section).toMatch(/\*\*Do:\*\* \S/);
    const [, example = "{}"] = /```json\n([^`]+)```/.exec(section) ?? [];
    const { errors } = JSON.parse(example) as { errors: { extensions: Record<string, unknown> }[] };
    expect(errors[0]?.extensions).toEqual({
      code,
      ...(retryable ? { retryAfterMs: expect.any(Number) } : {}),
      ...(code === "QUERY_TOO_COMPLEX" ? { cost: expect.any(Number), costMax: expect.any(Number) } : {}),
    });
  });

  test("the table has no other rows", () => {
    expect(DOCUMENT.match(/^\| \[/gm)).toHaveLength(CODES.length);
  });
});

describe("public errors", () => {
  const SECRET = "at /srv/app/secret.js:12 ECONNREFUSED";
  /** As graphql-js hands a thrown error on. */
  const fromField = (originalError: Error) =>
    new GraphQLError(originalError.message, { originalError, path: ["recordImpressions"] });

  test.each<[Error, ErrorCode]>([
    [new OverloadedError(SECRET), "OVERLOADED"],
    [new QueueFullError(SECRET), "OVERLOADED"],
    [new DeadLettersFullError(SECRET), "OVERLOADED"],
    [new QueueUnavailableError(SECRET), "QUEUE_UNAVAILABLE"],
    [new StoreUnavailableError(SECRET), "STORE_UNAVAILABLE"],
    [new SubmissionTooLargeError(SECRET), "BATCH_TOO_LARGE"],
    [new HistoryTooLongError(5), "QUERY_TOO_COMPLEX"],
    [new StoreRefusedError(SECRET), "INTERNAL_SERVER_ERROR"],
    [new EngineStartError(SECRET), "INTERNAL_SERVER_ERROR"],
    [new TypeError(SECRET), "INTERNAL_SERVER_ERROR"],
  ])("%o is %s", (error, code) => {
    for (const thrown of [error, fromField(error), fromField(fromField(error))]) {
      const told = publicErrorOf(thrown, () => 0.5);
      expect(told.code).toBe(code);
      expect(told.message).not.toContain("secret");
      expect(told.message).toMatch(/^[A-Z].+\.$/);
      expect(told.retryAfterMs).toBe(ERROR_CATALOGUE[code].retryable ? 2_000 : undefined);
    }
  });

  test("retries are spread over a second either side", () => {
    const error = new StoreUnavailableError("away");
    expect(publicErrorOf(error, () => 0).retryAfterMs).toBe(1_000);
    expect(publicErrorOf(error, () => 0.9999).retryAfterMs).toBe(3_000);
  });

  test("an ApiError says what it says, wherever it is wrapped", () => {
    const limited = new ApiError("RATE_LIMITED", "Too many requests.", 1_500);
    const told = { code: "RATE_LIMITED", message: "Too many requests.", retryAfterMs: 1_500 };
    expect(publicErrorOf(limited)).toEqual(told);
    expect(publicErrorOf(fromField(limited))).toEqual(told);
  });

  test("a query over its budget is told the price and the budget", () => {
    const error = new QueryTooComplexError("Too dear.", { cost: 11, costMax: 10 });
    for (const thrown of [error, fromField(error)]) {
      expect(publicExtensionsOf(publicErrorOf(thrown))).toEqual({
        code: "QUERY_TOO_COMPLEX",
        cost: 11,
        costMax: 10,
      });
    }
    expect(publicExtensionsOf(publicErrorOf(new QueryTooComplexError("Too long.")))).toEqual({
      code: "QUERY_TOO_COMPLEX",
    });
  });

  test("a value that a field cannot answer is our fault", () => {
    const unserializable = new GraphQLError('Enum "E" cannot represent value: "x"');
    expect(publicErrorOf(fromField(unserializable))).toMatchObject({ code: "INTERNAL_SERVER_ERROR" });
  });

  test("a GraphQLError of another library is no public error", () => {
    const foreign = new GraphQLError(SECRET, { path: ["seenPosts"], extensions: { code: "DOWNSTREAM" } });
    expect(publicErrorOf(foreign)).toMatchObject({ code: "INTERNAL_SERVER_ERROR" });
    expect(publicErrorOf(new GraphQLError(SECRET, { path: ["seenPosts"] }))).toMatchObject({
      code: "INTERNAL_SERVER_ERROR",
    });
    expect(publicErrorOf("just a text")).toMatchObject({ code: "INTERNAL_SERVER_ERROR" });
  });
});

describe("an ApiError", () => {
  test("tells Apollo Server the status and, where it is worth trying again, when", () => {
    expect(new ApiError("FORBIDDEN", "No.").extensions).toEqual({ code: "FORBIDDEN", http: { status: 403 } });
    expect(new ApiError("OVERLOADED", "Later.", 1_001).extensions).toEqual({
      code: "OVERLOADED",
      retryAfterMs: 1_001,
      http: { status: 503, headers: new Map([["retry-after", "2"]]) },
    });
  });
});
