import {
  type DocumentNode,
  type FragmentDefinitionNode,
  type GraphQLField,
  GraphQLObjectType,
  type GraphQLSchema,
  getArgumentValues,
  getNamedType,
  getNullableType,
  getVariableValues,
  isListType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  OperationTypeNode,
  type SelectionSetNode,
} from "graphql";
import { CANDIDATES_MAX, NODES_MAX, PAGE_SIZE_MAX } from "../domain/limits.ts";
import { tooComplex } from "./document-limits.ts";

/**
 * Fields and list items in one answer, at worst: 100 users with 1000 candidates each fit. That answer takes 60 to 80 ms
 * on a shared core, much of it in one stretch in which nobody else is served.
 */
const ANSWER_VALUES_MAX = 120_000;
/** Pages and candidate lists read for one answer, at worst: a page of 500 posts with each one's viewers fits. */
const STORE_READS_MAX = 600;
/** Lists whose length no argument says are short: workers. */
const OTHER_LIST_LENGTH = 64;

/**
 * Refuses a query whose answer could be too large, by its arguments and variables, before any of it is read. Numbers
 * outside their own bounds count as the bound: the resolver says what is wrong with them.
 *
 * @throws ApiError QUERY_TOO_COMPLEX.
 */
export function checkAnswerSize(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Readonly<Record<string, unknown>>,
): void {
  const root = schema.getQueryType();
  // A mutation runs one root field and answers with a handful of values.
  if (operation.operation !== OperationTypeNode.QUERY || !root) return;
  const { coerced } = getVariableValues(schema, operation.variableDefinitions ?? [], variables);
  // Wrong variables are reported by the execution, which will not start.
  if (!coerced) return;
  const fragments = new Map(
    document.definitions
      .filter((definition) => definition.kind === Kind.FRAGMENT_DEFINITION)
      .map((fragment) => [fragment.name.value, fragment] as const),
  );
  measure({ schema, fragments, variables: coerced, values: 0, reads: 0 }, operation.selectionSet, {
    type: root,
    times: 1,
    pageSize: 0,
  });
}

interface Measurement {
  readonly schema: GraphQLSchema;
  readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  readonly variables: Record<string, unknown>;
  values: number;
  reads: number;
}

interface Place {
  readonly type: GraphQLObjectType;
  /** How often this object can stand in the answer. */
  readonly times: number;
  /** `first` of the connection around it. */
  readonly pageSize: number;
}

function measure(sum: Measurement, { selections }: SelectionSetNode, place: Place): void {
  for (const selection of selections) {
    // Fragments count too: many empty ways to the same field are work as well.
    add(sum, place.times, 0);
    if (selection.kind === Kind.INLINE_FRAGMENT) {
      measure(sum, selection.selectionSet, place);
    } else if (selection.kind === Kind.FRAGMENT_SPREAD) {
      const fragment = sum.fragments.get(selection.name.value);
      if (fragment !== undefined) measure(sum, fragment.selectionSet, place);
    } else {
      const field = place.type.getFields()[selection.name.value];
      // Introspection has its own bounds in graphql-js.
      if (field === undefined) continue;
      const args = argumentsOf(field, selection, sum.variables);
      const pageSize = typeof args.first === "number" ? within(args.first, PAGE_SIZE_MAX) : place.pageSize;
      const times = place.times * (isListType(getNullableType(field.type)) ? lengthOf(args, pageSize) : 1);
      if ("first" in args || "candidates" in args) add(sum, 0, place.times);
      if (times !== place.times) add(sum, times, 0);
      const type = getNamedType(field.type);
      if (selection.selectionSet && isObjectType(type))
        measure(sum, selection.selectionSet, { type, times, pageSize });
    }
  }
}

function lengthOf(args: Record<string, unknown>, pageSize: number): number {
  if (Array.isArray(args.candidates)) return within(args.candidates.length, CANDIDATES_MAX);
  if (Array.isArray(args.ids)) return within(args.ids.length, NODES_MAX);
  return pageSize === 0 ? OTHER_LIST_LENGTH : pageSize;
}

function within(count: number, max: number): number {
  return Math.min(Math.max(count, 1), max);
}

function argumentsOf(
  field: GraphQLField<unknown, unknown>,
  node: Parameters<typeof getArgumentValues>[1],
  variables: Record<string, unknown>,
): Record<string, unknown> {
  try {
    return getArgumentValues(field, node, variables);
  } catch {
    // Wrong arguments are reported by the execution.
    return {};
  }
}

function add(sum: Measurement, values: number, reads: number): void {
  sum.values += values;
  sum.reads += reads;
  if (sum.values > ANSWER_VALUES_MAX) {
    throw tooComplex(
      `The answer could hold more than ${ANSWER_VALUES_MAX} values. Ask for smaller pages (first), fewer ids or ` +
        "candidates, or fewer fields, in several requests.",
    );
  }
  if (sum.reads > STORE_READS_MAX) {
    throw tooComplex(
      `The answer could take more than ${STORE_READS_MAX} reads. Ask for fewer nested lists or smaller pages (first), in several requests.`,
    );
  }
}
