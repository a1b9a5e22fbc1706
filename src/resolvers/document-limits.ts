import { Lexer, Source, TokenKind } from "graphql";
import { QueryTooComplexError } from "../errors.ts";

/**
 * What a document may hold, counted over its tokens before anything else walks over it. Validation comes later, and one of
 * its rules compares every two selections of one name with each other: 10,000 tokens of the same field keep it busy
 * for seconds.
 */
export const DOCUMENT_LIMITS = {
  /** Room for a mutation that spells 500 impressions out in its text, with long ids. Comments and white space count, too. */
  characters: 128 * 1024,
  /** As many as tokens: some tools write one a line. */
  lines: 10_000,
  /** Room for a mutation that spells 500 impressions out in its text (17 tokens each). */
  tokens: 10_000,
  /** Nested brackets of any kind. graphql-js recurses: some two thousand would overflow its stack. */
  brackets: 64,
  /** Fields, fragment spreads and inline fragments. GraphiQL's introspection query has some 100. */
  selections: 500,
  /** Room for a candidate list of its own for each of 100 users. */
  aliases: 128,
  directives: 64,
  fragments: 50,
  /**
   * Tokens that validation may have to compare: for each name, how often it is selected times the length of all its
   * arguments. 500 times the same field are under it.
   */
  comparedTokens: 300_000,
} as const;

const TOO_MANY: Record<keyof typeof DOCUMENT_LIMITS, string> = {
  characters: "characters. Send values as variables, or split the operation.",
  lines: "lines. Leave empty ones out, or split the operation.",
  tokens: "tokens. Send values as variables, or split the operation.",
  brackets: "levels of nested brackets. Ask in several requests.",
  selections: "fields and fragment spreads. Ask in several requests.",
  aliases: "aliases. Ask in several requests.",
  directives: "directives. Leave fields out instead of skipping them.",
  fragments: "fragments. Spell the fields out, or split the operation.",
  comparedTokens:
    "tokens to compare among selections of one name. Don't repeat a field; give repeated ones aliases and their values as variables.",
};

/**
 * Refuses documents that cost too much before they are parsed.
 *
 * @throws QueryTooComplexError. Broken syntax passes: the parser has the better words for it.
 */
export function checkDocument(query: string): void {
  if (query.length > DOCUMENT_LIMITS.characters) throw tooMany("characters");
  const lexer = new Lexer(new Source(query));
  const counts = { tokens: 0, brackets: 0, selections: 0, aliases: 0, directives: 0, fragments: 0 };
  const repeats = new Repeats();
  let parentheses = 0;
  // What stands before the name that comes next.
  let before = "";

  function count(what: keyof typeof counts): void {
    if (++counts[what] > DOCUMENT_LIMITS[what]) throw tooMany(what);
  }

  function readName(name: string): void {
    if (counts.brackets === 0) {
      if (name === "fragment") count("fragments");
    } else if (before === TokenKind.SPREAD && name === "on") {
      before = "on";
      return;
    } else if (before === "" || before === TokenKind.NAME) {
      count("selections");
      repeats.select(name);
    }
    before = TokenKind.NAME;
  }

  for (;;) {
    const kind = advance(lexer);
    if (lexer.line > DOCUMENT_LIMITS.lines) throw tooMany("lines");
    if (kind === TokenKind.EOF) return;
    count("tokens");
    if (opens(kind)) count("brackets");
    else if (closes(kind)) counts.brackets--;
    if (kind === TokenKind.PAREN_L) parentheses++;
    else if (kind === TokenKind.PAREN_R) parentheses--;
    if (parentheses > 0) {
      repeats.argument();
      continue;
    }
    switch (kind) {
      case TokenKind.NAME:
        readName(lexer.token.value);
        break;
      case TokenKind.SPREAD:
        count("selections");
        before = kind;
        break;
      case TokenKind.COLON:
        count("aliases");
        before = kind;
        break;
      case TokenKind.AT:
        count("directives");
        before = kind;
        break;
      default:
        before = "";
    }
  }
}

/** How much validation has to compare among selections of the same name. */
class Repeats {
  private readonly byName = new Map<string, { count: number; tokens: number }>();
  private current: { count: number; tokens: number } | undefined;

  select(name: string): void {
    let repeat = this.byName.get(name);
    if (repeat === undefined) {
      repeat = { count: 0, tokens: 0 };
      this.byName.set(name, repeat);
    }
    repeat.count++;
    this.current = repeat;
    this.argument();
  }

  argument(): void {
    const { current } = this;
    if (current === undefined) return;
    current.tokens++;
    if (current.count > 1 && current.count * current.tokens > DOCUMENT_LIMITS.comparedTokens) {
      throw tooMany("comparedTokens");
    }
  }
}

function opens(kind: TokenKind): boolean {
  return kind === TokenKind.BRACE_L || kind === TokenKind.BRACKET_L || kind === TokenKind.PAREN_L;
}

function closes(kind: TokenKind): boolean {
  return kind === TokenKind.BRACE_R || kind === TokenKind.BRACKET_R || kind === TokenKind.PAREN_R;
}

function advance(lexer: Lexer): TokenKind {
  try {
    return lexer.advance().kind;
  } catch {
    return TokenKind.EOF;
  }
}

function tooMany(what: keyof typeof DOCUMENT_LIMITS): QueryTooComplexError {
  return new QueryTooComplexError(`The document has more than ${DOCUMENT_LIMITS[what]} ${TOO_MANY[what]}`);
}
