import { createHash } from "node:crypto";
import type { Chance } from "./chance.ts";
import type { KeyPool } from "./keyPool.ts";

interface Due {
  readonly at: number;
  readonly order: number;
  readonly call: () => void;
  off: boolean;
}

/** A piece of cryptography under way: its outcome is handed on in a turn of the course. */
interface Work {
  readonly done: Promise<unknown>;
  deliver(): void;
}

const realImmediate = globalThis.setImmediate;

/**
 * One course of simulated time: what is due happens in order, and before the next thing happens all that follows from
 * the last has come to rest. Timers, the date, randomness and WebCrypto of the process belong to it until it is disposed;
 * cryptography takes no simulated time, but what is under way together ends in an order of chance.
 */
export class Course implements Disposable {
  /** ms since the course began; never goes back. */
  now = 0;
  readonly #due: Due[] = [];
  readonly #immediates: (() => void)[] = [];
  readonly #chance: Chance;
  readonly #trace = createHash("sha256");
  readonly #lines: string[] = [];
  readonly #restore: (() => void)[] = [];
  #works: Work[] = [];
  #order = 0;
  /** What went wrong first; ends the course. */
  failure: Error | null = null;

  constructor(of: { readonly chance: Chance; readonly keys: KeyPool; readonly date: () => number }) {
    this.#chance = of.chance.of("works");
    this.#takeOver(of.keys, of.chance.of("bytes"), of.date);
  }

  /** SHA-256 of everything that was traced. */
  get hash(): string {
    return this.#trace.copy().digest("hex").slice(0, 16);
  }

  get lines(): readonly string[] {
    return this.#lines;
  }

  /** Names, sizes and numbers only: ids and ciphertext differ between two runs of one seed. */
  trace(who: string, what: string): void {
    const line = `${this.now.toFixed(3).padStart(12)} ${who.padEnd(8)} ${what}`;
    this.#trace.update(`${line}\n`);
    this.#lines.push(line);
  }

  /** A promise of the simulation is broken. */
  fail(why: string): void {
    this.failure ??= new Error(why);
  }

  /** Calls once after `ms`; returns the way to call it off. */
  after(ms: number, call: () => void): () => void {
    const due: Due = { at: this.now + Math.max(0, ms), order: this.#order++, call, off: false };
    let at = this.#due.length;
    while (at > 0 && isLater(this.#due[at - 1], due)) at--;
    this.#due.splice(at, 0, due);
    return () => {
      due.off = true;
    };
  }

  /** Waits in simulated time. */
  pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  /** Lets everything happen up to a time (ms of the course). Throws the first failure. */
  async run(until: number): Promise<void> {
    await this.#rest();
    for (let next = this.#due[0]; next && next.at <= until; next = this.#due[0]) {
      this.#due.shift();
      if (next.off) continue;
      this.now = Math.max(this.now, next.at);
      next.call();
      await this.#rest();
      if (this.failure) throw this.failure;
    }
    this.now = Math.max(this.now, until);
  }

  /** Until nothing moves any more without time going on. */
  async #rest(): Promise<void> {
    for (;;) {
      await new Promise<void>((resolve) => realImmediate(resolve));
      if (this.#immediates.length > 0) {
        for (const call of this.#immediates.splice(0)) call();
      } else if (this.#works.length > 0) {
        const works = this.#chance.shuffle(this.#works);
        this.#works = [];
        await Promise.allSettled(works.map(({ done }) => done));
        for (const work of works) work.deliver();
      } else {
        return;
      }
    }
  }

  #work<T>(done: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      // The outcome is there when it is handed on.
      const deliver = (): void => void done.then(resolve, reject);
      this.#works.push({ done, deliver });
    });
  }

  #takeOver(keys: KeyPool, bytes: Chance, date: () => number): void {
    const real = globalThis.crypto;
    const work = <T>(done: Promise<T>): Promise<T> => this.#work(done);
    const subtle = keys.wrap(real.subtle, work);
    this.#replace(globalThis, "crypto", {
      subtle,
      getRandomValues: <T extends Uint8Array>(into: T): T => fill(into, bytes),
    });
    this.#replace(globalThis, "setImmediate", (call: (...args: unknown[]) => void, ...args: unknown[]) => {
      this.#immediates.push(() => call(...args));
    });
    this.#replace(globalThis, "setTimeout", (call: () => void, ms = 0) => {
      const handle = { off: this.after(ms, call), unref: () => undefined, refresh: (): void => undefined };
      handle.refresh = () => {
        handle.off();
        handle.off = this.after(ms, call);
      };
      return handle;
    });
    this.#replace(globalThis, "setInterval", (call: () => void, ms: number) => {
      const handle = { off: (): void => undefined, unref: () => undefined };
      const again = (): void => {
        handle.off = this.after(ms, () => {
          again();
          call();
        });
      };
      again();
      return handle;
    });
    const clear = (handle: { off(): void } | undefined): void => handle?.off();
    this.#replace(globalThis, "clearTimeout", clear);
    this.#replace(globalThis, "clearInterval", clear);
    this.#replace(Date, "now", date);
  }

  #replace(owner: object, name: string, value: unknown): void {
    const before = Object.getOwnPropertyDescriptor(owner, name);
    Object.defineProperty(owner, name, { value, configurable: true, writable: true });
    this.#restore.push(() => before && Object.defineProperty(owner, name, before));
  }

  [Symbol.dispose](): void {
    for (const restore of this.#restore) restore();
  }
}

function isLater(a: Due | undefined, b: Due): boolean {
  return a !== undefined && (a.at > b.at || (a.at === b.at && a.order > b.order));
}

function fill<T extends Uint8Array>(into: T, bytes: Chance): T {
  for (let at = 0; at < into.length; at++) into[at] = bytes.int(0, 255);
  return into;
}
