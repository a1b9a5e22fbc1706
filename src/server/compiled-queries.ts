import type { DocumentNode, GraphQLSchema, OperationDefinitionNode } from "graphql";
import { LRUCache } from "lru-cache";
import { type CompiledOperation, createCompiler } from "./compiled-operation.ts";
import {
  COMPILED_BYTES_MAX,
  COMPILED_SELECTION_BYTES,
  DOCUMENT_BYTES_A_CHARACTER,
  GOOD_ANSWERS_TO_COMPILE,
} from "./limits.ts";

/** The compiled form of operations that keep coming, COMPILED_BYTES_MAX of them; the least recently used leave first. */
export interface CompiledQueries {
  /** Null where the operation is not compiled. */
  find(operation: OperationDefinitionNode): CompiledOperation | null;
  /**
   * Tells that an operation was answered without an error: GOOD_ANSWERS_TO_COMPILE of them, and it is compiled if it can
   * be. Who gets errors alone, for what they may not read for example, makes nothing here.
   */
  answeredWell(document: DocumentNode, operation: OperationDefinitionNode): void;
}

/**
 * Documents are the ones of the document store, the same object each time a text comes again; what is not stored is
 * never seen again, so never compiled.
 */
export function createCompiledQueries(schema: GraphQLSchema): CompiledQueries {
  const compile = createCompiler(schema);
  const goodAnswers = new WeakMap<OperationDefinitionNode, number>();
  const kept = new LRUCache<OperationDefinitionNode, CompiledOperation>({ maxSize: COMPILED_BYTES_MAX });

  return {
    find: (operation) => kept.get(operation) ?? null,
    answeredWell(document, operation) {
      if (kept.has(operation)) return;
      const answers = (goodAnswers.get(operation) ?? 0) + 1;
      goodAnswers.set(operation, answers);
      // One that cannot be compiled is not tried again.
      if (answers !== GOOD_ANSWERS_TO_COMPILE) return;
      const compiled = compile(document, operation);
      if (compiled === null) return;
      // One that was pushed out is compiled again when it was answered as often again.
      goodAnswers.delete(operation);
      kept.set(operation, compiled, { size: bytesOf(document, compiled) });
    },
  };
}

function bytesOf({ loc }: DocumentNode, { selections }: CompiledOperation): number {
  const characters = loc === undefined ? 0 : loc.end - loc.start;
  return characters * DOCUMENT_BYTES_A_CHARACTER + selections * COMPILED_SELECTION_BYTES;
}
