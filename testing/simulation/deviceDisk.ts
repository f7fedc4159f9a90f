import { type Store, StoreError } from "@snug/client";
import type { Chance } from "./chance.ts";
import type { Course } from "./course.ts";

type Change = Parameters<Store["commit"]>[0][number];
type Keys = Parameters<Store["saveKeys"]>[0];

export interface CommitWatcher {
  /** A commit of a device is durable. */
  committed(changes: readonly Change[]): void;
}

/** What stays of a device when its process ends. Stores opened on it write to it at simulated commit points. */
export class DeviceDisk {
  readonly #tables = new Map<string, Map<string, Uint8Array>>();
  readonly #course: Course;
  readonly #chance: Chance;
  readonly #watcher: CommitWatcher;
  keys: Keys | undefined;
  /** How many of the next commits the disk refuses. */
  refuses = 0;

  constructor(of: { course: Course; chance: Chance; watcher: CommitWatcher }) {
    this.#course = of.course;
    this.#chance = of.chance;
    this.#watcher = of.watcher;
  }

  get(table: string, key: string): Uint8Array | undefined {
    return this.#tables.get(table)?.get(key);
  }

  list(table: string): [string, Uint8Array][] {
    return [...(this.#tables.get(table) ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  write(changes: readonly Change[]): void {
    for (const { table, key, value } of changes) {
      const records = this.#tables.get(table) ?? new Map<string, Uint8Array>();
      this.#tables.set(table, records);
      if (value) records.set(key, value.slice());
      else records.delete(key);
    }
  }

  erase(): void {
    this.#tables.clear();
    this.keys = undefined;
  }

  /** The store of one process, until its end. What it is asked is done in order, each in its time. */
  open(process: { readonly ended: boolean }): Store {
    const queue: { cost: number; work: () => void }[] = [];
    let busy = false;
    const next = (): void => {
      const job = queue.shift();
      busy = job !== undefined;
      if (!job) return;
      this.#course.after(job.cost, () => {
        if (process.ended) return;
        job.work();
        next();
      });
    };
    const run = <T>(cost: number, work: () => T): Promise<T> =>
      new Promise((resolve, reject) => {
        const settle = (): void => {
          try {
            resolve(work());
          } catch (error) {
            reject(error);
          }
        };
        if (process.ended) return;
        if (cost === 0 && !busy) {
          settle();
          return;
        }
        queue.push({ cost, work: settle });
        if (!busy) next();
      });
    return this.#store(run);
  }

  #store(run: <T>(cost: number, work: () => T) => Promise<T>): Store {
    return {
      get: (table, key) => run(0, () => this.get(table, key)?.slice()),
      list: ({ table, from = "", until, most, newestFirst = false }) =>
        run(0, () => {
          const found = this.list(table)
            .filter(([key]) => key >= from && (until === undefined || key < until))
            .map(([key, value]) => ({ key, value: value.slice() }));
          if (newestFirst) found.reverse();
          return most === undefined ? found : found.slice(0, most);
        }),
      commit: (changes) => {
        const kept = changes.map((change) => ({ ...change, value: change.value?.slice() ?? null }));
        return run(this.#delay(), () => {
          if (this.refuses > 0) {
            this.refuses--;
            throw StoreError.ofDisk(new Error("no space left on the device"));
          }
          this.write(kept);
          this.#watcher.committed(kept);
        });
      },
      scrub: () => run(0, () => undefined),
      saveKeys: (keys) =>
        run(this.#delay(), () => {
          this.keys = keys;
        }),
      loadKeys: () => run(0, () => this.keys),
      erase: () => run(this.#delay(), () => this.erase()),
      [Symbol.asyncDispose]: () => run(0, () => undefined),
    };
  }

  /** Most devices commit at once; some take their time. */
  #delay(): number {
    return this.#chance.is(0.5) ? 0 : this.#chance.next() * (this.#chance.is(0.05) ? 500 : 6);
  }
}
