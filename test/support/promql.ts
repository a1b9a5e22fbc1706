import { parser } from "@prometheus-io/lezer-promql";

/** The metrics and labels that an expression names. */
export interface NamedByQuery {
  readonly selectors: readonly Selector[];
  readonly groupings: readonly Grouping[];
}

/** A metric, with the labels that are matched and the text that they are matched against. */
export interface Selector {
  readonly metric: string;
  readonly matchers: readonly (readonly [label: string, text: string])[];
  /** Inside `sum by (...)` and the like: only the labels that those name are left of it. */
  readonly isAggregated: boolean;
}

/** Labels that results are grouped or joined by, and the metrics that they are taken from. */
export interface Grouping {
  readonly labels: readonly string[];
  readonly metrics: readonly string[];
}

type Node = NonNullable<ReturnType<typeof parser.parse>["topNode"]>;

/** Reads an expression with Prometheus' own grammar. @throws where it is none. */
export function readQuery(expression: string): NamedByQuery {
  const textOf = ({ from, to }: Node) => expression.slice(from, to);
  const tree = parser.parse(expression);
  tree.iterate({
    enter({ type, from }) {
      if (type.isError) throw new Error(`not PromQL at ${from}: ${expression}`);
    },
  });
  const metricOf = (selector: Node) => textOf(selector.getChild("Identifier") ?? selector);
  return {
    selectors: inside(tree.topNode, "VectorSelector").map((node) => ({
      metric: metricOf(node),
      matchers: inside(node, "UnquotedLabelMatcher").map((matcher) => {
        const [, label = "", value = ""] = /^(\w+)\s*[=!~]+\s*"(.*)"$/.exec(textOf(matcher)) ?? [];
        return [label, value] as const;
      }),
      isAggregated: above(node, "AggregateExpr") !== null,
    })),
    groupings: inside(tree.topNode, "GroupingLabels").map((node) => {
      const whole = above(node, "AggregateExpr", "BinaryExpr") ?? tree.topNode;
      return {
        labels: inside(node, "LabelName").map(textOf),
        metrics: inside(whole, "VectorSelector").map(metricOf),
      };
    }),
  };
}

function inside(node: Node, name: string): Node[] {
  const found: Node[] = [];
  node.cursor().iterate((each) => {
    if (each.name === name) found.push(each.node);
  });
  return found;
}

function above(node: Node, ...names: readonly string[]): Node | null {
  for (let parent = node.parent; parent !== null; parent = parent.parent)
    if (names.includes(parent.name)) return parent;
  return null;
}
