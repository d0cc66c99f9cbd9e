/**
 * A small metrics registry that writes Prometheus' text format (version 0.0.4): counters, histograms
 * and gauges that are read when somebody asks. Adding to one costs a map look-up and an addition, so
 * that a streamed token can pay for it.
 */

export type Labels = Readonly<Record<string, string>>;

const escapes: Readonly<Record<string, string>> = { "\\": "\\\\", '"': '\\"', "\n": "\\n" };

/** `{a="1",b="2"}`, or nothing; the values escaped as the format wants. */
function labelText(labels: Labels, more = ""): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replace(/[\\"\n]/g, (found) => escapes[found] ?? found)}"`,
  );
  if (more !== "") pairs.push(more);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

/** A series of a metric, whose labels have the same names each time. */
function keyOf(labels: Labels): string {
  let key = "";
  for (const name in labels) key += `${labels[name]}\0`;
  return key;
}

interface Metric {
  /** Lines of the metric, without a newline at the end. */
  text(): string;
}

function head(name: string, type: string, help: string): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}`;
}

/** A number that only grows. */
export class Counter implements Metric {
  readonly #values = new Map<string, { readonly labels: Labels; value: number }>();

  constructor(
    readonly name: string,
    readonly help: string,
  ) {}

  add(labels: Labels, amount = 1): void {
    const key = keyOf(labels);
    const known = this.#values.get(key);
    if (known === undefined) this.#values.set(key, { labels, value: amount });
    else known.value += amount;
  }

  text(): string {
    const rows = [...this.#values.values()].map(
      ({ labels, value }) => `${this.name}${labelText(labels)} ${value}`,
    );
    return [head(this.name, "counter", this.help), ...rows].join("\n");
  }
}

interface Buckets {
  readonly labels: Labels;
  readonly counts: number[];
  sum: number;
  count: number;
}

/** How often values fell below bounds; values in the unit that the name says. */
export class Histogram implements Metric {
  readonly #series = new Map<string, Buckets>();

  constructor(
    readonly name: string,
    readonly help: string,
    /** Ascending. */
    readonly bounds: readonly number[],
  ) {}

  observe(labels: Labels, value: number): void {
    const key = keyOf(labels);
    let series = this.#series.get(key);
    if (series === undefined) {
      series = { labels, counts: this.bounds.map(() => 0), sum: 0, count: 0 };
      this.#series.set(key, series);
    }
    series.sum += value;
    series.count++;
    const at = this.bounds.findIndex((bound) => value <= bound);
    if (at >= 0) series.counts[at] = (series.counts[at] ?? 0) + 1;
  }

  text(): string {
    const rows: string[] = [];
    for (const { labels, counts, sum, count } of this.#series.values()) {
      let below = 0;
      this.bounds.forEach((bound, i) => {
        below += counts[i] ?? 0;
        rows.push(`${this.name}_bucket${labelText(labels, `le="${bound}"`)} ${below}`);
      });
      rows.push(`${this.name}_bucket${labelText(labels, 'le="+Inf"')} ${count}`);
      rows.push(`${this.name}_sum${labelText(labels)} ${sum}`);
      rows.push(`${this.name}_count${labelText(labels)} ${count}`);
    }
    return [head(this.name, "histogram", this.help), ...rows].join("\n");
  }
}

/** Values as they are at the moment of asking. */
export class Gauge implements Metric {
  constructor(
    readonly name: string,
    readonly help: string,
    readonly read: () => readonly { readonly labels: Labels; readonly value: number }[],
  ) {}

  text(): string {
    const rows = this.read().map(
      ({ labels, value }) => `${this.name}${labelText(labels)} ${value}`,
    );
    return [head(this.name, "gauge", this.help), ...rows].join("\n");
  }
}

/** The page that Prometheus reads. */
export function metricsPage(metrics: readonly Metric[]): string {
  return `${metrics.map((metric) => metric.text()).join("\n")}\n`;
}
