import {
  type GraphQLInputType,
  type GraphQLNullableType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isRequiredInputField,
} from "graphql";
import type { Random } from "./random.ts";

export interface RandomInputOptions {
  /** The ids of the questions; some may be invalid. */
  readonly ids: readonly string[];
  /** Bounds of `first`. */
  readonly firstMin: number;
  readonly firstMax: number;
  /** Instants lie around it. */
  readonly nowMs: number;
}

/** A place for a value: an argument, or a field of an input object. */
interface Place {
  readonly name: string;
  readonly type: GraphQLInputType;
  readonly defaultValue?: unknown;
}

interface Declared {
  readonly place: string;
  /** Its type and its default, as they are written. */
  readonly text: string;
  /** Undefined: the request leaves it out. */
  readonly value: unknown;
}

/** The source of the values of a place. */
interface Source {
  /** Of the place; places with the same one may share a variable. */
  readonly place: string;
  /** Without its exclamation mark. */
  readonly type: string;
  readonly isRequired: boolean;
  readonly hasDefault: boolean;
  literal(): string;
  value(): unknown;
}

/** Random values of one operation: as literals, as variables, and as literals that hold variables. */
export class RandomInput {
  private readonly random: Random;
  private readonly names: readonly string[];
  private readonly options: RandomInputOptions;
  private readonly declared = new Map<string, Declared>();

  constructor(random: Random, names: readonly string[], options: RandomInputOptions) {
    this.random = random;
    this.names = names;
    this.options = options;
  }

  /** "" where there are none. */
  declarations(): string {
    const all = [...this.declared].map(([name, { text }]) => `$${name}: ${text}`);
    return all.length === 0 ? "" : `(${all.join(", ")})`;
  }

  variables(): Record<string, unknown> {
    const given = [...this.declared].filter(([, { value }]) => value !== undefined);
    return Object.fromEntries(given.map(([name, { value }]) => [name, value]));
  }

  /** The text of a condition's `if`. */
  condition(): string {
    const { random } = this;
    const value = () => random.chance(0.5);
    if (random.chance(0.15)) return String(value());
    return this.variable({
      place: "if",
      type: "Boolean",
      isRequired: true,
      hasDefault: false,
      literal: () => String(value()),
      value,
    });
  }

  /** The text of a value for this place. */
  valueFor({ name, type, defaultValue }: Place): string {
    const { random } = this;
    const bare = nullable(type);
    const isRequired = isNonNullType(type);
    if (!random.chance(0.5))
      return !isRequired && random.chance(0.1) ? "null" : this.literal(name, bare, true);
    const hasDefault = defaultValue !== undefined;
    return this.variable({
      place: `${name} ${type} ${hasDefault}`,
      type: String(bare),
      isRequired,
      hasDefault,
      literal: () => this.literal(name, bare, false),
      value: () => (random.chance(0.03) ? this.misfit() : this.json(name, bare)),
    });
  }

  /** Declares one, or takes one that was declared. */
  private variable(source: Source): string {
    const { random, declared } = this;
    const known = [...declared].filter(([, { place }]) => place === source.place);
    if (known.length > 0 && random.chance(0.6)) return `$${random.pick(known)[0]}`;
    const free = this.names.filter((name) => !declared.has(name));
    const name = free.length > 0 ? random.pick(free) : `v${declared.size}`;
    const hasOwnDefault = random.chance(0.35);
    // What may be null may stand where null may not, as long as either of them has a default.
    const isStrict = (source.isRequired && !hasOwnDefault && !source.hasDefault) || random.chance(0.3);
    const leftOut = (!isStrict || hasOwnDefault) && random.chance(0.4);
    const isNull = random.chance(isStrict ? 0.01 : 0.12);
    declared.set(name, {
      place: source.place,
      text: `${source.type}${isStrict ? "!" : ""}${hasOwnDefault ? ` = ${source.literal()}` : ""}`,
      value: leftOut ? undefined : isNull ? null : source.value(),
    });
    return `$${name}`;
  }

  private literal(name: string, type: GraphQLNullableType, holdsVariables: boolean): string {
    const { random } = this;
    const inner = (place: Place) =>
      holdsVariables ? this.valueFor(place) : this.literal(place.name, nullable(place.type), false);
    if (isListType(type)) {
      const item = type.ofType as GraphQLInputType;
      if (random.chance(0.15)) return this.literal(name, nullable(item), holdsVariables);
      return `[${Array.from({ length: random.integer(0, 3) }, () => inner({ name, type: item })).join(", ")}]`;
    }
    if (isInputObjectType(type)) {
      const fields = Object.values(type.getFields())
        .filter((field) => isRequiredInputField(field) || random.chance(0.5))
        .map((field) => `${field.name}: ${inner(field)}`);
      return `{ ${random.shuffle(fields).join(", ")} }`;
    }
    const value = this.json(name, type);
    return isEnumType(type) ? String(value) : JSON.stringify(value);
  }

  private json(name: string, type: GraphQLNullableType): unknown {
    const { random } = this;
    if (isListType(type)) {
      const item = nullable(type.ofType as GraphQLInputType);
      if (random.chance(0.15)) return this.json(name, item);
      return Array.from({ length: random.integer(0, 3) }, () => this.json(name, item));
    }
    if (isInputObjectType(type)) {
      const fields = Object.values(type.getFields())
        .filter((field) => isRequiredInputField(field) || random.chance(0.5))
        .map((field) => {
          const isNull = !isNonNullType(field.type) && random.chance(0.2);
          return [field.name, isNull ? null : this.json(field.name, nullable(field.type))] as const;
        });
      return Object.fromEntries(random.shuffle(fields));
    }
    if (isEnumType(type)) return random.pick(type.getValues()).name;
    return this.scalar(name, String(type));
  }

  private scalar(name: string, type: string): unknown {
    const { random } = this;
    const { ids, firstMin, firstMax, nowMs } = this.options;
    switch (type) {
      case "Int":
        return name === "first" ? random.integer(firstMin, firstMax) : random.integer(0, 3);
      case "Boolean":
        return random.chance(0.5);
      case "DateTime":
        return new Date(nowMs - random.integer(-2, 40) * 1_000).toISOString();
      case "ID":
        return random.pick(ids);
      default:
        return random.pick(["HOME", "SEARCH", ""]);
    }
  }

  private misfit(): unknown {
    return this.random.pick<unknown>([1.5, "x", true, {}, [[null]], { constructor: 1 }, [null], -1, 7]);
  }
}

function nullable(type: GraphQLInputType): GraphQLNullableType {
  return isNonNullType(type) ? type.ofType : type;
}
