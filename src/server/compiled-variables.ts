import {
  astFromValue,
  type ConstValueNode,
  type GraphQLEnumType,
  type GraphQLInputObjectType,
  type GraphQLInputType,
  type GraphQLScalarType,
  type GraphQLSchema,
  isEnumType,
  isInputObjectType,
  isInputType,
  isListType,
  isNonNullType,
  isRequiredInputField,
  Kind,
  type OperationDefinitionNode,
  typeFromAST,
  valueFromASTUntyped,
  visit,
} from "graphql";

export type Variables = Readonly<Record<string, unknown>>;

/**
 * The variables of a request as a compiled query may have them: every default filled in. Null where they do not fit what
 * the operation declares.
 */
export type PrepareVariables = (variables: Variables) => Variables | null;

/**
 * graphql-jit reads variables by itself, with two faults that this keeps from it: it describes every wrong value (300 ms
 * for 500 bad impressions, where graphql-js stops after a few, 14 ms), and it misses defaults of what must not be null.
 * So this stops at the first value that does not fit, and graphql-js describes it.
 */
export function createPrepareVariables(
  schema: GraphQLSchema,
  operation: OperationDefinitionNode,
): PrepareVariables {
  const fitter = createFitter();
  const declared = (operation.variableDefinitions ?? []).map((definition) => {
    const type = typeFromAST(schema, definition.type);
    if (!isInputType(type)) throw new Error("a validated operation declares variables of input types only");
    const fitOne = fitter(type);
    return {
      name: definition.variable.name.value,
      fitOne,
      required: isNonNullType(type),
      defaultValue:
        definition.defaultValue === undefined ? undefined : fitOne(asSent(definition.defaultValue)),
    };
  });
  return (variables) => {
    const prepared: Record<string, unknown> = {};
    for (const { name, fitOne, required, defaultValue } of declared) {
      if (Object.hasOwn(variables, name)) {
        const value = variables[name];
        // A null in place of a default may reach where no null may be; graphql-js finds out.
        if (value === null && defaultValue !== undefined) return null;
        const fitting = fitOne(value);
        if (fitting === MISFIT) return null;
        prepared[name] = fitting;
      } else if (defaultValue !== undefined) {
        if (defaultValue === MISFIT) return null;
        prepared[name] = defaultValue;
      } else if (required) {
        return null;
      }
    }
    return prepared;
  };
}

/** A literal as a client would have sent it: an id beyond 2^53 - 1, which a number rounds, as a text. */
function asSent(literal: ConstValueNode): unknown {
  return valueFromASTUntyped(
    visit(literal, {
      IntValue: (node) =>
        Number.isSafeInteger(Number(node.value)) ? undefined : { ...node, kind: Kind.STRING },
    }),
  );
}

const MISFIT = Symbol("misfit");

/** The value with defaults filled in, the same object where there are none to fill; MISFIT where it is of another type. */
type Fit = (value: unknown) => unknown;

/**
 * Makes the check of each type once. What a type is, is asked then and not for each value: with that, ten impressions took
 * 43 us, several times as long as the mutation itself.
 */
function createFitter(): (type: GraphQLInputType) => Fit {
  const known = new Map<GraphQLInputType, Fit>();
  function fitter(type: GraphQLInputType): Fit {
    const made = known.get(type);
    if (made !== undefined) return made;
    let fitted: Fit = () => MISFIT;
    // An input type may contain itself.
    known.set(type, (value) => fitted(value));
    fitted = make(type);
    known.set(type, fitted);
    return fitted;
  }
  function make(type: GraphQLInputType): Fit {
    if (isNonNullType(type)) {
      const inner = fitter(type.ofType);
      return (value) => (value === null || value === undefined ? MISFIT : inner(value));
    }
    const inner = makeNullable(type);
    return (value) => (value === null || value === undefined ? value : inner(value));
  }
  function makeNullable(type: GraphQLInputType): Fit {
    if (isListType(type)) return fitList(fitter(type.ofType));
    if (isInputObjectType(type)) return fitObject(type, fitter);
    if (isEnumType(type)) return fitEnum(type);
    return fitScalar(type as GraphQLScalarType);
  }
  return fitter;
}

/** A single value stands for a list of one. */
function fitList(fitItem: Fit): Fit {
  return (value) => {
    if (!Array.isArray(value)) return fitItem(value);
    let filled: unknown[] | undefined;
    for (let index = 0; index < value.length; index++) {
      const item: unknown = value[index];
      const fitting = fitItem(item);
      if (fitting === MISFIT) return MISFIT;
      if (fitting === item) continue;
      filled ??= [...value];
      filled[index] = fitting;
    }
    return filled ?? value;
  };
}

function fitObject(type: GraphQLInputObjectType, fitter: (type: GraphQLInputType) => Fit): Fit {
  const fields = Object.values(type.getFields());
  const fits = new Map(fields.map((field) => [field.name, fitter(field.type)] as const));
  const required = fields.filter(isRequiredInputField).map(({ name }) => name);
  const defaults = fields
    .filter(({ defaultValue }) => defaultValue !== undefined)
    .map((field) => [field.name, outside(field.defaultValue, field.type)] as const);
  return (value) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return MISFIT;
    const given = value as Readonly<Record<string, unknown>>;
    let filled: Record<string, unknown> | undefined;
    for (const name of Object.keys(given)) {
      const fitField = fits.get(name);
      if (fitField === undefined) return MISFIT;
      const item = given[name];
      const fitting = fitField(item);
      if (fitting === MISFIT) return MISFIT;
      if (fitting === item) continue;
      filled ??= { ...given };
      filled[name] = fitting;
    }
    for (const name of required) if (!Object.hasOwn(given, name)) return MISFIT;
    for (const [name, defaultValue] of defaults) {
      if (Object.hasOwn(given, name)) continue;
      filled ??= { ...given };
      filled[name] = defaultValue;
    }
    return filled ?? given;
  };
}

/** A default of the schema as a client would have sent it. */
function outside(value: unknown, type: GraphQLInputType): unknown {
  const literal = astFromValue(value, type);
  return literal ? valueFromASTUntyped(literal) : null;
}

function fitEnum(type: GraphQLEnumType): Fit {
  return (value) => (typeof value === "string" && type.getValue(value) !== undefined ? value : MISFIT);
}

function fitScalar(type: GraphQLScalarType): Fit {
  if (type.name === "Int") return fitInt;
  const takesText = type.name === "ID" || type.name === "String";
  return (value) => {
    // The usual case, without the frame of a try.
    if (takesText && typeof value === "string") return value;
    try {
      return type.parseValue(value) === undefined ? MISFIT : value;
    } catch {
      return MISFIT;
    }
  };
}

/** The compiler knows no Int beyond 32 bits; the schema's takes them (resolvers/scalars/json-numbers.ts). */
function fitInt(value: unknown): unknown {
  return typeof value === "number" && (value | 0) === value ? value : MISFIT;
}
