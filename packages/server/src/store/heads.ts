import type { AccountId, DeviceId, Hash, MessageId, StreamId } from "@snug/protocol";
import type { Sql } from "./sql.ts";

/** Most streams and counters held; above it all are let go and read again. */
const most = 4096;
/** Rows of a stream that are remembered until they are delivered; older ones are read again. */
const mostRecent = 256;

/** What is not yet delivered of a stream, or of one sender's share in it. Sizes in bytes of the sealed. */
export interface Waiting {
  rows: number;
  bytes: number;
}

/** What settling needs of a row. */
export interface Recent {
  readonly seq: number;
  readonly account: AccountId;
  readonly id: MessageId;
  readonly size: number;
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
  /** The cursors of the owner's active devices. */
  readonly devices: Map<DeviceId, number>;
  /** The newest rows, without a gap up to `seq`. */
  readonly recent: Recent[];
}

export interface Counter {
  readonly device: DeviceId;
  readonly stream: number;
  /** The highest seen, 0 before the first. */
  value: number;
}

/**
 * Where streams end, how far devices have counted and how far they have read, held by the one writer: read from the
 * database once, written back once a batch ({@link finish}, inside its transaction) instead of with every row. Moved
 * cursors wait for a batch that is told to take them along: a device that is there says at each sign-in how far it is,
 * so what a crash loses of them comes back by itself. Whoever changes `streams`, `devices` or `counters` by another
 * way calls {@link forget} before.
 */
export class Heads {
  readonly #streams = new Map<StreamId, Head>();
  readonly #byNumber = new Map<number, Head>();
  readonly #counters = new Map<string, Counter>();
  /** What came to streams: written back with the rows. */
  #grown = new Map<Head, Waiting>();
  #counted = new Set<Counter>();
  /** What was delivered of streams: written back with the cursors. */
  #settled = new Map<Head, Waiting>();
  /** Cursors that are not yet in the database, by the stream's number. They outlive {@link forget}. */
  #moved = new Map<number, Map<DeviceId, number>>();
  #movedWritten = false;
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  stream(stream: StreamId): Head | undefined {
    const known = this.#streams.get(stream);
    if (known) return known;
    const found = this.#sql.get(
      "SELECT id, account, head, head_hash, delivered, waiting_rows, waiting_bytes FROM streams WHERE stream = ?",
      stream,
    );
    if (!found) return undefined;
    const id = Number(found.id);
    const account = found.account as AccountId;
    const head: Head = {
      ...{ id, account, seq: Number(found.head), hash: found.head_hash as Hash },
      delivered: Number(found.delivered),
      waiting: { rows: Number(found.waiting_rows), bytes: Number(found.waiting_bytes) },
      ...{ senders: new Map(), devices: this.#cursors(id, account), recent: [] },
    };
    this.#streams.set(stream, head);
    this.#byNumber.set(id, head);
    // After a rollback: what was told stays told.
    if (this.#moved.has(id)) this.settle(head);
    return head;
  }

  /** Up to where a stream is delivered, by its number. */
  delivered(stream: number): number {
    const known = this.#byNumber.get(stream);
    if (known) return known.delivered;
    const name = this.#sql.get("SELECT stream FROM streams WHERE id = ?", stream)?.stream;
    return this.stream(name as StreamId)?.delivered ?? 0;
  }

  #cursors(stream: number, account: AccountId): Map<DeviceId, number> {
    const stored = this.#sql.all(
      `SELECT devices.device, coalesce(cursors.seq, 0) AS seq FROM devices
        LEFT JOIN cursors ON cursors.device = devices.device AND cursors.stream = ?
        WHERE devices.account = ? AND devices.active = 1`,
      stream,
      account,
    );
    const moved = this.#moved.get(stream);
    return new Map(
      stored.map(({ device, seq }) => [
        device as DeviceId,
        Math.max(Number(seq), moved?.get(device as DeviceId) ?? 0),
      ]),
    );
  }

  /** Never back; of a device that is active. */
  moveCursor(head: Head, device: DeviceId, seq: number): void {
    const before = head.devices.get(device);
    if (before === undefined || before >= seq) return;
    head.devices.set(device, seq);
    const moved = this.#moved.get(head.id) ?? new Map<DeviceId, number>();
    this.#moved.set(head.id, moved.set(device, seq));
  }

  /** Raises what counts as delivered to the lowest cursor of the active devices, and returns what that covers anew. */
  settle(head: Head): readonly Recent[] {
    const { delivered, devices } = head;
    const lowest = Math.min(head.seq, ...devices.values());
    if (devices.size === 0 || lowest <= delivered) return [];
    const rows = this.#between(head, delivered, lowest);
    const settled = counted(this.#settled, head);
    for (const { account, size } of rows) {
      add(settled, 1, size);
      add(head.waiting, -1, -size);
      const share = head.senders.get(account);
      if (share) add(share, -1, -size);
    }
    head.delivered = lowest;
    return rows;
  }

  #between(head: Head, after: number, last: number): readonly Recent[] {
    const { id, recent } = head;
    const [oldest] = recent;
    if (oldest && oldest.seq <= after + 1) {
      recent.splice(0, after + 1 - oldest.seq);
      return recent.splice(0, last - after);
    }
    const rows = this.#sql.all(
      "SELECT seq, account, message AS id, size FROM rows WHERE stream = ? AND seq > ? AND seq <= ?",
      ...[id, after, last],
    );
    return rows as unknown as Recent[];
  }

  /** A row was appended, with the counter of its device; it waits in the stream and in the `shares` of it. */
  grow(
    head: Head,
    row: Recent & { readonly hash: Hash },
    of: { readonly counter: Counter; readonly shares: readonly Waiting[] },
  ): void {
    const { seq, account, id, size, hash } = row;
    head.recent.push({ seq, account, id, size });
    if (head.recent.length > mostRecent) head.recent.shift();
    head.seq = seq;
    head.hash = hash;
    for (const waiting of [counted(this.#grown, head), ...of.shares]) add(waiting, 1, size);
    of.counter.value++;
    this.#counted.add(of.counter);
  }

  /** What waits in a stream of one sender. */
  share(of: Head, sender: AccountId): Waiting {
    const known = of.senders.get(sender);
    if (known) return known;
    const found = this.#sql.get(
      "SELECT count(*) AS n, coalesce(sum(size), 0) AS bytes FROM rows WHERE stream = ? AND seq > ? AND account = ?",
      ...[of.id, of.delivered, sender],
    );
    const share = { rows: Number(found?.n), bytes: Number(found?.bytes) };
    of.senders.set(sender, share);
    return share;
  }

  counter(device: DeviceId, stream: Head): Counter {
    const key = `${stream.id} ${device}`;
    const known = this.#counters.get(key);
    if (known) return known;
    const found = this.#sql.get(
      "SELECT counter FROM counters WHERE device = ? AND stream = ?",
      device,
      stream.id,
    );
    const counter = { device, stream: stream.id, value: Number(found?.counter ?? 0) };
    this.#counters.set(key, counter);
    return counter;
  }

  /** Whether cursors wait for a batch that takes them along. */
  get moved(): boolean {
    return this.#moved.size > 0;
  }

  /** Too much is held to go on so: everything must be written back and let go. */
  get full(): boolean {
    return this.#streams.size > most || this.#counters.size > most;
  }

  /** Writes back what has changed, inside the transaction of a batch; moved cursors when they are to come along. */
  finish(cursorsToo: boolean): void {
    for (const { device, stream, value } of this.#counted) {
      this.#sql.run(
        "INSERT INTO counters VALUES (?, ?, ?) ON CONFLICT (device, stream) DO UPDATE SET counter = excluded.counter",
        ...[device, stream, value],
      );
    }
    for (const [{ id, seq, hash }, { rows, bytes }] of this.#grown) {
      this.#sql.run(
        "UPDATE streams SET head = ?, head_hash = ?, waiting_rows = waiting_rows + ?, waiting_bytes = waiting_bytes + ? WHERE id = ?",
        ...[seq, hash, rows, bytes, id],
      );
    }
    // Anew instead of cleared: a cleared set's former table keeps what was in it until the next full collection.
    this.#counted = new Set();
    this.#grown = new Map();
    if (cursorsToo) this.#writeCursors();
  }

  #writeCursors(): void {
    // What was let go of by a rollback is settled again first: delivered and cursors are written together.
    for (const stream of this.#moved.keys()) this.delivered(stream);
    for (const [stream, devices] of this.#moved) {
      for (const [device, seq] of devices) {
        this.#sql.run(
          "INSERT INTO cursors VALUES (?, ?, ?) ON CONFLICT (device, stream) DO UPDATE SET seq = max(seq, excluded.seq)",
          ...[device, stream, seq],
        );
      }
    }
    for (const [{ id, delivered }, { rows, bytes }] of this.#settled) {
      this.#sql.run(
        "UPDATE streams SET delivered = ?, waiting_rows = waiting_rows - ?, waiting_bytes = waiting_bytes - ? WHERE id = ?",
        ...[delivered, rows, bytes, id],
      );
    }
    this.#settled = new Map();
    this.#movedWritten = true;
  }

  /** The batch is durable. */
  committed(): void {
    if (this.#movedWritten) this.#moved = new Map();
    this.#movedWritten = false;
  }

  /** The batch was rolled back. */
  undo(): void {
    this.#movedWritten = false;
    this.forget();
  }

  /** Lets go of everything but cursors that are not yet durable. */
  forget(): void {
    for (const held of [
      this.#streams,
      this.#byNumber,
      this.#counters,
      this.#grown,
      this.#counted,
      this.#settled,
    ])
      held.clear();
  }
}

function counted(counts: Map<Head, Waiting>, head: Head): Waiting {
  const known = counts.get(head);
  if (known) return known;
  const none = { rows: 0, bytes: 0 };
  counts.set(head, none);
  return none;
}

function add(to: Waiting, rows: number, bytes: number): void {
  to.rows += rows;
  to.bytes += bytes;
}
