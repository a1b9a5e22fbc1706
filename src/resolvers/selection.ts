import { BREAK, type GraphQLResolveInfo, type OperationDefinitionNode, visit } from "graphql";

/** The operation that a field is resolved for. */
export type OperationOfField = Pick<GraphQLResolveInfo, "operation" | "fragments">;

/** Operations are kept by their documents' cache, and with them what they select. */
const known = new WeakMap<OperationDefinitionNode, boolean>();

/**
 * Whether the operation, or a fragment beside it, selects a field `views` anywhere: counting them costs a walk the most.
 * Which of several walks it belongs to is not told apart.
 */
export function selectsViews({ operation, fragments }: OperationOfField): boolean {
  const before = known.get(operation);
  if (before !== undefined) return before;
  let found = false;
  for (const definition of [operation, ...Object.values(fragments)]) {
    visit(definition, {
      Field(field) {
        if (field.name.value !== "views") return undefined;
        found = true;
        return BREAK;
      },
    });
  }
  known.set(operation, found);
  return found;
}
