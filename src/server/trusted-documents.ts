import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type GraphQLSchema, parse, stripIgnoredCharacters, validate } from "graphql";
import { z } from "zod";
import { checkDocument } from "../resolvers/document-limits.ts";

/** `any`: every document runs, those on the list also by their id. `only`: nothing but the list runs. */
export type TrustedMode = "any" | "only";

/** Documents that are known before they are sent. */
export interface TrustedDocuments {
  readonly mode: TrustedMode;
  /** The text that an id stands for. */
  find(id: string): string | undefined;
  /** The listed text that this one is, apart from white space, commas and comments. @throws QueryTooComplexError */
  match(text: string): string | undefined;
}

/** TRUSTED_DOCUMENTS_FILE cannot be used. The message is one line that says why. */
export class TrustedDocumentsError extends Error {
  override readonly name = "TrustedDocumentsError";
}

/** The list of this package, from schema/operations; this file is two folders below its root, in src/ and in dist/ alike. */
const OWN_FILE = join(import.meta.dirname, "../../schema/trusted-documents.json");
/** Documents in an operator's file. */
const DOCUMENTS_MAX = 10_000;
const ID_CHARACTERS_MAX = 128;

const listSchema = z.record(z.string().min(1).max(ID_CHARACTERS_MAX), z.string());

/**
 * Reads the list of this package and the operator's own, a JSON object from ids to documents.
 *
 * @throws TrustedDocumentsError the operator's file cannot be read, or one of its documents does not fit the schema.
 */
export async function readTrustedDocuments(options: {
  readonly mode: TrustedMode;
  /** The operator's file; null for none. */
  readonly file: string | null;
  readonly schema: GraphQLSchema;
}): Promise<TrustedDocuments> {
  const { mode, file, schema } = options;
  const own = listSchema.parse(JSON.parse(await readFile(OWN_FILE, "utf8")));
  const theirs = file === null ? {} : await readList(file, schema);
  const textOfId = new Map([...Object.entries(theirs), ...Object.entries(own)]);
  const textOfTokens = new Map([...textOfId.values()].map((text) => [stripIgnoredCharacters(text), text]));
  const texts = new Set(textOfId.values());
  return {
    mode,
    find: (id) => textOfId.get(id),
    match(text) {
      if (texts.has(text)) return text;
      checkDocument(text);
      const tokens = tokensOf(text);
      return tokens === null ? undefined : textOfTokens.get(tokens);
    },
  };
}

async function readList(file: string, schema: GraphQLSchema): Promise<Readonly<Record<string, string>>> {
  const list = await readFile(file, "utf8")
    .then((json) => listSchema.parse(JSON.parse(json)))
    .catch((error: unknown) => {
      const why = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
      throw new TrustedDocumentsError(
        `TRUSTED_DOCUMENTS_FILE=${file} must hold a JSON object from ids to documents: ${why.replaceAll("\n", " ")}`,
      );
    });
  const ids = Object.keys(list);
  if (ids.length > DOCUMENTS_MAX) {
    throw new TrustedDocumentsError(
      `TRUSTED_DOCUMENTS_FILE=${file} holds ${ids.length} documents; ${DOCUMENTS_MAX} are allowed`,
    );
  }
  for (const [id, text] of Object.entries(list)) {
    const problem = problemOf(text, schema);
    if (problem !== null)
      throw new TrustedDocumentsError(`TRUSTED_DOCUMENTS_FILE=${file}: document ${id}: ${problem}`);
  }
  return list;
}

/** Why a document would be refused whatever its variables; null if it would not. */
function problemOf(text: string, schema: GraphQLSchema): string | null {
  try {
    checkDocument(text);
    return validate(schema, parse(text))[0]?.message ?? null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function tokensOf(text: string): string | null {
  try {
    return stripIgnoredCharacters(text);
  } catch {
    return null;
  }
}
