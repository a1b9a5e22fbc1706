import {
  type ASTVisitor,
  type FieldNode,
  Kind,
  OperationTypeNode,
  type SelectionSetNode,
  type ValidationContext,
} from "graphql";
import { ApiError } from "../errors.ts";

/**
 * A validation rule: a mutation operation selects exactly one root field. Limits hold for a request; aliases must not
 * multiply them.
 */
export function OneMutationRule(context: ValidationContext): ASTVisitor {
  return {
    OperationDefinition(node) {
      if (node.operation !== OperationTypeNode.MUTATION) return;
      const fields = rootFields(context, node.selectionSet, new Set());
      if (fields.length <= 1) return;
      const names = fields.slice(0, 5).map((field) => field.alias?.value ?? field.name.value);
      context.reportError(
        new ApiError(
          "BAD_USER_INPUT",
          `A mutation operation runs exactly one mutation; this one has ${fields.length} fields (${names.join(", ")}). ` +
            "Send one request for each.",
        ),
      );
    },
  };
}

function rootFields(
  context: ValidationContext,
  { selections }: SelectionSetNode,
  seenFragments: Set<string>,
): FieldNode[] {
  return selections.flatMap((selection) => {
    if (selection.kind === Kind.FIELD) return [selection];
    if (selection.kind === Kind.INLINE_FRAGMENT)
      return rootFields(context, selection.selectionSet, seenFragments);
    const name = selection.name.value;
    const fragment = context.getFragment(name);
    // A fragment that is spread twice adds nothing, and one that spreads itself is another rule's business.
    if (!fragment || seenFragments.has(name)) return [];
    seenFragments.add(name);
    return rootFields(context, fragment.selectionSet, seenFragments);
  });
}
