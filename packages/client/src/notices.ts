import type { Notice } from "./api.ts";
import { numberKey, put, type RecordOf, type Records } from "./records.ts";
import type { Change } from "./store.ts";

/** So many are kept; what comes then is counted. The first are the ones to look at: a flood must not carry them off. */
const most: Readonly<Record<Notice["level"], number>> = { loud: 256, quiet: 128 };

/** What a person should see once. A notice is kept until it is dismissed. */
export class Notices {
  readonly #records: Records;
  readonly #now: () => number;
  readonly #changed: () => void;
  #shown: readonly RecordOf<"notices">[] = [];
  /** Made and on their way to the store. */
  #pending: readonly RecordOf<"notices">[] = [];
  #next = 0;

  constructor(records: Records, now: () => number, changed: () => void) {
    this.#records = records;
    this.#now = now;
    this.#changed = changed;
  }

  get shown(): readonly Notice[] {
    return this.#shown;
  }

  async load(): Promise<void> {
    this.#shown = (await this.#records.list({ table: "notices" })).map(({ value }) => value);
    this.#next = (this.#shown.at(-1)?.id ?? -1) + 1;
  }

  /** Whether a notice that begins so is shown, or about to be. */
  has(beginning: string): boolean {
    return [...this.#shown, ...this.#pending].some(({ text }) => text.startsWith(beginning));
  }

  /** The record to commit together with its cause; `show` once it is durable. */
  make(level: Notice["level"], text: string): { readonly change: Change; show(): void } {
    const notice = this.#kept(level, text);
    this.#pending = [...this.#pending, notice];
    return {
      change: put("notices", numberKey(notice.id), notice),
      show: () => {
        this.#pending = this.#pending.filter((other) => other !== notice);
        this.#shown = [...this.#shown.filter(({ id }) => id !== notice.id), notice];
        this.#changed();
      },
    };
  }

  #kept(level: Notice["level"], text: string): RecordOf<"notices"> {
    const time = this.#now();
    const same = [...this.#shown, ...this.#pending].filter((notice) => notice.level === level);
    const rest = same.findLast((notice) => notice.leftOut !== undefined);
    if (!rest && same.length < most[level] - 1) return { id: this.#next++, time, level, text };
    const leftOut = (rest?.leftOut ?? 0) + 1;
    const words = `More notices came than are kept, ${leftOut} were left out: the server may be flooding you. Dismiss what you have read.`;
    return { id: rest?.id ?? this.#next++, time, level, text: words, leftOut };
  }

  async add(level: Notice["level"], text: string): Promise<void> {
    // The same words twice tell nothing new.
    if (this.#shown.some((notice) => notice.text === text)) return;
    const { change, show } = this.make(level, text);
    await this.#records.commit([change]);
    show();
  }

  async dismiss(id: number): Promise<void> {
    await this.#records.commit([put("notices", numberKey(id), null)]);
    this.#shown = this.#shown.filter((notice) => notice.id !== id);
    this.#changed();
  }
}
