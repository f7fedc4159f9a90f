import type { Notice } from "./api.ts";
import { numberKey, put, type Records } from "./records.ts";
import type { Change } from "./store.ts";

/** What a person should see once. A notice is kept until it is dismissed. */
export class Notices {
  readonly #records: Records;
  readonly #now: () => number;
  readonly #changed: () => void;
  #shown: readonly Notice[] = [];
  /** Made and on their way to the store. */
  #pending: readonly Notice[] = [];
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
    const notice: Notice = { id: this.#next++, time: this.#now(), level, text };
    this.#pending = [...this.#pending, notice];
    return {
      change: put("notices", numberKey(notice.id), notice),
      show: () => {
        this.#pending = this.#pending.filter((other) => other !== notice);
        this.#shown = [...this.#shown, notice];
        this.#changed();
      },
    };
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
