import type { PageInfo } from "./types/page-info.ts";

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
