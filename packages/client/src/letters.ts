import type { AccountId } from "@snug/protocol";
import type { Letter, Thread } from "./api.ts";
import { numberKey, put, type Records, type StoredLetter } from "./records.ts";
import type { Change } from "./store.ts";

const firstOrder = 1;

/** The letters as kept and shown: one thread with each account, in the order of the store. */
export class Letters {
  readonly #records: Records;
  readonly #changed: () => void;
  readonly #threads = new Map<AccountId, Thread>();
  #next = firstOrder;

  constructor(records: Records, changed: () => void) {
    this.#records = records;
    this.#changed = changed;
  }

  get threads(): Thread[] {
    return [...this.#threads.values()].sort((a, b) => (b.last?.order ?? 0) - (a.last?.order ?? 0));
  }

  async load(): Promise<void> {
    for (const { key, value } of await this.#records.list({ table: "threads" })) {
      const account = key as AccountId;
      const last = (await this.page({ thread: account, most: 1 }))[0] ?? null;
      this.#threads.set(account, { account, last, unread: value.unread });
      this.#next = Math.max(this.#next, (last?.order ?? 0) + 1);
    }
  }

  async page(of: {
    readonly thread: AccountId;
    readonly before?: number;
    readonly most: number;
  }): Promise<Letter[]> {
    const found = await this.#records.list({
      table: "letters",
      from: `${of.thread}:`,
      until: of.before === undefined ? `${of.thread};` : letterKey(of.thread, of.before),
      most: of.most,
      newestFirst: true,
    });
    return found.map(({ value }) => shown(value)).reverse();
  }

  stored(thread: AccountId, order: number): Promise<StoredLetter | undefined> {
    return this.#records.get("letters", letterKey(thread, order));
  }

  /** Places letters at the end of their threads. The caller holds the turn and commits before `apply`. */
  add(letters: readonly Omit<StoredLetter, "order">[]): Placed {
    let next = this.#next;
    const placed = letters.map((letter) => ({ ...letter, order: next++ }));
    const threads = new Map<AccountId, Thread>();
    for (const letter of placed) {
      const thread = threads.get(letter.thread) ?? this.#threads.get(letter.thread);
      const unread = (thread?.unread ?? 0) + (letter.state.is === "received" ? 1 : 0);
      threads.set(letter.thread, { account: letter.thread, last: shown(letter), unread });
    }
    return {
      letters: placed.map(shown),
      changes: [
        ...placed.map((letter) => put("letters", letterKey(letter.thread, letter.order), letter)),
        ...[...threads.values()].map(({ account, unread }) => put("threads", account, { unread })),
      ],
      apply: () => {
        this.#next = next;
        for (const thread of threads.values()) this.#threads.set(thread.account, thread);
        this.#changed();
      },
    };
  }

  /** A letter's new state, to be committed together with its cause. */
  restate(letter: StoredLetter, state: StoredLetter["state"]): { readonly change: Change; apply(): void } {
    const { thread, order } = letter;
    return {
      change: put("letters", letterKey(thread, order), { ...letter, state }),
      apply: () => {
        const known = this.#threads.get(thread);
        if (known?.last?.order === order) {
          this.#threads.set(thread, { ...known, last: { ...known.last, state } });
        }
        this.#changed();
      },
    };
  }

  async markRead(account: AccountId): Promise<void> {
    const thread = this.#threads.get(account);
    if (!thread || thread.unread === 0) return;
    await this.#records.commit([put("threads", account, { unread: 0 })]);
    this.#threads.set(account, { ...thread, unread: 0 });
    this.#changed();
  }
}

export interface Placed {
  readonly letters: readonly Letter[];
  readonly changes: readonly Change[];
  apply(): void;
}

function letterKey(thread: AccountId, order: number): string {
  return `${thread}:${numberKey(order)}`;
}

function shown(stored: StoredLetter): Letter {
  const { id, thread, from, time, order, state } = stored;
  return { id, thread, from, text: stored.content.parts[0]?.text ?? "", time, order, state };
}
