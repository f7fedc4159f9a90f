/** What a comparison of the promised with the shown found; all but the first should be empty. */
export interface Findings {
  readonly acknowledged: number;
  readonly lost: readonly string[];
  readonly twice: readonly string[];
  readonly outOfOrder: readonly string[];
  /** Anything else that may not be. */
  readonly faults: readonly string[];
}

/** One sum of several comparisons. */
export function sumOf(all: readonly Findings[]): Findings {
  return {
    acknowledged: all.reduce((sum, { acknowledged }) => sum + acknowledged, 0),
    lost: all.flatMap(({ lost }) => lost),
    twice: all.flatMap(({ twice }) => twice),
    outOfOrder: all.flatMap(({ outOfOrder }) => outOfOrder),
    faults: all.flatMap(({ faults }) => faults),
  };
}

/** The number that a writer's life (a process that was killed has several) and its letter have in a text. */
export function textOf(life: number, number: number): string {
  return `${life}.${number}`;
}

/** Holds what one person's screen shows of one writer against what the writer was promised. */
export function compareTexts(of: {
  readonly promised: readonly string[];
  readonly acknowledged: number;
  readonly shown: readonly string[];
}): Findings {
  const seen = new Set<string>();
  const twice: string[] = [];
  const outOfOrder: string[] = [];
  let last: readonly [life: number, number: number] = [0, -1];
  for (const text of of.shown) {
    if (seen.has(text)) twice.push(text);
    seen.add(text);
    const [life = 0, number = 0] = text.split(".").map(Number);
    if (life < last[0] || (life === last[0] && number <= last[1])) outOfOrder.push(text);
    last = [life, number];
  }
  const lost = of.promised.filter((text) => !seen.has(text));
  return { acknowledged: of.acknowledged, lost, twice, outOfOrder, faults: [] };
}
