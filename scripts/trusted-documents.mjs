import { createHash } from "node:crypto";
import { print } from "graphql";

/**
 * A plugin of graphql-codegen (see codegen.yml): the operations as trusted documents, a JSON object from the SHA-256 of
 * each text, in hexadecimal, to the text. One operation a file, no fragments of other files, as schema/operations is.
 */
export function plugin(_schema, documents) {
  const entries = documents.map(({ document }) => {
    const text = print(document);
    return [createHash("sha256").update(text).digest("hex"), text];
  });
  // In the order of the texts, so that a change of one moves no other.
  entries.sort(([, a], [, b]) => (a < b ? -1 : 1));
  return `${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`;
}
