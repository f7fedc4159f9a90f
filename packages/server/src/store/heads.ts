import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { AccountId, DeviceId, Hash, StreamId } from "@snug/protocol";

/** Most streams and counters held; above it all are let go and read again. */
const most = 4096;

/** What is not yet delivered of a stream, or of one sender's share in it. Sizes in bytes of the sealed. */
export interface Waiting {
  rows: number;
  bytes: number;
}

/** Where a stream ends. `senders` holds whose share was asked for. */
export interface Head {
  readonly id: number;
  readonly account: AccountId;
  seq: number;
  hash: Hash;
  delivered: number;
  readonly waiting: Waiting;
  readonly senders: Map<AccountId, Waiting>;
  changed: boolean;
}

interface Counter {
  value: number;
  changed: boolean;
}

/**
 * Where streams end and how far devices have counted, held by the one writer: read from the database once, written
 * back once a batch ({@link finish}, inside its transaction) instead of with every row. Whoever changes `streams` or
 * `counters` by another way calls {@link forget} before.
 */
export class Heads {
  readonly #streams = new Map<StreamId, Head>();
  readonly #counters = new Map<string, Counter>();
  readonly #readStream: StatementSync;
  readonly #writeStream: StatementSync;
  readonly #readCounter: StatementSync;
  readonly #writeCounter: StatementSync;
  readonly #readShare: StatementSync;

  constructor(database: DatabaseSync) {
    this.#readStream = database.prepare(
      "SELECT id, account, head, head_hash, delivered, waiting_rows, waiting_bytes FROM streams WHERE stream = ?",
    );
    this.#writeStream = database.prepare(
      "UPDATE streams SET head = ?, head_hash = ?, delivered = ?, waiting_rows = ?, waiting_bytes = ? WHERE id = ?",
    );
    this.#readCounter = database.prepare("SELECT counter FROM counters WHERE device = ? AND stream = ?");
    this.#writeCounter = database.prepare(
      "INSERT INTO counters VALUES (?, ?, ?) ON CONFLICT (device, stream) DO UPDATE SET counter = excluded.counter",
    );
    this.#readShare = database.prepare(
      "SELECT count(*) AS n, coalesce(sum(size), 0) AS bytes FROM rows WHERE stream = ? AND seq > ? AND account = ?",
    );
  }

  stream(stream: StreamId): Head | undefined {
    const known = this.#streams.get(stream);
    if (known) return known;
    const found = this.#readStream.get(stream);
    if (!found) return undefined;
    const head: Head = {
      id: Number(found.id),
      account: found.account as AccountId,
      seq: Number(found.head),
      hash: found.head_hash as Hash,
      delivered: Number(found.delivered),
      waiting: { rows: Number(found.waiting_rows), bytes: Number(found.waiting_bytes) },
      senders: new Map(),
      changed: false,
    };
    this.#streams.set(stream, head);
    return head;
  }

  /** What waits in a stream of one sender. */
  share(of: Head, sender: AccountId): Waiting {
    const known = of.senders.get(sender);
    if (known) return known;
    const found = this.#readShare.get(of.id, of.delivered, sender);
    const share = { rows: Number(found?.n), bytes: Number(found?.bytes) };
    of.senders.set(sender, share);
    return share;
  }

  /** The highest counter seen of a device in a stream, 0 before the first. */
  counter(device: DeviceId, stream: Head): Counter {
    const key = `${stream.id} ${device}`;
    const known = this.#counters.get(key);
    if (known) return known;
    const counter = { value: Number(this.#readCounter.get(device, stream.id)?.counter ?? 0), changed: false };
    this.#counters.set(key, counter);
    return counter;
  }

  /** Writes back what has changed. */
  finish(): void {
    for (const head of this.#streams.values()) {
      if (!head.changed) continue;
      const { id, seq, hash, delivered, waiting } = head;
      this.#writeStream.run(seq, hash, delivered, waiting.rows, waiting.bytes, id);
      head.changed = false;
    }
    for (const [key, counter] of this.#counters) {
      if (!counter.changed) continue;
      const [stream, device = ""] = key.split(" ");
      this.#writeCounter.run(device, Number(stream), counter.value);
      counter.changed = false;
    }
    if (this.#streams.size > most || this.#counters.size > most) this.forget();
  }

  /** Lets go of everything: a batch was rolled back, or the tables are changed by another way. */
  forget(): void {
    this.#streams.clear();
    this.#counters.clear();
  }
}
