import { parser } from "@prometheus-io/lezer-promql";

/** What an expression names. */
export interface NamedByQuery {
  readonly metrics: readonly string[];
  /** Labels that are matched, with the text they are matched against. */
  readonly matchers: readonly (readonly [label: string, text: string])[];
  /** Labels that results are grouped or joined by. */
  readonly grouped: readonly string[];
}

/** Reads an expression with Prometheus' own grammar. @throws where it is none. */
export function readQuery(expression: string): NamedByQuery {
  const metrics: string[] = [];
  const matchers: (readonly [string, string])[] = [];
  const grouped: string[] = [];
  parser.parse(expression).iterate({
    enter({ type, node, from, to }) {
      const text = expression.slice(from, to);
      if (type.isError) throw new Error(`not PromQL at ${from}: ${expression}`);
      if (node.parent?.name === "VectorSelector" && type.name === "Identifier") metrics.push(text);
      if (node.parent?.name === "GroupingLabels" && type.name === "LabelName") grouped.push(text);
      if (type.name === "UnquotedLabelMatcher") {
        const [, label = "", value = ""] = /^(\w+)\s*[=!~]+\s*"(.*)"$/.exec(text) ?? [];
        matchers.push([label, value]);
      }
    },
  });
  return { metrics, matchers, grouped };
}
