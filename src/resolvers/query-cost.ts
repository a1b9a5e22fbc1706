import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isListType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  SchemaMetaFieldDef,
  type SelectionSetNode,
  TypeMetaFieldDef,
  TypeNameMetaFieldDef,
  type ValueNode,
} from "graphql";
import { CANDIDATES_MAX, NODES_MAX, PAGE_SIZE_MAX } from "../domain/limits.ts";
import { QueryTooComplexError } from "../errors.ts";
import { checkCandidateCount, checkNodeCount } from "./arguments.ts";

/**
 * The price of a query, computed before any of it runs. docs/query-cost.md is the formula in words; its examples are
 * tested against this.
 */

/**
 * One access to the store or the queue. A small page of the embedded store takes about as long as answering 300 values
 * (0.2 ms against 60 to 80 ms for 120,000, measured on a shared core).
 */
export const READ_COST = 300;
/** A candidate of more bytes counts once for each so many of them: the answer repeats it, for each user. A UUID has 36. */
const CANDIDATE_BYTES = 64;
/** Lists whose length no argument says are short: workers. */
export const UNSIZED_LIST_LENGTH = 64;
/** Lists of the schema itself: types, fields, arguments. */
export const INTROSPECTION_LIST_LENGTH = 10;
/** Unfinished erasures in one answer, as the schema says. */
const ERASURES_LISTED_MAX = 1_000;
/** Root fields that read without having pages or candidates, and the rows that they may read and list. */
const OTHER_READS: ReadonlyMap<string, number> = new Map([
  ["Query.erasure", 0],
  ["Query.pipeline", 0],
  ["Query.unfinishedErasures", ERASURES_LISTED_MAX],
]);

/** What an operation may ask for. */
export interface QueryLimits {
  readonly costMax: number;
  /** Fields inside fields, fragments spelled out. */
  readonly depthMax: number;
}

export interface Price {
  /** In the units of docs/query-cost.md; Number.MAX_SAFE_INTEGER for everything beyond. */
  readonly cost: number;
  readonly depth: number;
  /** Selections with every fragment spelled out where it is spread: what an execution plan grows with. */
  readonly selections: number;
}

/** @throws QueryTooComplexError where the operation is over a limit. */
export function checkPrice({ cost, depth }: Price, { costMax, depthMax }: QueryLimits): void {
  if (depth > depthMax) {
    throw new QueryTooComplexError(
      `The query has fields in fields ${depth} deep; ${depthMax} are allowed. Ask in several requests.`,
    );
  }
  if (cost > costMax) {
    throw new QueryTooComplexError(
      `The query costs ${cost}, and ${costMax} is allowed. Ask for smaller pages (first), fewer ids or candidates, or fewer fields, in several requests.`,
      { cost, costMax },
    );
  }
}

/**
 * Prices a validated operation by its arguments and variables. A `first` outside its bounds counts as the bound: the
 * resolver says what is wrong with it.
 *
 * @throws ApiError BAD_USER_INPUT a list of candidates or ids is longer than it may be.
 */
export function priceOperation(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Readonly<Record<string, unknown>>,
): Price {
  return pricedOperation(schema, document, operation, variables).price;
}

function pricedOperation(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Readonly<Record<string, unknown>>,
): { readonly price: Price; readonly isFixed: boolean } {
  const root = schema.getRootType(operation.operation);
  if (!root) return { price: NOTHING, isFixed: true };
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  }
  const pricing = new Pricing(fragments);
  pricing.give(operation, variables);
  const price = pricing.selectionSet(operation.selectionSet, root, 0);
  return { price, isFixed: !pricing.asksVariables };
}

/**
 * Prices the operations of one schema, and those whose price no variable changes only once: recordImpressions, the hot
 * path, is one. (Documents that keep coming are the same objects each time.)
 */
export function createPricer(
  schema: GraphQLSchema,
): (
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Readonly<Record<string, unknown>>,
) => Price {
  const fixed = new WeakMap<OperationDefinitionNode, Price>();
  return (document, operation, variables) => {
    const known = fixed.get(operation);
    if (known !== undefined) return known;
    const { price, isFixed } = pricedOperation(schema, document, operation, variables);
    if (isFixed) fixed.set(operation, price);
    return price;
  };
}

class Pricing {
  /** Whether something was asked of a variable. */
  asksVariables = false;
  private readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  /** By their names, which callers choose: a Map has none of its own. */
  private readonly given = new Map<string, unknown>();
  /** A selection set has one price for each page size around it: a fragment is priced once, however often it is spread. */
  private readonly known = new Map<SelectionSetNode, Map<number, Price>>();
  /** The list of one variable may stand in many fields. */
  private readonly knownLong = new Map<unknown, number>();

  constructor(fragments: ReadonlyMap<string, FragmentDefinitionNode>) {
    this.fragments = fragments;
  }

  /** The variables that the fields ask for. */
  give(
    { variableDefinitions = [] }: OperationDefinitionNode,
    variables: Readonly<Record<string, unknown>>,
  ): void {
    for (const { variable, defaultValue } of variableDefinitions) {
      const name = variable.name.value;
      if (Object.hasOwn(variables, name)) this.given.set(name, variables[name]);
      else if (defaultValue !== undefined) this.given.set(name, this.valueOf(defaultValue));
    }
  }

  /** @param pageSize `first` of the connection that these are the fields of, else 0. */
  selectionSet(set: SelectionSetNode, type: GraphQLObjectType, pageSize: number): Price {
    let bySize = this.known.get(set);
    if (bySize === undefined) {
      bySize = new Map();
      this.known.set(set, bySize);
    }
    const known = bySize.get(pageSize);
    if (known !== undefined) return known;
    const price = this.sum(set, type, pageSize);
    bySize.set(pageSize, price);
    return price;
  }

  private sum({ selections }: SelectionSetNode, type: GraphQLObjectType, pageSize: number): Price {
    const sum = { cost: 0, depth: 0, selections: 0 };
    for (const selection of selections) {
      let price: Price;
      if (selection.kind === Kind.FIELD) {
        price = this.field(selection, type, pageSize);
      } else {
        const set =
          selection.kind === Kind.INLINE_FRAGMENT
            ? selection.selectionSet
            : this.fragments.get(selection.name.value)?.selectionSet;
        const inner = set === undefined ? NOTHING : this.selectionSet(set, type, pageSize);
        price = { ...inner, cost: 1 + inner.cost, selections: 1 + inner.selections };
      }
      sum.cost = bounded(sum.cost + price.cost);
      sum.selections = bounded(sum.selections + price.selections);
      sum.depth = Math.max(sum.depth, price.depth);
    }
    return sum;
  }

  private field(node: FieldNode, parent: GraphQLObjectType, pageSize: number): Price {
    const field = fieldOf(parent, node.name.value);
    if (field === undefined) return NOTHING;
    const isList = isListType(getNullableType(field.type));
    const asked = this.size(field, node, "first", PAGE_SIZE_MAX);
    const first = asked === null ? null : Math.min(asked, PAGE_SIZE_MAX);
    const candidates = this.size(field, node, "candidates", CANDIDATES_MAX);
    const ids = isList ? this.size(field, node, "ids", NODES_MAX) : null;
    // Before the execution, which would look at the list again for each user.
    if (candidates !== null) checkCandidateCount(candidates);
    if (ids !== null) checkNodeCount(ids);
    const weight = candidates === null ? null : candidates + this.longCandidates(node);
    const rows = first ?? weight ?? OTHER_READS.get(`${parent.name}.${field.name}`);
    const reads = rows === undefined ? 0 : READ_COST + rows;
    const type = getNamedType(field.type);
    const items = isList ? (rows ?? ids ?? (pageSize === 0 ? unsizedLengthOf(type) : pageSize)) : 0;
    const inner =
      node.selectionSet !== undefined && isObjectType(type)
        ? this.selectionSet(node.selectionSet, type, first ?? 0)
        : NOTHING;
    return {
      cost: bounded(1 + reads + items + (isList ? items : 1) * inner.cost),
      depth: 1 + inner.depth,
      selections: 1 + inner.selections,
    };
  }

  /** What candidates of more than CANDIDATE_BYTES add to their number. */
  private longCandidates(node: FieldNode): number {
    const argument = node.arguments?.find((given) => given.name.value === "candidates");
    const value = argument === undefined ? undefined : this.valueOf(argument.value);
    const known = this.knownLong.get(value);
    if (known !== undefined) return known;
    let more = 0;
    for (const text of Array.isArray(value) ? value : [value])
      if (typeof text === "string")
        more += Math.max(Math.ceil(Buffer.byteLength(text) / CANDIDATE_BYTES), 1) - 1;
    this.knownLong.set(value, more);
    return more;
  }

  /**
   * What an argument asks for: a number, or the length of a list; null where there is no such argument.
   *
   * @param unknown what counts where the size is unknown: as much as can be asked for.
   */
  private size(
    field: GraphQLField<unknown, unknown>,
    node: FieldNode,
    name: string,
    unknown: number,
  ): number | null {
    const definition = field.args.find((argument) => argument.name === name);
    if (definition === undefined) return null;
    const argument = node.arguments?.find((given) => given.name.value === name);
    let value: unknown = argument === undefined ? undefined : this.valueOf(argument.value);
    value ??= definition.defaultValue;
    const isText = typeof value === "string" || typeof value === "number";
    if (isListType(getNullableType(definition.type))) {
      if (Array.isArray(value)) return value.length;
      // A single id stands for a list of one.
      return isText ? 1 : unknown;
    }
    const count = isText ? Math.trunc(Math.max(Number(value), 1)) : Number.NaN;
    return Number.isNaN(count) ? unknown : count;
  }

  /** Of a literal as far as its size matters: its text, null, or a list of these; undefined where it says nothing. */
  private valueOf(node: ValueNode): unknown {
    switch (node.kind) {
      case Kind.VARIABLE:
        this.asksVariables = true;
        return this.given.get(node.name.value);
      case Kind.LIST:
        return node.values.map((item) => this.valueOf(item));
      case Kind.NULL:
        return null;
      case Kind.OBJECT:
        return undefined;
      default:
        return node.value;
    }
  }
}

const NOTHING: Price = { cost: 0, depth: 0, selections: 0 };

function fieldOf(type: GraphQLObjectType, name: string): GraphQLField<unknown, unknown> | undefined {
  switch (name) {
    case SchemaMetaFieldDef.name:
      return SchemaMetaFieldDef;
    case TypeMetaFieldDef.name:
      return TypeMetaFieldDef;
    case TypeNameMetaFieldDef.name:
      return TypeNameMetaFieldDef;
    default:
      return type.getFields()[name];
  }
}

function unsizedLengthOf(type: GraphQLNamedType): number {
  return type.name.startsWith("__") ? INTROSPECTION_LIST_LENGTH : UNSIZED_LIST_LENGTH;
}

function bounded(count: number): number {
  return Math.min(count, Number.MAX_SAFE_INTEGER);
}
