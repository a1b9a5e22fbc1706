import type { ApolloServerOptions, BaseContext } from "@apollo/server";
import type { DocumentNode } from "graphql";
import { DOCUMENT_CHARACTERS_MAX, DOCUMENTS_MAX, STORED_DOCUMENT_CHARACTERS_MAX } from "./limits.ts";

/** What Apollo Server asks for: documents by a hash of their text. It stores what it has parsed and validated. */
type ApolloDocumentStore = Exclude<ApolloServerOptions<BaseContext>["documentStore"], null | undefined>;

export interface DocumentStore extends ApolloDocumentStore {
  /** The document of that very text, without hashing it; undefined where it is not stored. */
  ofText(text: string): DocumentNode | undefined;
}

/**
 * Parsed and validated documents, so that a query that was seen before costs neither. The least recently used ones leave
 * first. A plain Map: Apollo Server's own cache measures every document by serializing it.
 */
export function createDocumentStore(): DocumentStore {
  const documents = new Map<string, DocumentNode>();
  const keys = new Map<string, string>();
  let characters = 0;

  function use(key: string): DocumentNode | undefined {
    const document = documents.get(key);
    if (document === undefined) return undefined;
    documents.delete(key);
    documents.set(key, document);
    return document;
  }

  function remove(key: string): void {
    const document = documents.get(key);
    if (document === undefined) return;
    const text = textOf(document);
    documents.delete(key);
    keys.delete(text);
    characters -= text.length;
  }

  return {
    get: async (key) => use(key),
    ofText(text) {
      const key = keys.get(text);
      return key === undefined ? undefined : use(key);
    },
    async set(key, document) {
      const text = textOf(document);
      if (text.length > STORED_DOCUMENT_CHARACTERS_MAX) return;
      remove(key);
      documents.set(key, document);
      keys.set(text, key);
      characters += text.length;
      for (const oldest of documents.keys()) {
        if (documents.size <= DOCUMENTS_MAX && characters <= DOCUMENT_CHARACTERS_MAX) break;
        remove(oldest);
      }
    },
    async delete(key) {
      remove(key);
    },
  };
}

function textOf(document: DocumentNode): string {
  return document.loc?.source.body ?? "";
}
