import type { ApolloServerOptions, BaseContext } from "@apollo/server";
import type { DocumentNode } from "graphql";
import { DOCUMENT_CHARACTERS_MAX, DOCUMENTS_MAX, STORED_DOCUMENT_CHARACTERS_MAX } from "./limits.ts";

type DocumentStore = Exclude<ApolloServerOptions<BaseContext>["documentStore"], null | undefined>;

/**
 * Parsed and validated documents by hash, so that a query that was seen before costs neither. The least recently used
 * ones leave first. A plain Map: Apollo Server's own cache measures every document by serializing it.
 */
export function createDocumentStore(): DocumentStore {
  const documents = new Map<string, DocumentNode>();
  let characters = 0;

  function remove(key: string): void {
    const document = documents.get(key);
    if (document === undefined) return;
    documents.delete(key);
    characters -= lengthOf(document);
  }

  return {
    async get(key) {
      const document = documents.get(key);
      if (document === undefined) return undefined;
      documents.delete(key);
      documents.set(key, document);
      return document;
    },
    async set(key, document) {
      const length = lengthOf(document);
      if (length > STORED_DOCUMENT_CHARACTERS_MAX) return;
      remove(key);
      documents.set(key, document);
      characters += length;
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

function lengthOf(document: DocumentNode): number {
  return document.loc?.source.body.length ?? 0;
}
