import { DEAD_LETTERS_PER_ACTION_MAX } from "../admin/dead-letter-actions.ts";
import {
  CANDIDATES_MAX,
  DEAD_LETTER_IDS_MAX,
  NODES_MAX,
  PAGE_SIZE_MAX,
  STRING_CODE_POINTS_MAX,
  VIEWS_COUNT_MAX,
} from "../domain/limits.ts";
import { exceedsCodePoints } from "../domain/utf8-order.ts";
import { idProblem } from "../domain/validation.ts";
import { ApiError } from "../errors.ts";
import type { DeadLetterFilter } from "../ports/dead-letters.ts";
import type { DeadLetterFilterInput } from "./dead-letter-types.ts";
import type { SeenRuleInput } from "./view-types.ts";

/**
 * Checks of arguments that the type system cannot express. Each throws BAD_USER_INPUT with a sentence that names the
 * argument and says what it must be.
 */

/** Of an Int that has no other bound. */
const INT_MAX = 2 ** 31 - 1;

export function badUserInput(message: string): ApiError {
  return new ApiError("BAD_USER_INPUT", message);
}

export function checkId(argument: string, id: string): void {
  const problem = idProblem(id);
  if (problem !== null) throw badUserInput(`${argument} ${problem}.`);
}

/** The ids of `users` and `posts`. */
export function checkNodeIds(ids: readonly string[]): void {
  checkNodeCount(ids.length);
  checkEachId("ids", ids);
}

export function checkNodeCount(count: number): void {
  if (count > NODES_MAX) {
    throw badUserInput(
      `ids must hold at most ${NODES_MAX} ids, not ${count}. Split the list over several requests.`,
    );
  }
}

export function checkCandidates(candidates: readonly string[]): void {
  checkCandidateCount(candidates.length);
  checkEachId("candidates", candidates);
}

export function checkCandidateCount(count: number): void {
  if (count > CANDIDATES_MAX) {
    throw badUserInput(
      `candidates must hold at most ${CANDIDATES_MAX} post ids, not ${count}. Ask about the best ones first.`,
    );
  }
}

function checkEachId(argument: string, ids: readonly string[]): void {
  // The usual case first: naming a thousand places that are right took longer than looking at the ids.
  const index = ids.findIndex((id) => idProblem(id) !== null);
  const id = ids[index];
  if (id !== undefined) checkId(`${argument}[${index}]`, id);
}

export function checkFirst(first: number): void {
  if (!isWhole(first, 1, PAGE_SIZE_MAX)) {
    throw badUserInput(
      `first must be from 1 to ${PAGE_SIZE_MAX}, not ${first}. Ask for more pages with after.`,
    );
  }
}

/** `first` of a replay or a discard. */
export function checkLettersAtOnce(first: number): void {
  if (!isWhole(first, 1, DEAD_LETTERS_PER_ACTION_MAX)) {
    throw badUserInput(
      `first must be from 1 to ${DEAD_LETTERS_PER_ACTION_MAX}, not ${first}. Go on with after.`,
    );
  }
}

export function checkSeenRule(rule: SeenRuleInput): void {
  if (!isWhole(rule.minViews, 1, VIEWS_COUNT_MAX)) {
    throw badUserInput(`rule.minViews must be from 1 to ${VIEWS_COUNT_MAX}, not ${rule.minViews}.`);
  }
  if (!isWhole(rule.minDwellMs, 0, INT_MAX)) {
    throw badUserInput(`rule.minDwellMs must be 0 or more milliseconds, not ${rule.minDwellMs}.`);
  }
}

/** The schema's Int takes any number (scalars.ts). */
function isWhole(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}

/** Any text of a mutation: longer ones are refused, whatever they mean. */
export function checkText(argument: string, text: string): void {
  if (exceedsCodePoints(text, STRING_CODE_POINTS_MAX)) {
    throw badUserInput(`${argument} must have at most ${STRING_CODE_POINTS_MAX} characters.`);
  }
}

/**
 * The filter in the port's terms. Its userId may be an invalid one: dead letters hold what arrived.
 *
 * @param where the argument that holds the conditions; empty where they are arguments themselves.
 */
export function deadLetterFilterOf(input: DeadLetterFilterInput, where: string): DeadLetterFilter {
  const { ids = null, reason = null, userId = null, since = null, until = null } = input;
  const at = (argument: string) => (where === "" ? argument : `${where}.${argument}`);
  if (ids !== null && ids.length > DEAD_LETTER_IDS_MAX) {
    throw badUserInput(`${at("ids")} must hold at most ${DEAD_LETTER_IDS_MAX} ids, not ${ids.length}.`);
  }
  for (const [index, id] of (ids ?? []).entries()) checkText(`${at("ids")}[${index}]`, id);
  if (userId !== null) checkText(at("userId"), userId);
  return { ids, reason, userId, sinceMs: since, untilMs: until };
}
