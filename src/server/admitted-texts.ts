import { checkDocument } from "../resolvers/document-limits.ts";
import { DOCUMENT_CHARACTERS_MAX, DOCUMENTS_MAX, STORED_DOCUMENT_CHARACTERS_MAX } from "./limits.ts";

/**
 * `checkDocument` that remembers the texts it let through: counting the tokens of a small mutation takes 6 us, finding it
 * again less than one.
 */
export function createDocumentCheck(): (query: string) => void {
  const admitted = new Set<string>();
  let characters = 0;
  return (query) => {
    if (admitted.has(query)) return;
    checkDocument(query);
    if (query.length > STORED_DOCUMENT_CHARACTERS_MAX) return;
    if (admitted.size >= DOCUMENTS_MAX || characters + query.length > DOCUMENT_CHARACTERS_MAX) {
      // All of them, which is cheaper than to keep an order: what keeps coming is back at once.
      admitted.clear();
      characters = 0;
    }
    admitted.add(query);
    characters += query.length;
  };
}
