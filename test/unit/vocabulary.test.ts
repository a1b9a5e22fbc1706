import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
/** ADRs and the changelog are history. The bench's own results and generated files are not written by hand. */
const FILES = globSync(
  [
    "src/**/*.ts",
    "client/src/**/*.ts",
    "bench/**/*.ts",
    "docs/*.md",
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "client/README.md",
  ],
  { cwd: ROOT },
).filter((file) => !file.startsWith(join("src", "generated")));

/** A constant may be called ANYBODY. */
const PERSON = /\b(?:[Nn]obody|[Ss]omebody|[Aa]nybody|[Ee]verybody|[Ww]hoever)\b/;

interface Replaced {
  /** Narrow enough to let ordinary English pass. */
  readonly words: RegExp;
  readonly term: string;
  readonly example: string;
}

/** The words that terms of docs/glossary.md have replaced. */
const REPLACED: readonly Replaced[] = [
  {
    words: /\bin hand\b|\b(?:createHand|messagesInHand|letGo)\b/i,
    term: "in flight, in-flight buffer",
    example: "messages in hand",
  },
  {
    words: /\blone tr(?:y|ies)\b|\btrie[sd] alone\b|\blone(?:Try|Step)\b/i,
    term: "isolated attempt",
    example: "the notes of lone tries",
  },
  { words: /\bsuspects?\b|\bconvicted\b/i, term: "poison candidate", example: "a suspect waits" },
  { words: /\bquarantine\b/i, term: "queue of poison candidates", example: "the quarantine is full" },
  { words: /\bturnstile\b/i, term: "shared lock", example: "createTurnstile, turnstile" },
  {
    words: /\bsick\b|\bcreateLanes\b|\blanes? of (?:its|their) partitions?\b/i,
    term: "partition queue, unhealthy",
    example: "a sick lane",
  },
  {
    words: /\bpartitions? (?:that is )?in trouble\b/i,
    term: "unhealthy partition",
    example: "a partition in trouble",
  },
  { words: /\bFailureVerdict\b|\bGIVE_BACK\b/, term: "retry decision, NAK", example: "GIVE_BACK: later" },
  { words: /\bhasSettled\w*|\bleases\.settle\b/, term: "ack", example: "await queue.hasSettledThrough(1)" },
  { words: /\bLineVerdict\b/, term: "added line", example: "LineVerdict" },
  { words: /\bsettlement\b/i, term: "ack tracker; until drained", example: "the settlement learns" },
  {
    words: /\b(?:is|are|was|were) given back\b|\bgive[sn]?Back\b|\bgivenBack\b/,
    term: "nacked, released",
    example: "it is given back",
  },
  { words: /\bworker ?boards?\b|\bin-memory board\b/i, term: "worker registry", example: "the worker board" },
  {
    words: /\bletter (?:writer|budget|log|codec)\b|\bletters(?:Omitted|Failed)\b/i,
    term: "dead letter",
    example: "the letter writer",
  },
  {
    words: /\berasures? receipts?\b|\bcreateReceipts\b/i,
    term: "erasure record",
    example: "an erasure receipt",
  },
  { words: /\bEngineKind\b|\bkind of engine\b/i, term: "engine", example: "the kind of engine" },
  { words: /\bpatience\b/i, term: "backoff, stall detector", example: "the patience of an import" },
  { words: /\btallies\b/i, term: "counters", example: "tallies by message" },
  { words: /\bpackers?\b/i, term: "write coalescer", example: "the packer sends" },
  {
    words: /\busual request\b|\bshort way\b|\banswerUsual\b|\bsightings?\b/i,
    term: "fast path, hit count",
    example: "the short way past it",
  },
  { words: /\bunserved\b|\bgravest\b/i, term: "failed, most severe", example: "the gravest error" },
  { words: /\bjournal\b/i, term: "outbox", example: "the journal of the client" },
  { words: /\bcreateExchange\b|\bexchangeNext\b/, term: "transport", example: "createExchange()" },
  { words: /\bverdictOf\b|\bisOnItsWay\b/, term: "send outcome, in flight", example: "verdictOf()" },
  { words: /\bunpark\b|\bparked\b/i, term: "suspend, resume", example: "a parked page" },
  { words: /\b(?:ArmName|startArms|LONG_LINES)\b/, term: "contestant, benchmark", example: "startArms()" },
];

describe("the vocabulary", () => {
  test.each(REPLACED)("says $term", ({ words, term, example }) => {
    expect(example).toMatch(words);
    const found = FILES.flatMap((file) =>
      readFileSync(join(ROOT, file), "utf8")
        .split("\n")
        .flatMap((line, index) => (words.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : [])),
    );
    expect(found, `say: ${term} (docs/glossary.md)`).toEqual([]);
  });

  test("has a component as the subject of a sentence, and no person without a role", () => {
    expect("Nobody waits for it.").toMatch(PERSON);
    const found = FILES.flatMap((file) =>
      readFileSync(join(ROOT, file), "utf8")
        .split("\n")
        .flatMap((line, index) => (PERSON.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : [])),
    );
    expect(found, "name the component, the caller or the operator").toEqual([]);
  });

  test("names files that exist", () => {
    const glossary = readFileSync(join(ROOT, "docs/glossary.md"), "utf8");
    const named = [...glossary.matchAll(/`((?:[a-z-]+\/)+(?:[a-z-]+\.ts)?)`/g)].map(([, path = ""]) => path);
    expect(named.length).toBeGreaterThan(20);
    const missing = named.filter((path) => globSync([path, `src/${path}`], { cwd: ROOT }).length === 0);
    expect(missing).toEqual([]);
  });
});
