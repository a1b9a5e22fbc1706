import { serverAudits } from "graphql-http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Api, startApi } from "../support/api.ts";

/** The GraphQL over HTTP specification, as the audit suite of graphql-http holds a server to it. */

const STATUS_OF_BAD_REQUESTS =
  "BAD_USER_INPUT is 400 in every media type (docs/errors.md), so that proxies and metrics see it too";
const CSRF = "a GET without a header that a foreign web page cannot set is refused (CSRF prevention)";

/** The audits that the service fails on purpose, with the reason. Each must really fail, or leave this list. */
const DEVIATIONS = new Map<string, { readonly result: "warn" | "notice"; readonly reason: string }>([
  [
    "SHOULD use 200 status code on document parsing failure when accepting application/json",
    { result: "warn", reason: STATUS_OF_BAD_REQUESTS },
  ],
  [
    "SHOULD use 200 status code on document validation failure when accepting application/json",
    { result: "warn", reason: STATUS_OF_BAD_REQUESTS },
  ],
  [
    "SHOULD use a status code of 200 on variable coercion failure when accepting application/json",
    { result: "warn", reason: STATUS_OF_BAD_REQUESTS },
  ],
  ["MAY accept application/x-www-form-urlencoded formatted GET requests", { result: "notice", reason: CSRF }],
  [
    "MAY allow URL-encoded JSON string {variables} parameter in GETs when accepting application/graphql-response+json",
    { result: "notice", reason: CSRF },
  ],
  [
    "MAY allow URL-encoded JSON string {variables} parameter in GETs when accepting application/json",
    { result: "notice", reason: CSRF },
  ],
]);

let api: Api;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.stop());

const audits = serverAudits({ url: () => new URL("/graphql", api.url).href, fetchFn: fetch });

describe("GraphQL over HTTP", () => {
  test.each(audits.map((audit) => [audit.name, audit] as const))("%s", async (name, audit) => {
    const result = await audit.fn();
    const deviation = DEVIATIONS.get(name);
    expect(result.status, "reason" in result ? result.reason : deviation?.reason).toBe(
      deviation?.result ?? "ok",
    );
  });

  test("every deviation is an audit", () => {
    const names = new Set<string>(audits.map(({ name }) => name));
    expect([...DEVIATIONS.keys()].filter((name) => !names.has(name))).toEqual([]);
  });
});
