import { performance } from "node:perf_hooks";
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** How often a thread looks whether the process rests, ms. */
const every = 10_000;
/** A process that uses less of one processor in that time rests. */
const restful = 0.02;
/** What has to have come to the heap since it was tidied last, bytes. */
const worthwhile = 4e6;
/** A heap that is used beyond this is not tidied: it would stand still for more than a moment. Bytes. */
const mostUsed = 128e6;

/** A heap of this thread, in bytes. */
export interface Heap {
  readonly used: number;
  /** Used or not. */
  readonly held: number;
}

/** Decides when a heap is tidied: at rest, once for what has come to it. */
export class Rest {
  #held = 0;

  /** True when it is to be tidied now; `tidied` then says what is left. `busy` is the share of the time, 0–1. */
  calls(busy: number, { used, held }: Heap): boolean {
    return busy < restful && used <= mostUsed && held - this.#held >= worthwhile;
  }

  tidied({ held }: Heap): void {
    this.#held = held;
  }
}

/**
 * Gives back, whenever the process rests, what its start or a rush of work left behind. V8 collects when something is
 * allocated, and it shrinks no young generation at rest: without this a thread keeps the 50 MB of its busiest minute
 * for as long as nobody comes.
 */
export function tidyAtRest(): Disposable {
  const rest = new Rest();
  let before = timeUsed();
  const timer = setInterval(() => {
    const now = timeUsed();
    const busy = (now.cpu - before.cpu) / (now.at - before.at);
    before = now;
    if (!rest.calls(busy, heap())) return;
    tidy();
    rest.tidied(heap());
  }, every);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** All threads' time of a processor so far, and the clock, ms: a thread that rests takes none from one that doesn't. */
function timeUsed(): { readonly cpu: number; readonly at: number } {
  const { user, system } = process.cpuUsage();
  return { cpu: (user + system) / 1000, at: performance.now() };
}

/** What this thread's heap holds now. */
export function heap(): Heap {
  const { used_heap_size: used, total_heap_size: held } = getHeapStatistics();
  return { used, held };
}

/** Collects all garbage and gives free pages back to the system. Stands still meanwhile: some 2 ms a megabyte that is used. */
export function tidy(): void {
  // `last-resort` is what also takes empty pages from the young generation.
  collector()?.({ type: "major", execution: "sync", flavor: "last-resort" });
}

/**
 * Only a context made under this flag has the function. The flag is the whole process's: it does not stay, since what
 * is compiled under other flags can't be kept for the next start, and another thread may just have taken it back.
 */
function collector(): NodeJS.GCFunction | undefined {
  setFlagsFromString("--expose-gc");
  try {
    return runInNewContext("globalThis.gc") as NodeJS.GCFunction | undefined;
  } finally {
    setFlagsFromString("--no-expose-gc");
  }
}
