import type { Account } from "@snug/crypto/identity";
import {
  type AccountId,
  type Content,
  MessageId,
  type RequestOf,
  type ResponseOf,
  randomId,
  SnugError,
  type StreamId,
  textContent,
} from "@snug/protocol";
import { NetworkError } from "./api.ts";
import { Stop } from "./connection.ts";
import type { DirectoryLog } from "./directory.ts";
import type { Letters } from "./letters.ts";
import type { Link } from "./link.ts";
import type { Notices } from "./notices.ts";
import type { People } from "./people.ts";
import type { Platform } from "./platform.ts";
import { numberKey, type Outgoing, put, type RecordOf, type Records } from "./records.ts";
import { type Change, StoreError } from "./store.ts";
import type { Turns } from "./turns.ts";

/** A letter that the server could not take for now is offered again after this. */
const retryHeld = 30_000;
const deliveryPage = 256;

/** Seals one letter from this device: everything but the secrets is named. */
export type Sealer = (of: {
  readonly to: Account;
  readonly outgoing: Outgoing;
  readonly counter: number;
}) => Promise<NonNullable<Outgoing["sealed"]>>;

export interface OutboxParts {
  readonly records: Records;
  /** Shared by all who write letters. */
  readonly turns: Turns;
  readonly letters: Letters;
  readonly people: People;
  readonly log: DirectoryLog;
  readonly notices: Notices;
  readonly platform: Platform;
  readonly me: AccountId;
  readonly seal: Sealer;
  readonly submit: (request: RequestOf<"submit">) => Promise<ResponseOf<"submit">>;
  readonly readDelivery: (request: RequestOf<"delivery-read">) => Promise<ResponseOf<"delivery-read">>;
  readonly isOnline: () => boolean;
  /** The store failed: nothing can be promised before it is asked again. */
  readonly broken: (error: unknown) => void;
}

/** Everything that is on its way out: durable before it leaves, one at a time per stream, in counter order (C8 …). */
export class Outbox {
  readonly #parts: OutboxParts;
  readonly #entries = new Map<number, Outgoing>();
  readonly #counters = new Map<StreamId, RecordOf<"counters">>();
  readonly #flushing = new Set<AccountId>();
  /** Asked for while a flush was under way. */
  readonly #again = new Set<AccountId>();
  readonly #recounted = new Set<AccountId>();
  /** The server's own highest counters, from sign-in and its acknowledgements. */
  readonly #seen = new Map<StreamId, number>();
  readonly #waiters = new Map<MessageId, { resolve(): void; reject(error: Error): void }[]>();
  readonly #held = new Map<MessageId, SnugError>();
  /** What may have been told to be delivered before it had its answer here: what became of it is asked for behind that. */
  readonly #early = new Set<MessageId>();
  #callOff: () => void = () => undefined;
  #place = 0;

  constructor(parts: OutboxParts) {
    this.#parts = parts;
  }

  async load(): Promise<void> {
    const { records } = this.#parts;
    for (const { value } of await records.list({ table: "outbox" })) {
      this.#entries.set(value.place, value);
      this.#place = value.place + 1;
      if (!value.accepted) this.#early.add(value.id);
    }
    for (const { key, value } of await records.list({ table: "counters" })) {
      this.#counters.set(key as StreamId, value);
    }
  }

  /** Resolves when the letter, sealed unless something holds it, is durable. */
  async add(to: AccountId, text: string): Promise<MessageId> {
    const { turns, letters, records, platform, me } = this.#parts;
    const id = await turns.run(async () => {
      const content = textContent(text);
      const letter = { id: randomId(MessageId), thread: to, from: me, content, time: platform.now() };
      const placed = letters.add([{ ...letter, state: { is: "queued" } }]);
      const entry = this.#entry(letter.id, to, content, placed.letters[0]?.order ?? null);
      const sealed = this.#waitingFor(to).every((earlier) => earlier.sealed) && (await this.#sealed(entry));
      const kept = sealed || { entry, changes: [], count: () => undefined };
      const own = put("outbox", numberKey(kept.entry.place), kept.entry);
      // The copy to oneself comes back as a row of the own inbox under the same id, and is here already.
      const known = put("received", `${me}:${letter.id}`, {});
      await records.commit([...placed.changes, ...kept.changes, own, known]);
      kept.count();
      this.#keep(kept.entry);
      placed.apply();
      return letter.id;
    });
    this.kick();
    return id;
  }

  /** Resolves when the letter has left; rejects with what holds it. */
  settled(id: MessageId): Promise<void> {
    const waits = ({ letter, accepted, ...entry }: Outgoing) =>
      entry.id === id && letter !== null && !accepted;
    if (![...this.#entries.values()].some(waits)) return Promise.resolve();
    const held = this.#held.get(id);
    if (held) return Promise.reject(held);
    return new Promise((resolve, reject) => {
      this.#waiters.set(id, [...(this.#waiters.get(id) ?? []), { resolve, reject }]);
    });
  }

  /** Nothing will leave any more: whoever waits is told. */
  end(error: Error): void {
    this.#callOff();
    for (const [id, waiters] of this.#waiters) {
      this.#waiters.delete(id);
      for (const { reject } of waiters) reject(error);
    }
  }

  /**
   * What the server has seen of this device. More than we sealed: this store is an older copy of itself; we go on
   * behind. Less than it has acknowledged: the server lost something.
   */
  async compare(counters: ResponseOf<"sign-in">["counters"]): Promise<void> {
    // Of streams that are nobody's inbox there is nothing to be counted.
    const known = counters.filter(({ stream }) => this.#parts.log.isInbox(stream));
    const seen = new Map(known.map(({ stream, counter }) => [stream, counter]));
    const next = new Map<StreamId, RecordOf<"counters">>();
    let behind = false;
    for (const stream of new Set([...seen.keys(), ...this.#counters.keys()])) {
      const theirs = seen.get(stream) ?? 0;
      const ours = this.#counters.get(stream) ?? { sealed: 0, accepted: 0 };
      if (theirs < ours.accepted) {
        throw new Stop("rolled-back", `the server has lost letters that it had acknowledged`);
      }
      this.#seen.set(stream, theirs);
      behind ||= theirs > ours.sealed;
      next.set(stream, { sealed: Math.max(ours.sealed, theirs), accepted: ours.accepted });
    }
    this.#recounted.clear();
    if (!behind) return;
    const notice = this.#parts.notices.make(
      "loud",
      "The server has seen newer letters of this device than its own store knows: the store was put back to an older state. Letters sent since then are missing here.",
    );
    const changes = [...next].map(([stream, value]) => put("counters", stream, value));
    await this.#parts.records.commit([...changes, notice.change]);
    for (const [stream, value] of next) this.#counters.set(stream, value);
    notice.show();
  }

  /** By stream the send counters that are not offered to the server again: a restored one counts on behind them (C30). */
  usedCounters(): { stream: StreamId; counter: number }[] {
    const used = [...this.#counters].map(([stream, { sealed }]) => {
      const offered = [...this.#entries.values()].flatMap((entry) =>
        entry.sealed && this.#stream(entry.to) === stream ? [entry.sealed.counter] : [],
      );
      return { stream, counter: Math.min(sealed, ...offered.map((counter) => counter - 1)) };
    });
    return used.filter(({ counter }) => counter > 0);
  }

  /**
   * The server was restored: what it had accepted and not delivered may be lost there, and is offered again with the
   * same bytes (C30). Its records, to be committed with their cause, then `apply`.
   */
  async offerAgain(used: readonly { stream: StreamId; counter: number }[]): Promise<{
    readonly letters: number;
    readonly changes: readonly Change[];
    apply(): void;
  }> {
    const counters = new Map(
      [...this.#counters].map(([stream, { sealed }]) => {
        const accepted = used.find((one) => one.stream === stream)?.counter ?? 0;
        return [stream, { sealed, accepted }] as const;
      }),
    );
    const again = [...this.#entries.values()]
      .filter(({ accepted }) => accepted)
      .map((entry) => ({ ...entry, accepted: false, again: true }));
    const changes: Change[] = again.map((entry) => put("outbox", numberKey(entry.place), entry));
    for (const [stream, value] of counters) changes.push(put("counters", stream, value));
    const applies: (() => void)[] = [];
    for (const { to, letter: order } of again) {
      const letter = order === null ? undefined : await this.#parts.letters.stored(to, order);
      if (!letter) continue;
      const { change, apply } = this.#parts.letters.restate(letter, { is: "queued" });
      changes.push(change);
      applies.push(apply);
    }
    return {
      letters: applies.length,
      changes,
      apply: () => {
        // What it still has may have been delivered long since: nobody tells that a second time by itself.
        for (const entry of again) {
          this.#keep(entry);
          this.#early.add(entry.id);
        }
        for (const [stream, value] of counters) this.#counters.set(stream, value);
        for (const apply of applies) apply();
      },
    };
  }

  /** Asks which accepted letters have been delivered meanwhile. */
  async askDelivered(link: Pick<Link, "request">): Promise<void> {
    const ids = [...this.#entries.values()].flatMap((entry) => (entry.accepted ? [entry.id] : []));
    for (let at = 0; at < ids.length; at += deliveryPage) {
      const page = ids.slice(at, at + deliveryPage);
      await this.delivered((await link.request("delivery-read", { ids: page })).delivered);
    }
  }

  async delivered(ids: readonly MessageId[]): Promise<void> {
    const { turns, letters, records } = this.#parts;
    await turns.run(async () => {
      const wanted = new Set(ids);
      const named = [...this.#entries.values()].filter((entry) => wanted.has(entry.id));
      const found = named.filter((entry) => entry.accepted);
      for (const { id, accepted } of named) if (!accepted) this.#early.add(id);
      const changes: Change[] = found.map((entry) => put("outbox", numberKey(entry.place), null));
      const applies: (() => void)[] = [];
      for (const entry of found) {
        const letter = entry.letter === null ? undefined : await letters.stored(entry.to, entry.letter);
        if (!letter) continue;
        const { change, apply } = letters.restate(letter, { is: "delivered" });
        changes.push(change);
        applies.push(apply);
      }
      await records.commit(changes);
      for (const entry of found) this.#entries.delete(entry.place);
      for (const apply of applies) apply();
    });
  }

  /** Looks again at everything that waits: online, after a change of the directory or of trust. */
  kick(): void {
    const waiting = [...this.#entries.values()].filter((entry) => !entry.accepted);
    for (const to of new Set(waiting.map((entry) => entry.to))) {
      if (this.#flushing.has(to)) this.#again.add(to);
      else this.#flush(to).catch(this.#parts.broken);
    }
  }

  async #flush(to: AccountId): Promise<void> {
    this.#flushing.add(to);
    try {
      do {
        this.#again.delete(to);
        await this.#drain(to);
      } while (this.#again.has(to));
    } finally {
      this.#flushing.delete(to);
    }
  }

  async #drain(to: AccountId): Promise<void> {
    for (;;) {
      const [first] = this.#waitingFor(to);
      if (!first) return;
      try {
        const obstacle = this.#obstacle(to);
        if (obstacle) return await this.#hold(to, new SnugError("policy", obstacle));
        const entry = await this.#ready(first);
        if (!entry?.sealed || !this.#parts.isOnline()) return;
        await this.#submit(entry, entry.sealed);
      } catch (error) {
        const goOn = await this.#failed(first, error);
        if (!goOn) return;
      }
    }
  }

  async #submit(entry: Outgoing, sealed: NonNullable<Outgoing["sealed"]>): Promise<void> {
    const stream = this.#stream(entry.to);
    await this.#parts.submit({
      stream,
      kind: "letter",
      class: "durable",
      id: entry.id,
      counter: sealed.counter,
      sealed: sealed.bytes,
      expires: null,
    });
    await this.#accepted(entry, stream, sealed.counter);
  }

  /** Whether to go on at once. */
  async #failed(entry: Outgoing, error: unknown): Promise<boolean> {
    // An unclear outcome: the same bytes are offered again on the next link (C9).
    if (error instanceof NetworkError) {
      this.#early.add(entry.id);
      return false;
    }
    if (error instanceof StoreError) {
      this.#retryLater();
      return false;
    }
    const known = error instanceof SnugError ? error : new SnugError("internal", String(error));
    if (known.code === "id-conflict") {
      // The server already has this letter, as it was sealed before its recipient's keys changed, or by this device
      // before its store was put back to an older state. The counter of this sealing was not used.
      await this.#accepted(entry, this.#stream(entry.to), 0);
      return true;
    }
    if (known.code === "out-of-order" && !this.#recounted.has(entry.to)) {
      this.#recounted.add(entry.to);
      await this.#recount(entry.to);
      return true;
    }
    const why =
      known.code === "quota"
        ? `their letterbox is full; it is offered again (${known.message})`
        : known.message;
    if (known.code !== "too-many" && known.code !== "unavailable") {
      await this.#hold(entry.to, new SnugError(known.code, why, { cause: known }));
    }
    this.#retryLater();
    return false;
  }

  #retryLater(): void {
    this.#callOff();
    this.#callOff = this.#parts.platform.after(retryHeld, () => this.kick());
  }

  /** The server's word for "accepted", and the copy to oneself, in one transaction. */
  async #accepted(entry: Outgoing, stream: StreamId, counter: number): Promise<void> {
    const { turns, letters, records, me } = this.#parts;
    await turns.run(async () => {
      const accepted: Outgoing = { ...entry, accepted: true };
      const known = this.#counters.get(stream) ?? { sealed: counter, accepted: 0 };
      const counters = { ...known, accepted: Math.max(known.accepted, counter) };
      const changes: Change[] = [
        put("outbox", numberKey(entry.place), accepted),
        put("counters", stream, counters),
      ];
      const toCopy = entry.letter !== null && entry.to !== me && !entry.again;
      const copy = toCopy ? this.#entry(entry.id, me, entry.content, null, entry.to) : null;
      if (copy) changes.push(put("outbox", numberKey(copy.place), copy));
      const letter = entry.letter === null ? undefined : await letters.stored(entry.to, entry.letter);
      const restated = letter && letters.restate(letter, { is: "accepted" });
      if (restated) changes.push(restated.change);
      await records.commit(changes);
      this.#counters.set(stream, counters);
      this.#seen.set(stream, Math.max(this.#seen.get(stream) ?? 0, counter));
      this.#entries.set(entry.place, accepted);
      if (copy) this.#keep(copy);
      restated?.apply();
    });
    this.#held.delete(entry.id);
    for (const { resolve } of this.#waiters.get(entry.id) ?? []) resolve();
    this.#waiters.delete(entry.id);
    if (this.#early.delete(entry.id)) this.#askAgain(entry.id).catch(this.#parts.broken);
    this.kick();
  }

  async #askAgain(id: MessageId): Promise<void> {
    const answer = await this.#parts.readDelivery({ ids: [id] }).catch((error: unknown) => {
      // Each connection asks for all that is not delivered.
      if (error instanceof NetworkError || error instanceof SnugError) return { delivered: [] };
      throw error;
    });
    await this.delivered(answer.delivered);
  }

  /** The entry sealed to the recipient's newest key and stored, or undefined when it is gone meanwhile. */
  #ready(first: Outgoing): Promise<Outgoing | undefined> {
    const { turns, letters, records } = this.#parts;
    return turns.run(async () => {
      const entry = this.#entries.get(first.place);
      if (!entry || entry.accepted) return undefined;
      const changes: Change[] = [];
      const letter = entry.letter === null ? undefined : await letters.stored(entry.to, entry.letter);
      const freed = letter?.state.is === "held" ? letters.restate(letter, { is: "queued" }) : undefined;
      if (freed) changes.push(freed.change);
      const current = this.#parts.log.account(entry.to).encryption.at(-1)?.keyId;
      const sealed = entry.sealed?.keyId === current ? undefined : await this.#sealed(entry);
      const kept = sealed?.entry ?? entry;
      if (sealed) changes.push(...sealed.changes, put("outbox", numberKey(kept.place), kept));
      await records.commit(changes);
      sealed?.count();
      this.#keep(kept);
      this.#held.delete(kept.id);
      freed?.apply();
      return kept;
    });
  }

  /** The server counts otherwise than we: everything that waits for this stream is sealed anew behind its count. */
  #recount(to: AccountId): Promise<void> {
    return this.#parts.turns.run(async () => {
      const stream = this.#stream(to);
      const known = this.#counters.get(stream) ?? { sealed: 0, accepted: 0 };
      const waiting = this.#waitingFor(to);
      const counters = { ...known, sealed: Math.max(known.accepted, this.#seen.get(stream) ?? 0) };
      const bare = waiting.map((entry) => ({ ...entry, sealed: null, resealed: true }));
      const changes = bare.map((entry) => put("outbox", numberKey(entry.place), entry));
      await this.#parts.records.commit([...changes, put("counters", stream, counters)]);
      this.#counters.set(stream, counters);
      for (const entry of bare) this.#keep(entry);
    });
  }

  /** Marks everything that waits for this account as held, with the reason. */
  #hold(to: AccountId, error: SnugError): Promise<void> {
    const { turns, letters, records } = this.#parts;
    return turns.run(async () => {
      const waiting = this.#waitingFor(to);
      const changes: Change[] = [];
      const applies: (() => void)[] = [];
      for (const entry of waiting) {
        const letter = entry.letter === null ? undefined : await letters.stored(to, entry.letter);
        if (!letter || (letter.state.is === "held" && letter.state.why === error.message)) continue;
        const { change, apply } = letters.restate(letter, { is: "held", why: error.message });
        changes.push(change);
        applies.push(apply);
      }
      await records.commit(changes);
      for (const apply of applies) apply();
      for (const { id, letter } of waiting) {
        if (letter === null) continue;
        this.#held.set(id, error);
        for (const { reject } of this.#waiters.get(id) ?? []) reject(error);
        this.#waiters.delete(id);
      }
    });
  }

  /**
   * Gives the entry its counter and seals it; null while something stands in the way. The counter is stored with it, and
   * `count`s from then on: one that could not be stored is the next one's.
   */
  async #sealed(entry: Outgoing): Promise<{ entry: Outgoing; changes: Change[]; count(): void } | null> {
    if (this.#obstacle(entry.to)) return null;
    const stream = this.#stream(entry.to);
    const known = this.#counters.get(stream) ?? { sealed: 0, accepted: 0 };
    const counter = entry.sealed?.counter ?? known.sealed + 1;
    const sealed = await this.#parts.seal({
      to: this.#parts.log.account(entry.to),
      outgoing: entry,
      counter,
    });
    const counters = { ...known, sealed: Math.max(known.sealed, counter) };
    const resealed = entry.resealed || entry.sealed !== null;
    return {
      entry: { ...entry, sealed, resealed },
      changes: [put("counters", stream, counters)],
      count: () => this.#counters.set(stream, counters),
    };
  }

  #obstacle(to: AccountId): string | null {
    return this.#parts.people.obstacle(this.#parts.log.account(to));
  }

  #stream(to: AccountId): StreamId {
    const stream = this.#parts.log.inbox(to);
    if (!stream) throw new SnugError("not-found", "the directory names no letterbox of this account");
    return stream;
  }

  /** What has not been accepted yet, oldest first. */
  #waitingFor(to: AccountId): Outgoing[] {
    return [...this.#entries.values()]
      .filter((entry) => entry.to === to && !entry.accepted)
      .sort((a, b) => a.place - b.place);
  }

  #entry(
    id: MessageId,
    to: AccountId,
    content: Content,
    ...[letter, copyOf = null]: [number | null, Outgoing["copyOf"]?]
  ): Outgoing {
    const place = this.#place++;
    const time = this.#parts.platform.now();
    return { id, to, place, content, time, letter, copyOf, sealed: null, resealed: false, accepted: false };
  }

  #keep(entry: Outgoing): void {
    this.#entries.set(entry.place, entry);
  }
}
