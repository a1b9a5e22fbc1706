import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  isObjectType,
  isRequiredArgument,
  TypeNameMetaFieldDef,
} from "graphql";
import type { Random } from "./random.ts";
import { RandomInput, type RandomInputOptions } from "./random-input.ts";

/** A request as clients send it. */
export interface RandomRequest {
  readonly query: string;
  /** Of any names, each a member of its own. */
  readonly variables: Readonly<Record<string, unknown>>;
  readonly operationName: string | null;
}

export interface RandomRequestOptions extends RandomInputOptions {
  /** Share of requests that are mutations. */
  readonly mutations: number;
}

const USUAL_NAMES = ["a", "b", "c", "n", "input", "first", "name", "A1", "_"];
/** Names that every JavaScript object has, and names that something might take for its own. */
const ODD_NAMES = [
  ...["constructor", "toString", "valueOf", "hasOwnProperty", "isPrototypeOf", "prototype", "__proto__"],
  ...["__defineGetter__", "toLocaleString", "then", "length", "index", "data", "null", "true", "on", "__a"],
];

/** Fields in fields, with inline fragments in between; the deepest ones have leaves only. */
const LEVELS_MAX = 9;

/**
 * A random operation of the schema with its variables: fields selected again and merged, named fragments that are spread once
 * and more, conditions wherever one may stand, aliases, arguments in every form. It is valid.
 */
export function randomRequest(
  schema: GraphQLSchema,
  random: Random,
  options: RandomRequestOptions,
): RandomRequest {
  const names = random.chance(0.5) ? USUAL_NAMES : [...ODD_NAMES, ...USUAL_NAMES.slice(0, 3)];
  const input = new RandomInput(random, names, options);
  const kind = random.chance(options.mutations) ? "mutation" : "query";
  const selections = new RandomSelections(random, names, input);
  const set =
    kind === "query" ? selections.of(schema.getQueryType()) : selections.one(schema.getMutationType());
  const name = random.chance(0.5) ? random.pick(names) : "";
  const another = name !== "" && random.chance(0.1) ? " query Another { __typename }" : "";
  return {
    query: `${kind} ${name}${input.declarations()} ${set}${another}${selections.fragments()}`,
    variables: input.variables(),
    operationName: another !== "" || (name !== "" && random.chance(0.5)) ? name : null,
  };
}

/** The field that a response name stands for. */
interface Slot {
  readonly field: GraphQLField<unknown, unknown>;
  /** Alias, name and arguments. */
  readonly head: string;
}

interface Fragment {
  readonly name: string;
  readonly type: GraphQLObjectType;
  /** Null while it is being written: it may not spread itself. */
  set: string | null;
}

class RandomSelections {
  private readonly random: Random;
  private readonly names: readonly string[];
  private readonly input: RandomInput;
  /** How often there is one where one may be. An operation without any shows faults that conditions would hide. */
  private readonly conditions: number;
  private readonly spreads: number;
  /** By type and response name: the same field with the same arguments all over a document, so that all can be merged. */
  private readonly slots = new Map<GraphQLObjectType, Map<string, Slot>>();
  private readonly written: Fragment[] = [];

  constructor(random: Random, names: readonly string[], input: RandomInput) {
    this.random = random;
    this.names = names;
    this.input = input;
    this.conditions = random.pick([0, 0, 0.2, 0.4]);
    this.spreads = random.pick([0, 0.3, 0.5]);
  }

  of(root: GraphQLObjectType | null | undefined): string {
    if (!root) throw new Error("the schema has no queries");
    return this.set(root, 0);
  }

  /** A mutation operation has one field; the fragment that holds it may be spread twice. */
  one(root: GraphQLObjectType | null | undefined): string {
    if (!root) throw new Error("the schema has no mutations");
    const { random } = this;
    const field = this.field(this.newSlot(root, 0), 0);
    if (!random.chance(this.spreads)) return `{ ${field} }`;
    if (random.chance(0.3)) return `{ ... ${this.condition()} { ${field} } }`;
    const { name } = this.write(root, () => `{ ${field} }`);
    const spread = () => `...${name} ${this.condition()}`;
    return random.chance(0.5) ? `{ ${spread()} }` : `{ ${spread()} ${spread()} }`;
  }

  /** The definitions of the fragments that were spread. */
  fragments(): string {
    return this.written.map(({ name, type, set }) => ` fragment ${name} on ${type.name} ${set}`).join("");
  }

  private set(type: GraphQLObjectType, level: number): string {
    const count = this.random.integer(1, level < 5 ? 4 : 2);
    return `{ ${Array.from({ length: count }, () => this.selection(type, level)).join(" ")} }`;
  }

  private selection(type: GraphQLObjectType, level: number): string {
    const { random } = this;
    if (level >= LEVELS_MAX || !random.chance(this.spreads)) return this.field(this.slot(type, level), level);
    if (random.chance(0.4)) {
      const on = random.chance(0.7) ? `on ${type.name}` : "";
      return `... ${on} ${this.condition()} ${this.set(type, level + 1)}`;
    }
    const known = this.written.filter((fragment) => fragment.type === type && fragment.set !== null);
    const { name } =
      known.length > 0 && random.chance(0.7)
        ? random.pick(known)
        : this.write(type, () => this.set(type, level + 1));
    return `...${name} ${this.condition()}`;
  }

  private write(type: GraphQLObjectType, set: () => string): Fragment {
    const taken = new Set(["on", ...this.written.map(({ name }) => name)]);
    const free = this.names.filter((name) => !taken.has(name));
    const name = free.length > 0 ? this.random.pick(free) : `F${taken.size}`;
    const fragment: Fragment = { name, type, set: null };
    this.written.push(fragment);
    fragment.set = set();
    return fragment;
  }

  private field({ field, head }: Slot, level: number): string {
    const type = getNamedType(field.type);
    return `${head} ${this.condition()} ${isObjectType(type) ? this.set(type, level + 1) : ""}`;
  }

  private condition(): string {
    const { random } = this;
    if (!random.chance(this.conditions)) return "";
    const names = random.chance(0.15) ? ["skip", "include"] : [random.pick(["skip", "include"])];
    return names.map((name) => `@${name}(if: ${this.input.condition()})`).join(" ");
  }

  /** A field to select: often one that was selected before. */
  private slot(type: GraphQLObjectType, level: number): Slot {
    const known = [...(this.slots.get(type)?.values() ?? [])].filter(
      ({ field }) => level < LEVELS_MAX || isLeaf(field),
    );
    return known.length > 0 && this.random.chance(0.4) ? this.random.pick(known) : this.newSlot(type, level);
  }

  private newSlot(type: GraphQLObjectType, level: number): Slot {
    const { random } = this;
    const slots = this.slots.get(type) ?? new Map<string, Slot>();
    this.slots.set(type, slots);
    const fields = Object.values(type.getFields());
    const endsHere = level >= LEVELS_MAX || (level > 4 && random.chance(0.6));
    const choice = endsHere ? fields.filter(isLeaf) : fields;
    const field = choice.length === 0 || random.chance(0.06) ? TypeNameMetaFieldDef : random.pick(choice);
    const response = random.chance(0.3) ? random.pick(this.names) : field.name;
    const alias = response === field.name ? "" : `${response}: `;
    const taken = slots.get(response);
    if (taken !== undefined && (level < LEVELS_MAX || isLeaf(taken.field))) return taken;
    if (taken !== undefined) return { field: TypeNameMetaFieldDef, head: TypeNameMetaFieldDef.name };
    const slot = { field, head: `${alias}${field.name}${this.arguments(field.args)}` };
    slots.set(response, slot);
    return slot;
  }

  private arguments(definitions: readonly GraphQLArgument[]): string {
    const given = definitions.flatMap((argument) => {
      // A made-up text is no cursor.
      const leftOut = argument.name === "after" ? 0.97 : 0.55;
      if (!isRequiredArgument(argument) && this.random.chance(leftOut)) return [];
      return [`${argument.name}: ${this.input.valueFor(argument)}`];
    });
    return given.length === 0 ? "" : `(${given.join(", ")})`;
  }
}

function isLeaf({ type }: GraphQLField<unknown, unknown>): boolean {
  return !isObjectType(getNamedType(type));
}
