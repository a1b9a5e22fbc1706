import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { DEAD_LETTER_REASONS } from "../../src/domain/dead-letter.ts";
import { ERROR_CATALOGUE } from "../../src/errors.ts";
import { createMetrics } from "../../src/metrics/metrics.ts";
import { documentedMetrics } from "../support/documented-metrics.ts";
import { readQuery } from "../support/promql.ts";

/**
 * What Prometheus and Grafana are given names only what a process exposes: docs/operations.md lists that, and
 * test/e2e/metrics.test.ts and test/e2e/cluster/metrics.test.ts hold the list against live ones of every role and engine.
 */

const read = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), "utf8");
const operations = read("docs/operations.md");

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: Readonly<Record<string, string>>;
}

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly datasource?: { readonly type: string; readonly uid: string };
  readonly fieldConfig?: { readonly defaults: { readonly unit: string } };
  readonly targets?: readonly {
    readonly refId: string;
    readonly expr: string;
    readonly legendFormat: string;
  }[];
}

const { groups } = parse(read("deploy/prometheus/alerts.yaml")) as {
  groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[];
};
const rules = groups.flatMap((group) => group.rules);
const dashboard = JSON.parse(read("deploy/grafana/dashboard.json")) as {
  readonly uid: string;
  readonly templating: { readonly list: readonly { readonly name: string }[] };
  readonly panels: readonly Panel[];
};
const graphs = dashboard.panels.filter(({ type }) => type !== "row");

/** Every name that a sample can have, with its labels; null where they are not ours. */
const samples = new Map<string, readonly string[] | null>([["up", []]]);
for (const { name } of createMetrics({
  version: "",
  role: "",
  engine: "",
}).registers[0]?.getMetricsAsArray() ?? [])
  samples.set(name, null);
for (const { name, type, labels } of documentedMetrics()) {
  if (type !== "histogram") samples.set(name, labels);
  else
    for (const [suffix, more] of [
      ["bucket", ["le"]],
      ["sum", []],
      ["count", []],
    ] as const)
      samples.set(`${name}_${suffix}`, [...labels, ...more]);
}

/** The labels that Prometheus itself adds to every sample. */
const TARGET_LABELS = ["job", "instance"];
const KNOWN_VALUES: Readonly<Record<string, readonly string[]>> = {
  code: ["OK", "CLIENT_GONE", ...Object.keys(ERROR_CATALOGUE)],
  reason: DEAD_LETTER_REASONS,
};

/** The labels of a metric; what is not ours has any. */
function labelsOf(metric: string): ReadonlySet<string> | null {
  const labels = samples.get(metric);
  if (labels === undefined) throw new Error(`${metric} is exposed by no process`);
  return labels === null ? null : new Set([...TARGET_LABELS, ...labels]);
}

/**
 * @param template what is written beside each result, with `{{label}}` or `{{ $labels.label }}`.
 * @throws the names that no process exposes.
 */
function checkExposed(expression: string, template = ""): void {
  const { selectors, groupings } = readQuery(expression);
  if (selectors.length === 0) throw new Error(`no metric in: ${expression}`);
  const check = (metric: string, label: string) => {
    if (labelsOf(metric)?.has(label) === false)
      throw new Error(`${metric} has no label ${label}: ${expression}`);
  };
  for (const { metric, matchers } of selectors) {
    for (const [label, value] of matchers) {
      check(metric, label);
      // Several values stand between bars, as =~ has them.
      const unknown = value.split("|").filter((each) => KNOWN_VALUES[label]?.includes(each) === false);
      if (unknown.length > 0) throw new Error(`${label} is never ${unknown}: ${expression}`);
    }
  }
  for (const { labels, metrics } of groupings)
    for (const label of labels) for (const metric of metrics) check(metric, label);
  const left = new Set(groupings.flatMap(({ labels }) => labels));
  for (const { metric, isAggregated } of selectors)
    if (!isAggregated) for (const label of labelsOf(metric) ?? TARGET_LABELS) left.add(label);
  for (const [, label = ""] of template.matchAll(/\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}/g))
    if (!left.has(label)) throw new Error(`${label} is no label of the results of: ${expression}`);
}

describe("the check of what is exposed", () => {
  test.each([
    ["impressions_nothing", "exposed by no process"],
    ['impressions_queue_up{code="OK"}', "impressions_queue_up has no label code"],
    [
      'impressions_requests_total{code="OK"} and impressions_queue_up{code="OK"}',
      "impressions_queue_up has no label",
    ],
    ['impressions_requests_total{code="NOPE"}', "code is never NOPE"],
    ['impressions_requests_total{code=~"OK|NOPE"}', "code is never NOPE"],
    ["sum by (reason) (impressions_requests_total)", "impressions_requests_total has no label reason"],
    ["sum by (code) (impressions_requests_total) / on (code) impressions_queue_up", "no label code"],
    ["sum by (job) (impressions_requests_total", "not PromQL"],
    ["1 > 0", "no metric"],
  ])("refuses %s", (expression, reason) => {
    expect(() => checkExposed(expression)).toThrow(reason);
  });

  test("refuses a text that names a label which is not left", () => {
    const byCode = "sum by (code) (impressions_requests_total)";
    expect(() => checkExposed(byCode, "{{ $labels.instance }} answers {{code}}")).toThrow(
      "instance is no label",
    );
    expect(() => checkExposed("impressions_queue_up", "{{code}}")).toThrow("code is no label");
    checkExposed(byCode, "{{code}}");
    checkExposed("impressions_queue_up", "{{ $labels.instance }}");
  });
});

describe("deploy/prometheus/alerts.yaml", () => {
  test("has what the documentation's table of runbooks names, and the other way round", () => {
    const rows = [...operations.matchAll(/^\| (Impressions[^|]+) \| [^|]+ \| \[[^\]]+\]\((#[\w-]+)\) \|$/gm)];
    const documented = rows.flatMap(([, names = "", anchor = ""]) =>
      [...names.matchAll(/Impressions\w+/g)].map(([name]) => `${name} ${anchor}`),
    );
    const anchorOf = ({ annotations }: Rule) => annotations.runbook?.replace("docs/operations.md", "");
    for (const rule of rules) expect(documented).toContain(`${rule.alert} ${anchorOf(rule)}`);
    const names = new Set(documented.map((entry) => entry.split(" ")[0]));
    expect([...names].sort()).toEqual(rules.map(({ alert }) => alert).sort());
  });

  test.each(rules)(
    "$alert says how bad it is, what it is and what to do, and names what is exposed",
    (rule) => {
      expect(["critical", "warning"]).toContain(rule.labels.severity);
      expect(rule.annotations.summary).toMatch(/.{10,}/);
      expect(rule.annotations.description).toMatch(/.{10,}\.$/);
      const [page, anchor] = rule.annotations.runbook?.split("#") ?? [];
      expect(page).toBe("docs/operations.md");
      const anchors = [...operations.matchAll(/^## (.+)$/gm)].map(([, title = ""]) =>
        title
          .toLowerCase()
          .replaceAll(/[^\w -]/g, "")
          .replaceAll(" ", "-"),
      );
      expect(anchors).toContain(anchor);
      checkExposed(rule.expr, Object.values(rule.annotations).join(" "));
    },
  );

  test("every alert has a case in which it fires", () => {
    const cases = read("deploy/prometheus/alerts.test.yaml");
    for (const { alert } of rules) expect(cases).toContain(`alertname="${alert}"`);
  });
});

describe("deploy/grafana/dashboard.json", () => {
  test.each(graphs)("$title asks for what is exposed, with a unit and a data source to choose", (panel) => {
    expect(panel.datasource).toEqual({ type: "prometheus", uid: `\${datasource}` });
    expect(panel.fieldConfig?.defaults.unit).toMatch(/^\w+$/);
    expect(panel.targets?.length).toBeGreaterThan(0);
    for (const { expr, legendFormat } of panel.targets ?? [])
      checkExposed(expr.replaceAll("$__rate_interval", "5m"), legendFormat);
  });

  test("uses no variable that it has not, and no place twice", () => {
    const variables = [...dashboard.templating.list.map(({ name }) => name), "__rate_interval", "__all"];
    const used = [...JSON.stringify(dashboard).matchAll(/\$\{?(\w+)/g)].map(([, name]) => name);
    expect(variables).toEqual(expect.arrayContaining([...new Set(used)]));
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    const taken = new Set<string>();
    for (const { title, gridPos: place } of dashboard.panels) {
      expect(place.x + place.w, title).toBeLessThanOrEqual(24);
      for (let x = place.x; x < place.x + place.w; x++)
        for (let y = place.y; y < place.y + place.h; y++) {
          expect(taken.has(`${x} ${y}`), title).toBe(false);
          taken.add(`${x} ${y}`);
        }
    }
  });

  test("shows everything that is measured", () => {
    const asked = graphs.flatMap(({ targets = [] }) =>
      targets.flatMap(({ expr }) =>
        readQuery(expr.replaceAll("$__rate_interval", "5m")).selectors.map(({ metric }) => metric),
      ),
    );
    const shown = new Set(asked.map((name) => name.replace(/_(bucket|sum|count)$/, "")));
    const missing = documentedMetrics().filter(({ name, isDeprecated }) => !isDeprecated && !shown.has(name));
    const deprecated = documentedMetrics().filter(({ isDeprecated }) => isDeprecated);
    expect(deprecated.filter(({ name }) => shown.has(name))).toEqual([]);
    // In the variables.
    expect(missing.map(({ name }) => name)).toEqual(["impressions_build_info"]);
  });
});
