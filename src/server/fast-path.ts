import type { IncomingHttpHeaders } from "node:http";
import { HeaderMap, type HTTPGraphQLResponse } from "@apollo/server";
import { getOperationAST, type OperationDefinitionNode } from "graphql";
import type { RequestContext } from "../resolvers/context.ts";
import type { DocumentStore } from "./document-store.ts";
import { isRecord } from "./request-document.ts";
import type { PreparedOperation, RequestSteps } from "./request-steps.ts";

/** An HTTP request to /graphql, its document named by its text. */
export interface HttpRequest {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
}

/** Answers a request as Apollo Server would; null where the request is not for the fast path, and then nothing has run. */
export type FastPath = (request: HttpRequest, context: RequestContext) => Promise<HTTPGraphQLResponse> | null;

/** A web page of another origin cannot send these without being allowed to (CSRF): no page sends them by a form. */
const FAST_CONTENT_TYPES: ReadonlySet<unknown> = new Set([
  "application/json",
  "application/json; charset=utf-8",
  "application/json;charset=UTF-8",
]);
/** For these Apollo Server chooses JSON_TYPE. */
const FAST_ACCEPTS: ReadonlySet<unknown> = new Set([undefined, "*/*", "application/json"]);
const JSON_TYPE = "application/json; charset=utf-8";
/** Of answers with no other status than 200 and no retry-after: one for all of them, to be read only. */
const JSON_HEADERS = new HeaderMap([["content-type", JSON_TYPE]]);

/**
 * The fast path of what apps and recommenders send all day: a POST of JSON whose document is validated and compiled
 * already, whose variables fit and whose price is within the limits. Everything else is left to Apollo Server, refusals
 * above all, so that there is one place that words them. The steps that both take are in request-steps.ts.
 */
export function createFastPath(documents: DocumentStore, steps: RequestSteps): FastPath {
  function find({ method, headers, body }: HttpRequest): FastOperation | null {
    if (method !== "POST" || !FAST_CONTENT_TYPES.has(headers["content-type"])) return null;
    if (!FAST_ACCEPTS.has(headers.accept) || !isRecord(body)) return null;
    const { query: text, operationName = null, extensions = null } = body;
    // Null, like none, asks for the defaults.
    const given = body.variables ?? {};
    if (typeof text !== "string" || extensions !== null || !isRecord(given)) return null;
    if (operationName !== null && typeof operationName !== "string") return null;
    const document = documents.ofText(text);
    if (document === undefined) return null;
    const operation = getOperationAST(document, operationName);
    const prepared = operation ? steps.prepare(operation, given) : null;
    if (!operation || prepared === null) return null;
    try {
      steps.checkPrice(document, operation, given);
    } catch {
      // Apollo Server comes to the same, and says why.
      return null;
    }
    return { operation, prepared };
  }

  async function answer(
    { operation, prepared }: FastOperation,
    context: RequestContext,
  ): Promise<HTTPGraphQLResponse> {
    context.outcome.operation = operation.name?.value ?? null;
    const { result, status, retryAfterS } = steps.conclude(
      await steps.run(prepared, context),
      context.outcome,
    );
    const body = { kind: "complete", string: `${JSON.stringify(result)}\n` } as const;
    if (status === 0 && retryAfterS === 0) return { headers: JSON_HEADERS, body };
    const headers = new HeaderMap(JSON_HEADERS);
    if (retryAfterS > 0) headers.set("retry-after", String(retryAfterS));
    return { ...(status > 0 ? { status } : {}), headers, body };
  }

  return (request, context) => {
    const found = find(request);
    return found === null ? null : answer(found, context);
  };
}

interface FastOperation {
  readonly operation: OperationDefinitionNode;
  readonly prepared: PreparedOperation;
}
