import { readFileSync } from "node:fs";
import { expect } from "vitest";
import type { Families } from "./exposition.ts";

/** A row of the table in docs/operations.md. */
interface DocumentedMetric {
  readonly name: string;
  readonly type: string;
  readonly labels: readonly string[];
  /** all, api or worker. */
  readonly roles: string;
  /** A former name, which goes with the next release. */
  readonly isDeprecated: boolean;
}

const ROW = /^\| `(impressions_\w+)` \| (\w+) \| ([\w, ]*) \| (all|api|worker) \| (.+) \|$/gm;

export function documentedMetrics(): DocumentedMetric[] {
  const page = readFileSync(new URL("../../docs/operations.md", import.meta.url), "utf8");
  return [...page.matchAll(ROW)].map(([, name = "", type = "", labels = "", roles = "", help = ""]) => ({
    name,
    type,
    labels: labels.split(", ").filter((label) => label !== ""),
    roles,
    isDeprecated: help.startsWith("Deprecated:"),
  }));
}

/** A process of these roles exposes exactly the metrics of the page. */
export function expectDocumented(families: Families, roles: readonly ("api" | "worker")[]): void {
  const rows = documentedMetrics().filter(
    (row) => row.roles === "all" || roles.some((role) => role === row.roles),
  );
  const exposed = [...families.values()].filter(({ name }) => name.startsWith("impressions_"));
  expect(exposed.map(({ name, type }) => `${name} ${type}`).sort()).toEqual(
    rows.map(({ name, type }) => `${name} ${type}`).sort(),
  );
  for (const { name, labels } of rows) {
    const samples = families.get(name)?.samples ?? [];
    const found = new Set(samples.flatMap((sample) => Object.keys(sample.labels)));
    found.delete("le");
    if (samples.length > 0) expect([...found].sort(), name).toEqual([...labels].sort());
  }
}
