/** One value of a metric. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly samples: readonly Sample[];
}

export type Families = ReadonlyMap<string, Family>;

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const HELP = new RegExp(`^# HELP (${NAME}) (.+)$`);
const TYPE = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram|summary|untyped)$`);
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)$`);
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/y;
const VALUE = /^(?:[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?|[+-]?Inf|NaN)$/i;

/**
 * Reads Prometheus' text format 0.0.4, more strictly than Prometheus does: every family has its HELP and TYPE in front, its
 * samples follow without a gap, no sample stands twice, and histograms add up.
 *
 * @throws what is wrong, with the line.
 */
export function parseExposition(text: string): Families {
  const families = new Map<string, Family & { readonly samples: Sample[] }>();
  let current: { name: string; help: string } | null = null;
  const known = new Set<string>();
  if (!text.endsWith("\n")) throw new Error("the text does not end with a newline");
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const help = HELP.exec(line);
    if (help !== null) {
      current = { name: help[1] ?? "", help: help[2] ?? "" };
      if (families.has(current.name)) throw new Error(`a second HELP: ${line}`);
      continue;
    }
    const type = TYPE.exec(line);
    if (type !== null) {
      const [, name = "", kind = ""] = type;
      if (current?.name !== name || families.has(name)) throw new Error(`TYPE without its HELP: ${line}`);
      families.set(name, { ...current, type: kind, samples: [] });
      continue;
    }
    const sample = readSample(line);
    const family = current === null ? undefined : families.get(current.name);
    if (family === undefined || !namesOf(family).includes(sample.name))
      throw new Error(`a sample outside of its family: ${line}`);
    const key = JSON.stringify([sample.name, Object.entries(sample.labels).sort()]);
    if (known.has(key)) throw new Error(`a sample twice: ${line}`);
    known.add(key);
    family.samples.push(sample);
  }
  for (const family of families.values()) if (family.type === "histogram") checkHistogram(family);
  return families;
}

/** The one value with these labels (others may be there, too); 0 where there is none. */
export function metricValue(
  families: Families,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  return [...families.values()]
    .flatMap(({ samples }) => samples)
    .filter((sample) => sample.name === name)
    .filter((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value))
    .reduce((sum, { value }) => sum + value, 0);
}

function readSample(line: string): Sample {
  const [, name, labelText = "", value = ""] = SAMPLE.exec(line) ?? [];
  if (name === undefined || !VALUE.test(value)) throw new Error(`not a sample: ${line}`);
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < labelText.length) {
    const [, label, quoted = ""] = LABEL.exec(labelText) ?? [];
    if (label === undefined || label in labels) throw new Error(`not labels: ${line}`);
    labels[label] = quoted.replaceAll(/\\(.)/g, (_, escaped: string) => (escaped === "n" ? "\n" : escaped));
  }
  return { name, labels, value: Number(value.replace(/inf/i, "Infinity")) };
}

function namesOf({ name, type }: Family): string[] {
  return type === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name];
}

function checkHistogram({ name, samples }: Family): void {
  const series = Object.groupBy(samples, ({ labels: { le: _, ...others } }) =>
    JSON.stringify(Object.entries(others).sort()),
  );
  for (const [labels, group = []] of Object.entries(series)) {
    const buckets = group.filter((sample) => sample.name === `${name}_bucket`);
    const bounds = buckets.map((sample) => Number(sample.labels.le?.replace("+Inf", "Infinity")));
    const counts = buckets.map(({ value }) => value);
    const count = group.find((sample) => sample.name === `${name}_count`)?.value;
    const isRising = (values: readonly number[]) =>
      values.every((v, i) => i === 0 || v >= (values[i - 1] ?? 0));
    if (!isRising(bounds) || !isRising(counts)) throw new Error(`buckets of ${name} ${labels} do not rise`);
    if (bounds.at(-1) !== Number.POSITIVE_INFINITY || counts.at(-1) !== count)
      throw new Error(`${name} ${labels}: the last bucket is not the count`);
    if (group.length !== buckets.length + 2) throw new Error(`${name} ${labels} has no sum or no count`);
  }
}
