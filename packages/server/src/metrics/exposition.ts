// Prometheus' text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/), as far as we need it.

/** One metric family, as lines of the text format. */
export interface Metric {
  readonly name: string;
  lines(): readonly string[];
}

/** One number of a counter. */
export interface Series {
  value: number;
}

/** A number that only rises, one for each combination of its labels' values. */
export class Counter implements Metric {
  readonly name: string;
  readonly #help: string;
  readonly #labels: readonly string[];
  readonly #series = new Map<string, { readonly labels: string; readonly series: Series }>();

  /** Without labels it is there from the start, at 0. */
  constructor(name: string, help: string, labels: readonly string[] = []) {
    this.name = name;
    this.#help = help;
    this.#labels = labels;
    if (labels.length === 0) this.of();
  }

  /** One more, for these values. */
  count(...values: readonly string[]): void {
    this.of(...values).value++;
  }

  /** The number itself for these values, one for each label, in their order. */
  of(...values: readonly string[]): Series {
    const key = values.join("\0");
    let found = this.#series.get(key);
    if (!found) {
      const labels = this.#labels.map((label, at) => `${label}="${escapeLabel(values[at] ?? "")}"`);
      found = { labels: labels.length > 0 ? `{${labels.join(",")}}` : "", series: { value: 0 } };
      this.#series.set(key, found);
    }
    return found.series;
  }

  lines(): string[] {
    const lines = Array.from(
      this.#series.values(),
      ({ labels, series }) => `${this.name}${labels} ${numberText(series.value)}`,
    );
    return [...head(this.name, this.#help, "counter"), ...lines];
  }
}

/** A number that is read when it is asked for; nothing is shown while it is not known. */
export class Reading implements Metric {
  readonly name: string;
  readonly #help: string;
  readonly #type: "counter" | "gauge";
  readonly #read: () => number | undefined;

  constructor(
    name: string,
    help: string,
    read: () => number | undefined,
    type: "counter" | "gauge" = "gauge",
  ) {
    this.name = name;
    this.#help = help;
    this.#read = read;
    this.#type = type;
  }

  lines(): string[] {
    const value = this.#read();
    if (value === undefined) return [];
    return [...head(this.name, this.#help, this.#type), `${this.name} ${numberText(value)}`];
  }
}

/** How often values lay at or below each bound, their sum and their number. */
export class Histogram implements Metric {
  readonly name: string;
  readonly #help: string;
  readonly #bounds: readonly number[];
  readonly #counts: Float64Array;
  #sum = 0;

  /** `bounds` rise; what lies above the last is counted too. */
  constructor(name: string, help: string, bounds: readonly number[]) {
    this.name = name;
    this.#help = help;
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    let at = 0;
    while (at < this.#bounds.length && value > (this.#bounds[at] ?? 0)) at++;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#sum += value;
  }

  lines(): string[] {
    let below = 0;
    const buckets = Array.from(this.#counts, (count, at) => {
      below += count;
      const bound = this.#bounds[at];
      return `${this.name}_bucket{le="${bound === undefined ? "+Inf" : numberText(bound)}"} ${below}`;
    });
    const sums = [`${this.name}_sum ${numberText(this.#sum)}`, `${this.name}_count ${below}`];
    return [...head(this.name, this.#help, "histogram"), ...buckets, ...sums];
  }
}

/** The media type of {@link expose}'s text. */
export const expositionType = "text/plain; version=0.0.4; charset=utf-8";

/** All metrics in the text format. */
export function expose(metrics: readonly Metric[]): string {
  return metrics
    .flatMap((metric) => metric.lines())
    .map((line) => `${line}\n`)
    .join("");
}

function head(name: string, help: string, type: string): string[] {
  return [
    `# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}`,
    `# TYPE ${name} ${type}`,
  ];
}

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}
