import { ArgsType, Field, ObjectType } from "type-graphql";
import { PAGE_SIZE_DEFAULT } from "../domain/limits.ts";
import { DateTime, Int } from "./scalars.ts";

/** Relay's PageInfo. */
@ObjectType({
  simpleResolvers: true,
  description:
    "Where a page stands in its walk. A page can hold fewer edges than asked, even none: ask again with " +
    "`after: endCursor` until `hasNextPage` is false.",
})
export class PageInfo {
  @Field(() => Boolean, { description: "Whether there may be more. While true, `endCursor` is never null." })
  readonly hasNextPage!: boolean;

  @Field(() => Boolean, {
    description: "Whether this page was asked for with `after`. Walks go forward only.",
  })
  readonly hasPreviousPage!: boolean;

  @Field(() => String, {
    nullable: true,
    description: "The first edge's cursor; null where there are no edges.",
  })
  readonly startCursor!: string | null;

  @Field(() => String, { nullable: true, description: "Pass it as `after` to go on." })
  readonly endCursor!: string | null;
}

/** The arguments of every connection. */
@ArgsType()
export class PageArgs {
  @Field(() => Int, {
    defaultValue: PAGE_SIZE_DEFAULT,
    description: "At most this many edges: 1 to 500. A page costs 300, and 1 for each (docs/query-cost.md)",
  })
  readonly first!: number;

  @Field(() => String, {
    nullable: true,
    description: "The `endCursor` of the page before, with the same other arguments",
  })
  readonly after?: string | null;
}

/** The arguments of a walk over views. */
@ArgsType()
export class WalkArgs extends PageArgs {
  @Field(() => DateTime, { nullable: true, description: "Only views at or after this instant" })
  readonly since?: number | null;

  @Field(() => DateTime, { nullable: true, description: "Only views before this instant" })
  readonly until?: number | null;
}

/** A page in terms of the Relay cursor connections specification. */
export interface Connection<Node> {
  readonly edges: { readonly cursor: string; readonly node: Node }[];
  readonly nodes: Node[];
  readonly pageInfo: PageInfo;
}

export interface PageOfNodes<Node> {
  readonly nodes: readonly Node[];
  readonly cursorOf: (node: Node) => string;
  /** Where the next page goes on, as a cursor; null at the end. */
  readonly nextCursor: (() => string) | null;
  readonly hasPreviousPage: boolean;
}

/**
 * The connection of a page. Cursors are made when they are read: a cursor is a hash, and most callers take only
 * `nodes` and `endCursor`.
 */
export function connectionOf<Node>(page: PageOfNodes<Node>): Connection<Node> {
  const { cursorOf, nextCursor, hasPreviousPage } = page;
  const nodes = [...page.nodes];
  return {
    nodes,
    get edges() {
      return nodes.map((node) => ({
        node,
        get cursor() {
          return cursorOf(node);
        },
      }));
    },
    pageInfo: {
      hasNextPage: nextCursor !== null,
      hasPreviousPage,
      get startCursor() {
        const [first] = nodes;
        return first === undefined ? null : cursorOf(first);
      },
      get endCursor() {
        if (nextCursor !== null) return nextCursor();
        const last = nodes.at(-1);
        return last === undefined ? null : cursorOf(last);
      },
    },
  };
}
