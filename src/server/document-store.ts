import type { ApolloServerOptions, BaseContext } from "@apollo/server";
import type { DocumentNode } from "graphql";
import { LRUCache } from "lru-cache";
import { DOCUMENT_CHARACTERS_MAX, DOCUMENTS_MAX, STORED_DOCUMENT_CHARACTERS_MAX } from "./limits.ts";

/** What Apollo Server asks for: documents by a hash of their text. It stores what it has parsed and validated. */
type ApolloDocumentStore = Exclude<ApolloServerOptions<BaseContext>["documentStore"], null | undefined>;

export interface DocumentStore extends ApolloDocumentStore {
  /** The document of that very text, without hashing it; undefined where it is not stored. */
  ofText(text: string): DocumentNode | undefined;
}

/**
 * Parsed and validated documents, so that a query that was seen before costs neither. The least recently used ones leave
 * first. Apollo Server's own cache measures every document by serializing it.
 */
export function createDocumentStore(): DocumentStore {
  const keys = new Map<string, string>();
  const documents = new LRUCache<string, DocumentNode>({
    max: DOCUMENTS_MAX,
    maxSize: DOCUMENT_CHARACTERS_MAX,
    sizeCalculation: (document) => Math.max(1, textOf(document).length),
    dispose: (document) => void keys.delete(textOf(document)),
  });

  return {
    get: async (key) => documents.get(key),
    ofText(text) {
      const key = keys.get(text);
      return key === undefined ? undefined : documents.get(key);
    },
    async set(key, document) {
      const text = textOf(document);
      if (text.length > STORED_DOCUMENT_CHARACTERS_MAX) return;
      documents.set(key, document);
      keys.set(text, key);
    },
    async delete(key) {
      documents.delete(key);
    },
  };
}

function textOf(document: DocumentNode): string {
  return document.loc?.source.body ?? "";
}
