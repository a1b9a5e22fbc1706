import { Lexer, Source, TokenKind } from "graphql";
import { ApiError } from "../errors.ts";

/** Room for a mutation that spells 500 impressions out in its text (17 tokens each). */
const DOCUMENT_TOKENS_MAX = 10_000;
/** Nested brackets of any kind. graphql-js recurses: some two thousand would overflow its stack. */
const DOCUMENT_DEPTH_MAX = 64;

/**
 * Refuses documents that cost too much before anything walks over them.
 *
 * @throws ApiError QUERY_TOO_COMPLEX. Broken syntax passes: the parser has the better words for it.
 */
export function checkDocument(query: string): void {
  const lexer = new Lexer(new Source(query));
  let depth = 0;
  for (let tokens = 1; ; tokens++) {
    if (tokens > DOCUMENT_TOKENS_MAX) {
      throw tooComplex(
        `The document has more than ${DOCUMENT_TOKENS_MAX} tokens. Send values as variables, or split the operation.`,
      );
    }
    switch (nextKind(lexer)) {
      case TokenKind.BRACE_L:
      case TokenKind.BRACKET_L:
      case TokenKind.PAREN_L:
        if (++depth > DOCUMENT_DEPTH_MAX) {
          throw tooComplex(
            `The document is nested more than ${DOCUMENT_DEPTH_MAX} levels deep. Ask in several requests.`,
          );
        }
        break;
      case TokenKind.BRACE_R:
      case TokenKind.BRACKET_R:
      case TokenKind.PAREN_R:
        depth--;
        break;
      case TokenKind.EOF:
        return;
    }
  }
}

function nextKind(lexer: Lexer): TokenKind {
  try {
    return lexer.advance().kind;
  } catch {
    return TokenKind.EOF;
  }
}

export function tooComplex(message: string): ApiError {
  return new ApiError("QUERY_TOO_COMPLEX", message);
}
