import { badUserInput } from "../resolvers/arguments.ts";
import { checkDocument } from "../resolvers/document-limits.ts";
import type { DocumentStore } from "./document-store.ts";
import type { TrustedDocuments } from "./trusted-documents.ts";

/** What of an HTTP request says which document to run, and how. */
export interface GraphQLRequestParts {
  /** With its question mark; "" where there is none. */
  readonly search: string;
  readonly body: unknown;
}

/** Which document a request names. */
interface Named {
  readonly query: string | null;
  /** As the GraphQL over HTTP draft has it: `documentId`, or `documentId: "sha256:..."`. */
  readonly documentId: string | null;
  /** As Apollo's clients send it: `extensions.persistedQuery.sha256Hash`. */
  readonly hash: string | null;
}

/**
 * Makes the function that turns a request into what Apollo Server is to see: a trusted document's id is replaced by its
 * text.
 *
 * It throws an ApiError where the document is too large to be parsed, or not trusted where only trusted ones run. A request
 * that names no document passes: Apollo Server says what is missing.
 */
export function createDocumentResolver(
  trusted: TrustedDocuments,
  documents: DocumentStore,
): (method: string, parts: GraphQLRequestParts) => GraphQLRequestParts {
  const textOf = (named: Named) => textToRun(trusted, documents, named);
  return (method, parts) => resolveDocument(textOf, method, parts);
}

function resolveDocument(
  textOf: (named: Named) => string | null,
  method: string,
  { search, body }: GraphQLRequestParts,
): GraphQLRequestParts {
  if (method === "GET") {
    const parameters = new URLSearchParams(search);
    const text = textOf(namedBySearch(parameters));
    if (text === null) return { search, body };
    parameters.set("query", text);
    parameters.delete("documentId");
    parameters.delete("extensions");
    return { search: `?${parameters}`, body };
  }
  if (!isRecord(body)) return { search, body };
  const text = textOf(namedByBody(body));
  if (text === null) return { search, body };
  const { documentId: _, extensions: __, ...rest } = body;
  return { search, body: { ...rest, query: text } };
}

/** The text that is to run instead of what was sent; null: the request may run as it is. */
function textToRun(
  trusted: TrustedDocuments,
  documents: DocumentStore,
  { query, documentId, hash }: Named,
): string | null {
  if (documentId !== null) {
    if (query !== null) throw badUserInput("Send query or documentId, not both.");
    const text = trusted.find(documentId.replace(/^sha256:/, ""));
    if (text === undefined)
      throw badUserInput("documentId is not on this server's list of trusted documents.");
    return text;
  }
  if (query !== null) {
    if (trusted.mode === "only") return trusted.match(query) ?? refuse();
    // What is stored was checked then: counting the tokens of a small mutation takes 6 us, finding it less than one.
    if (documents.ofText(query) === undefined) checkDocument(query);
    return null;
  }
  if (hash === null) return null;
  // Where any document may run, Apollo Server may know the hash, or asks for the text.
  return trusted.find(hash) ?? (trusted.mode === "only" ? refuse() : null);
}

function refuse(): never {
  throw badUserInput(
    "Only trusted documents run here (TRUSTED_DOCUMENTS=only), and this is none: send one of schema/operations as it " +
      "stands, or have it added to the list (TRUSTED_DOCUMENTS_FILE).",
  );
}

function namedByBody(body: Readonly<Record<string, unknown>>): Named {
  const { query, documentId = null, extensions } = body;
  if (documentId !== null && typeof documentId !== "string")
    throw badUserInput("documentId must be a string.");
  return { query: textOrNull(query), documentId, hash: hashOf(extensions) };
}

function namedBySearch(parameters: URLSearchParams): Named {
  const extensions = parameters.get("extensions");
  return {
    query: parameters.get("query"),
    documentId: parameters.get("documentId"),
    hash: extensions === null ? null : hashOf(parseOrNull(extensions)),
  };
}

function hashOf(extensions: unknown): string | null {
  if (!isRecord(extensions) || !isRecord(extensions.persistedQuery)) return null;
  return textOrNull(extensions.persistedQuery.sha256Hash);
}

function parseOrNull(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return null;
  }
}

function textOrNull(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
