import type { DocumentNode, ExecutionResult, GraphQLSchema, OperationDefinitionNode } from "graphql";
import { compileQuery, isCompiledQuery } from "graphql-jit";
import type { RequestContext } from "../resolvers/context.ts";
import { priceOperation } from "../resolvers/query-cost.ts";
import { createPrepareVariables, type PrepareVariables, type Variables } from "./compiled-variables.ts";
import { COMPILED_QUERIES_MAX, COMPILED_SELECTIONS_MAX, SIGHTINGS_TO_COMPILE } from "./limits.ts";

export interface CompiledOperation {
  readonly prepare: PrepareVariables;
  /** @param variables as `prepare` returns them. */
  run(context: RequestContext, variables: Variables): Promise<ExecutionResult> | ExecutionResult;
}

/** The compiled form of operations that keep coming, a bounded number of them; the least recently used leave first. */
export interface CompiledQueries {
  /** Null where the operation is not compiled. */
  known(operation: OperationDefinitionNode): CompiledOperation | null;
  /** As `known`, and counts the sighting: what was seen often enough is compiled, unless it is too large or cannot be. */
  find(document: DocumentNode, operation: OperationDefinitionNode): CompiledOperation | null;
}

/**
 * Documents are the ones of the document store, the same object each time a text comes again; what is not stored is
 * never seen again, so never compiled.
 */
export function createCompiledQueries(schema: GraphQLSchema): CompiledQueries {
  const sightings = new WeakMap<OperationDefinitionNode, number>();
  const compiled = new Map<OperationDefinitionNode, CompiledOperation>();

  function compile(document: DocumentNode, operation: OperationDefinitionNode): CompiledOperation | null {
    if (priceOperation(schema, document, operation, {}).selections > COMPILED_SELECTIONS_MAX) return null;
    const query = compileQuery(schema, document, operation.name?.value ?? "", {
      // The errors of resolvers have their own stack.
      disablingCapturingStackErrors: true,
    });
    if (!isCompiledQuery(query)) return null;
    return {
      prepare: createPrepareVariables(schema, operation),
      run: (context, variables) => query.query(undefined, context, variables),
    };
  }

  function known(operation: OperationDefinitionNode): CompiledOperation | null {
    const query = compiled.get(operation);
    if (query === undefined) return null;
    compiled.delete(operation);
    compiled.set(operation, query);
    return query;
  }

  return {
    known,
    find(document, operation) {
      const query = known(operation);
      if (query !== null) return query;
      const seen = (sightings.get(operation) ?? 0) + 1;
      sightings.set(operation, seen);
      if (seen !== SIGHTINGS_TO_COMPILE) return null;
      const fresh = compile(document, operation);
      if (fresh === null) return null;
      // One that was pushed out is compiled again when it has come as often again.
      compiled.set(operation, fresh);
      sightings.delete(operation);
      for (const oldest of compiled.keys()) {
        if (compiled.size <= COMPILED_QUERIES_MAX) break;
        compiled.delete(oldest);
      }
      return fresh;
    },
  };
}
