import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLField,
  type GraphQLLeafType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  OperationTypeNode,
  type SelectionNode,
  type SelectionSetNode,
  TypeNameMetaFieldDef,
} from "graphql";
import { type ArgumentsOf, compileArguments } from "./compiled-arguments.ts";
import { type CoerceVariables, createVariableCompiler } from "./compiled-variables.ts";
import { COMPILED_SELECTIONS_MAX } from "./limits.ts";

/** An operation with everything looked up that graphql-js looks up anew in each execution; see compiled-run.ts. */
export interface CompiledOperation {
  readonly coerce: CoerceVariables;
  readonly fields: readonly CompiledField[];
  /** Selections, fragments spelled out where they are spread: what it takes in memory grows with them. */
  readonly selections: number;
  /** For resolvers that ask. */
  readonly schema: GraphQLSchema;
  readonly fragments: Readonly<Record<string, FragmentDefinitionNode>>;
  readonly operation: OperationDefinitionNode;
}

/** One member of an answer's object. */
export interface CompiledField {
  readonly responseName: string;
  readonly parentType: GraphQLObjectType;
  readonly definition: GraphQLField<unknown, unknown>;
  /** Every selection of it, for the locations of its errors. */
  readonly nodes: readonly FieldNode[];
  readonly type: CompiledType;
  readonly argumentsOf: ArgumentsOf;
}

export type CompiledType = { readonly isNonNull: boolean } & (
  | { readonly kind: "leaf"; readonly leaf: GraphQLLeafType }
  | { readonly kind: "list"; readonly item: CompiledType }
  | { readonly kind: "object"; readonly fields: readonly CompiledField[] }
);

/** Null where it is an operation of those that stay interpreted. */
export type CompileOperation = (
  document: DocumentNode,
  operation: OperationDefinitionNode,
) => CompiledOperation | null;

/**
 * Makes the function that compiles validated operations of a schema.
 *
 * Compiled are operations whose answers have the same members whatever the variables are, over types that are known before
 * anything is resolved: no `@skip`, no `@include`, no introspection beyond `__typename`, no interfaces and unions. What
 * is collected once is then what graphql-js collects in every execution. Everything else is graphql-js's.
 */
export function createCompiler(schema: GraphQLSchema): CompileOperation {
  const compileVariables = createVariableCompiler(schema);
  return (document, operation) => {
    const root = schema.getRootType(operation.operation);
    if (!root) return null;
    const compiler = new SelectionCompiler(document);
    try {
      const fields = compiler.fieldsOf(root, [operation.selectionSet]);
      // The fields of a mutation run one after the other; compiled ones would not.
      if (operation.operation !== OperationTypeNode.QUERY && fields.length > 1) return null;
      const { fragments, selections } = compiler;
      return { coerce: compileVariables(operation), fields, selections, schema, fragments, operation };
    } catch (error) {
      if (error === NOT_COMPILED) return null;
      throw error;
    }
  };
}

const NOT_COMPILED = new Error("this stays interpreted");

class SelectionCompiler {
  readonly fragments: Record<string, FragmentDefinitionNode> = Object.create(null);
  selections = 0;

  constructor(document: DocumentNode) {
    for (const definition of document.definitions) {
      if (definition.kind === Kind.FRAGMENT_DEFINITION) this.fragments[definition.name.value] = definition;
    }
  }

  /** @param sets of all selections of one field: they are merged. */
  fieldsOf(type: GraphQLObjectType, sets: readonly SelectionSetNode[]): CompiledField[] {
    if (type.isTypeOf) throw NOT_COMPILED;
    const collected = new Map<string, FieldNode[]>();
    const spread = new Set<string>();
    for (const set of sets) this.collect(type, set, collected, spread);
    return [...collected].map(([responseName, nodes]) => this.compileField(type, responseName, nodes));
  }

  private collect(
    type: GraphQLObjectType,
    { selections }: SelectionSetNode,
    collected: Map<string, FieldNode[]>,
    spread: Set<string>,
  ): void {
    for (const selection of selections) {
      if (++this.selections > COMPILED_SELECTIONS_MAX || isConditional(selection)) throw NOT_COMPILED;
      switch (selection.kind) {
        case Kind.FIELD: {
          const responseName = (selection.alias ?? selection.name).value;
          const nodes = collected.get(responseName);
          if (nodes === undefined) collected.set(responseName, [selection]);
          else nodes.push(selection);
          break;
        }
        case Kind.INLINE_FRAGMENT:
          this.collectFragment(type, selection, collected, spread);
          break;
        case Kind.FRAGMENT_SPREAD: {
          const name = selection.name.value;
          if (spread.has(name)) break;
          spread.add(name);
          this.collectFragment(type, this.fragments[name], collected, spread);
        }
      }
    }
  }

  private collectFragment(
    type: GraphQLObjectType,
    fragment: Pick<Partial<FragmentDefinitionNode>, "typeCondition" | "selectionSet"> | undefined,
    collected: Map<string, FieldNode[]>,
    spread: Set<string>,
  ): void {
    if (fragment?.selectionSet === undefined) throw NOT_COMPILED;
    if (fragment.typeCondition !== undefined && fragment.typeCondition.name.value !== type.name)
      throw NOT_COMPILED;
    this.collect(type, fragment.selectionSet, collected, spread);
  }

  private compileField(
    parentType: GraphQLObjectType,
    responseName: string,
    nodes: readonly FieldNode[],
  ): CompiledField {
    const [node] = nodes;
    // Answers are plain objects, of which it would become the prototype.
    if (node === undefined || responseName === "__proto__") throw NOT_COMPILED;
    const definition = definitionOf(parentType, node.name.value);
    return {
      responseName,
      parentType,
      definition,
      nodes,
      type: this.compileType(definition.type, nodes),
      argumentsOf: compileArguments(definition, node),
    };
  }

  private compileType(type: GraphQLOutputType, nodes: readonly FieldNode[], isNonNull = false): CompiledType {
    if (isNonNullType(type)) return this.compileType(type.ofType, nodes, true);
    if (isListType(type)) return { isNonNull, kind: "list", item: this.compileType(type.ofType, nodes) };
    if (isLeafType(type)) return { isNonNull, kind: "leaf", leaf: type };
    if (!isObjectType(type)) throw NOT_COMPILED;
    const sets = nodes.flatMap(({ selectionSet }) => selectionSet ?? []);
    return { isNonNull, kind: "object", fields: this.fieldsOf(type, sets) };
  }
}

function isConditional({ directives = [] }: SelectionNode): boolean {
  return directives.length > 0;
}

function definitionOf(type: GraphQLObjectType, name: string): GraphQLField<unknown, unknown> {
  if (name === TypeNameMetaFieldDef.name) return TypeNameMetaFieldDef;
  const definition = type.getFields()[name];
  if (definition === undefined) throw NOT_COMPILED;
  return definition;
}
