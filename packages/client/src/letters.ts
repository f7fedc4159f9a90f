import type { AccountId, DeviceId } from "@snug/protocol";
import type { Letter, Thread } from "./api.ts";
import { numberKey, put, type Records, type StoredLetter } from "./records.ts";
import type { Change } from "./store.ts";

const firstOrder = 1;
/** A late letter is put in its place among so many of the newest of its thread; before them it stands at the end. */
const within = 256;

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
      stored: placed,
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

  /**
   * Like {@link add}, but a letter that comes behind later ones of its sender takes its place before them, and the marks
   * of what is missing follow (C21). Only the sender's own places are exchanged: our letters stay where they are.
   */
  async addLate(letters: readonly Omit<StoredLetter, "order">[]): Promise<Placed> {
    const placed = this.add(letters);
    const stored = placed.stored;
    const moved = new Map<string, StoredLetter>();
    for (const thread of new Set(letters.filter(({ sent }) => sent).map((letter) => letter.thread))) {
      const near = await this.#near(thread, stored);
      for (const letter of near.letters) {
        const before = near.was.get(letter.order);
        const same =
          before?.id === letter.id && JSON.stringify(before.state) === JSON.stringify(letter.state);
        if (!same) moved.set(letterKey(thread, letter.order), letter);
      }
    }
    if (moved.size === 0) return placed;
    const at = new Map([...moved.values()].map((letter) => [`${letter.from}:${letter.id}`, letter]));
    const lasts = new Map([...moved.values()].map((letter) => [letter.order, letter]));
    return {
      ...placed,
      letters: placed.letters.map((letter) => {
        const now = at.get(`${letter.from}:${letter.id}`);
        return now ? shown(now) : letter;
      }),
      changes: [...placed.changes, ...[...moved].map(([key, letter]) => put("letters", key, letter))],
      apply: () => {
        placed.apply();
        for (const [account, thread] of this.#threads) {
          const now = thread.last && lasts.get(thread.last.order);
          if (now?.thread === account) this.#threads.set(account, { ...thread, last: shown(now) });
        }
        this.#changed();
      },
    };
  }

  /** The newest letters of a thread as they are and as they should stand, with those about to be added. */
  async #near(
    thread: AccountId,
    added: readonly StoredLetter[],
  ): Promise<{ readonly was: ReadonlyMap<number, StoredLetter>; readonly letters: readonly StoredLetter[] }> {
    const found = await this.#records.list({
      table: "letters",
      from: `${thread}:`,
      until: `${thread};`,
      most: within,
      newestFirst: true,
    });
    const fresh = added.filter((letter) => letter.thread === thread);
    const all = [...found.map(({ value }) => value), ...fresh].sort((a, b) => a.order - b.order);
    const complete = found.length < within;
    const devices = new Set(fresh.flatMap(({ sent }) => (sent ? [sent.device] : [])));
    const letters = [...devices].flatMap((device) => inOrder(all, device, complete));
    return { was: new Map(all.map((letter) => [letter.order, letter])), letters };
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
  readonly stored: readonly StoredLetter[];
  readonly letters: readonly Letter[];
  readonly changes: readonly Change[];
  apply(): void;
}

/** The letters of one device by its own count, in the places that they have together. */
function inOrder(letters: readonly StoredLetter[], device: DeviceId, complete: boolean): StoredLetter[] {
  const own = letters.filter((letter) => letter.sent?.device === device);
  const counted = own.toSorted((a, b) => (a.sent?.counter ?? 0) - (b.sent?.counter ?? 0));
  let last = complete ? 0 : (counted[0]?.sent?.counter ?? 0);
  return counted.map((letter, at) => {
    const counter = letter.sent?.counter ?? 0;
    // Before the oldest that is looked at, nothing new can be said.
    const isFirst = at === 0 && !complete;
    const gapBefore = isFirst ? letter.state.is === "received" && letter.state.gapBefore : counter > last + 1;
    last = counter;
    return { ...letter, order: own[at]?.order ?? letter.order, state: { is: "received", gapBefore } };
  });
}

function letterKey(thread: AccountId, order: number): string {
  return `${thread}:${numberKey(order)}`;
}

function shown(stored: StoredLetter): Letter {
  const { id, thread, from, content, time, order, senderEnd = null, state } = stored;
  return { id, thread, from, text: content.parts[0]?.text ?? "", time, order, senderEnd, state };
}
