import {
  defaultFieldResolver,
  type ExecutionResult,
  type GraphQLError,
  type GraphQLResolveInfo,
  locatedError,
} from "graphql";
import type { RequestContext } from "../resolvers/context.ts";
import type { CompiledField, CompiledOperation, CompiledType } from "./compiled-operation.ts";
import type { Variables } from "./compiled-variables.ts";

/**
 * Executes a compiled operation step by step as graphql-js 16 does (`execution/execute.js`): what is resolved when, which
 * promises are waited for, where an error makes its parent null, and which errors are reported once something is null.
 *
 * @param variables as the operation's `coerce` returned them.
 */
export function runCompiled(
  operation: CompiledOperation,
  context: RequestContext,
  variables: Variables,
): Promise<ExecutionResult> | ExecutionResult {
  return new Run(operation, context, variables).answer();
}

type Path = NonNullable<GraphQLResolveInfo["path"]>;
type Members = Record<string, unknown>;

class Run {
  private readonly compiled: CompiledOperation;
  private readonly context: RequestContext;
  private readonly variables: Variables;
  private readonly errors: GraphQLError[] = [];
  /** Where the answer is null for an error; undefined: all of it is. */
  private nulled: Set<Path | undefined> | null = null;

  constructor(compiled: CompiledOperation, context: RequestContext, variables: Variables) {
    this.compiled = compiled;
    this.context = context;
    this.variables = variables;
  }

  answer(): Promise<ExecutionResult> | ExecutionResult {
    const whole = (data: Members | null): ExecutionResult =>
      this.errors.length === 0 ? { data } : { errors: this.errors, data };
    const nothing = (error: unknown) => {
      // Whatever a field throws was located.
      this.tell(error as GraphQLError, undefined);
      return whole(null);
    };
    try {
      const data = this.members(this.compiled.fields, undefined, undefined);
      return isPromise(data) ? data.then(whole, nothing) : whole(data);
    } catch (error) {
      return nothing(error);
    }
  }

  private members(
    fields: readonly CompiledField[],
    source: unknown,
    path: Path | undefined,
  ): Members | Promise<Members> {
    const members: Members = {};
    let waits = false;
    try {
      for (const field of fields) {
        const value = this.member(field, source, path);
        members[field.responseName] = value;
        if (isPromise(value)) waits = true;
      }
    } catch (error) {
      if (!waits) throw error;
      // What the fields before it promised may be rejected, too.
      return allResolved(members).finally(() => {
        throw error;
      });
    }
    return waits ? allResolved(members) : members;
  }

  private member(field: CompiledField, source: unknown, parent: Path | undefined): unknown {
    const { responseName, parentType, type } = field;
    const path = { prev: parent, key: responseName, typename: parentType.name };
    let result: unknown;
    try {
      result = this.resolve(field, source, path);
    } catch (error) {
      return this.failed(error, field, type, path);
    }
    return this.completed(field, type, result, path);
  }

  private resolve(field: CompiledField, source: unknown, path: Path): unknown {
    const { definition } = field;
    if (definition.resolve === undefined && typeof source === "object" && source !== null) {
      const property = (source as Members)[definition.name];
      if (typeof property !== "function") return property;
    }
    const { resolve = defaultFieldResolver } = definition;
    return resolve(source, field.argumentsOf(this.variables), this.context, this.infoOf(field, path));
  }

  private infoOf({ definition, nodes, parentType }: CompiledField, path: Path): GraphQLResolveInfo {
    const { schema, fragments, operation } = this.compiled;
    return {
      fieldName: definition.name,
      fieldNodes: nodes,
      returnType: definition.type,
      parentType,
      path,
      schema,
      fragments,
      rootValue: undefined,
      operation,
      variableValues: this.variables,
    };
  }

  private complete(field: CompiledField, type: CompiledType, value: unknown, path: Path): unknown {
    if (value instanceof Error) throw value;
    if (value === null || value === undefined) {
      if (!type.isNonNull) return null;
      const { parentType, definition } = field;
      throw new Error(`Cannot return null for non-nullable field ${parentType.name}.${definition.name}.`);
    }
    switch (type.kind) {
      case "leaf": {
        const serialized: unknown = type.leaf.serialize(value);
        if (serialized !== null && serialized !== undefined) return serialized;
        throw new Error(`${type.leaf.name} serialized a value to nothing.`);
      }
      case "object":
        return this.members(type.fields, value, path);
      case "list":
        return this.items(field, type.item, value, path);
    }
  }

  private items(field: CompiledField, type: CompiledType, list: unknown, path: Path): unknown {
    if (!isIterableObject(list)) {
      const { parentType, definition } = field;
      throw new Error(
        `Expected Iterable, but did not find one for field "${parentType.name}.${definition.name}".`,
      );
    }
    const items: unknown[] = [];
    let waits = false;
    try {
      for (const item of list) {
        const itemPath = { prev: path, key: items.length, typename: undefined };
        const value = this.completed(field, type, item, itemPath);
        items.push(value);
        if (isPromise(value)) waits = true;
      }
    } catch (error) {
      // graphql-js leaves these to themselves: whatever is rejected then would end the process.
      for (const item of items) if (isPromise(item)) item.then(undefined, () => undefined);
      throw error;
    }
    return waits ? Promise.all(items) : items;
  }

  /** What was resolved, or will be, as the type has it; null for an error where the type allows that. */
  private completed(field: CompiledField, type: CompiledType, result: unknown, path: Path): unknown {
    try {
      const value = isPromise(result)
        ? result.then((resolved) => this.complete(field, type, resolved, path))
        : this.complete(field, type, result, path);
      return isPromise(value)
        ? value.then(undefined, (error: unknown) => this.failed(error, field, type, path))
        : value;
    } catch (error) {
      return this.failed(error, field, type, path);
    }
  }

  /** Null where the type allows it. @throws the located error where it does not: then the parent is null. */
  private failed(error: unknown, { nodes }: CompiledField, { isNonNull }: CompiledType, path: Path): null {
    const located = locatedError(error, [...nodes], keysOf(path));
    if (isNonNull) throw located;
    this.tell(located, path);
    return null;
  }

  /** Errors inside of a value that is null already are not reported. */
  private tell(error: GraphQLError, path: Path | undefined): void {
    this.nulled ??= new Set();
    for (let place = path; place !== undefined; place = place.prev) {
      if (this.nulled.has(place)) return;
    }
    if (this.nulled.has(undefined)) return;
    this.nulled.add(path);
    this.errors.push(error);
  }
}

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof (value as Partial<Promise<unknown>> | null | undefined)?.then === "function";
}

function isIterableObject(value: unknown): value is Iterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.iterator in value;
}

function keysOf(path: Path): (string | number)[] {
  const keys: (string | number)[] = [];
  for (let place: Path | undefined = path; place !== undefined; place = place.prev) keys.push(place.key);
  return keys.reverse();
}

/** The same members, once all that was promised is there. */
function allResolved(members: Members): Promise<Members> {
  return Promise.all(Object.values(members)).then((values) => {
    const all: Members = {};
    for (const [index, name] of Object.keys(members).entries()) all[name] = values[index];
    return all;
  });
}
