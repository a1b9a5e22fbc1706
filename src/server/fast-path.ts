import type { IncomingHttpHeaders } from "node:http";
import { HeaderMap, type HTTPGraphQLResponse } from "@apollo/server";
import { type DocumentNode, getOperationAST, type OperationDefinitionNode } from "graphql";
import type { RequestContext } from "../resolvers/context.ts";
import { boundAnswer } from "./answer-bounds.ts";
import type { AnswerCompiled } from "./compiled-execution.ts";
import type { CompiledOperation } from "./compiled-operation.ts";
import type { CompiledQueries } from "./compiled-queries.ts";
import type { Variables } from "./compiled-variables.ts";
import type { DocumentStore } from "./document-store.ts";
import { concludeAnswer } from "./graphql-errors.ts";
import { isRecord } from "./request-document.ts";

/** An HTTP request to /graphql, its document named by its text. */
export interface HttpRequest {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
}

/** Answers a request as Apollo Server would; null where the request is not for the fast path, and then nothing has run. */
export type FastPath = (request: HttpRequest, context: RequestContext) => Promise<HTTPGraphQLResponse> | null;

/** @throws where the operation costs too much. */
export type CheckOperation = (
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Variables,
) => void;

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

interface KnownOperation {
  readonly operation: OperationDefinitionNode;
  readonly known: CompiledOperation;
  readonly variables: Variables;
}

/**
 * The fast path of what apps and recommenders send all day: a POST of JSON whose document is validated and compiled
 * already, whose variables fit and whose price is within the limits. Everything else is left to Apollo Server, refusals
 * above all, so that there is one place that words them. An answer must not depend on the way.
 */
export function createFastPath(deps: {
  readonly documents: DocumentStore;
  readonly compiled: CompiledQueries;
  readonly check: CheckOperation;
  readonly answerCompiled: AnswerCompiled;
}): FastPath {
  const { documents, compiled, check, answerCompiled } = deps;

  function find({ method, headers, body }: HttpRequest): KnownOperation | null {
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
    const known = operation ? compiled.find(operation) : null;
    const variables = known?.coerce(given) ?? null;
    if (!operation || known === null || variables === null) return null;
    try {
      check(document, operation, given);
    } catch {
      // Apollo Server comes to the same, and says why.
      return null;
    }
    return { operation, known, variables };
  }

  async function answer(
    { operation, known, variables }: KnownOperation,
    context: RequestContext,
  ): Promise<HTTPGraphQLResponse> {
    context.outcome.operation = operation.name?.value ?? null;
    const result = boundAnswer(await answerCompiled(known, context, variables));
    const { status, retryAfterS } = concludeAnswer(result, context.outcome);
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
