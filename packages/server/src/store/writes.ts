import { hash as digest } from "node:crypto";
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import type { AccountId, DeviceId, Hash, Incarnation, Row, StreamId } from "@snug/protocol";
import { SnugError } from "@snug/protocol/errors";
import { firstPrevious, rowHashInput } from "@snug/protocol/rowHash";
import { type Head, Heads, type Waiting } from "./heads.ts";
import { type RestoredStatements, RestoredWrites, type UsedCounter } from "./restored.ts";
import type {
  Block,
  Invite,
  MessageRef,
  NewAccount,
  NewRow,
  NewStatement,
  Pass,
  Quota,
  StatementEffects,
} from "./store.ts";

/** A row as it travels to the writer: a list costs a fraction of what an object does. */
export type RowValues = readonly [
  stream: StreamId,
  kind: Row["kind"],
  account: AccountId,
  device: DeviceId,
  id: NewRow["id"],
  counter: number,
  sealed: Uint8Array,
  expires: number | null,
  now: number,
];
/** What only the log knows of a row. `fresh` is false for an expected double. */
export interface RowFacts {
  readonly seq: number;
  readonly rowHash: Hash;
  readonly accepted: number;
  readonly fresh: { readonly previous: Hash; readonly sealedHash: Hash } | null;
}

/** Delivered bodies are kept this long (D12). */
const keepDelivered = 30 * 24 * 3_600_000;

/**
 * Every change of the database, each inside the transaction of its batch. A refusal (SnugError) is thrown before the
 * first write, so that it never takes the others of its batch along.
 */
export class Writes {
  readonly #database: DatabaseSync;
  readonly #incarnation: Incarnation;
  readonly #prepared = new Map<string, StatementSync>();
  readonly #heads: Heads;
  readonly #restored: RestoredWrites;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#heads = new Heads(database);
    this.#incarnation = this.#get("SELECT value FROM meta WHERE key = 'incarnation'")?.value as Incarnation;
    this.#restored = new RestoredWrites(database, this.#incarnation);
  }

  /** The last step of each batch, inside its transaction. */
  finish(): void {
    this.#heads.finish();
  }

  /** After a batch was rolled back. */
  forget(): void {
    this.#heads.forget();
  }

  addAccount(of: NewAccount): void {
    const invite = this.#get("SELECT uses_left, expires FROM invites WHERE hash = ?", of.invite);
    const usable = invite && Number(invite.uses_left) > 0 && Number(invite.expires) > of.now;
    if (!usable) {
      throw new SnugError("invite-invalid", "this invite is not valid, no longer, or used up");
    }
    if (this.#get("SELECT 1 FROM devices WHERE device = ?", of.device)) {
      throw new SnugError("conflict", "this device id is taken; make a new device");
    }
    this.#checkIndex(of.index);
    this.#run("UPDATE invites SET uses_left = uses_left - 1 WHERE hash = ?", of.invite);
    this.#run("INSERT INTO accounts VALUES (?, ?, ?)", of.account, of.inbox, of.recovery);
    this.#run("INSERT INTO devices VALUES (?, ?, 1)", of.device, of.account);
    this.#run(
      "INSERT INTO streams (stream, account, head, head_hash, delivered, waiting_rows, waiting_bytes) VALUES (?, ?, 0, ?, 0, 0, 0)",
      of.inbox,
      of.account,
      firstPrevious,
    );
    this.#addLeaf(of, of.inbox);
  }

  addStatement(of: NewStatement, effects: StatementEffects): void {
    for (const device of effects.addedDevices) {
      if (this.#get("SELECT 1 FROM devices WHERE device = ?", device)) {
        throw new SnugError("conflict", "this device id is taken; make a new device");
      }
    }
    this.#checkIndex(of.index);
    for (const device of effects.addedDevices) {
      this.#run("INSERT INTO devices VALUES (?, ?, 1)", device, of.account);
    }
    for (const device of effects.endedDevices) {
      this.#run("UPDATE devices SET active = 0 WHERE device = ?", device);
      this.endPasses(device);
    }
    if (effects.endedInvites) this.#run("DELETE FROM invites WHERE account = ?", effects.endedInvites);
    this.#addLeaf(of, null);
  }

  append(of: RowValues, quota: Quota): RowFacts {
    const [stream, kind, account, device, id, counter, sealed, expires, now] = of;
    const head = this.#heads.stream(stream);
    if (!head) throw new SnugError("not-found", "there is no such stream");
    const sealedHash = digest("sha256", sealed, "base64url") as Hash;
    const last = this.#heads.counter(device, head);
    const shares = this.#sharesOf(head, account, sealed.length, quota);
    const refusal = counterProblem(counter, last.value) ?? quotaProblem(shares, sealed.length);
    // A double is a double whatever else the submit says (D5): only then does a refusal count.
    const known = refusal && this.#findDouble(of, head, sealedHash);
    if (known) return known;
    if (refusal) throw refusal;
    const header = {
      ...{ stream, seq: head.seq + 1, incarnation: this.#incarnation, kind, class: "durable" as const },
      ...{ account, device, id, counter, generation: null, epoch: null },
      ...{ sealedHash, accepted: now, expires, previous: head.hash },
    };
    const rowHash = digest("sha256", rowHashInput(header), "base64url") as Hash;
    if (!this.#insertRow({ ...header, rowHash }, head, sealed)) {
      const double = this.#findDouble(of, head, sealedHash);
      if (double) return double;
      throw new Error("a row that is there and is not");
    }
    last.value = counter;
    last.changed = true;
    for (const { waiting } of shares) {
      waiting.rows++;
      waiting.bytes += sealed.length;
    }
    Object.assign(head, { seq: header.seq, hash: rowHash, changed: true });
    return { seq: header.seq, rowHash, accepted: now, fresh: { previous: header.previous, sealedHash } };
  }

  /** What counts against the quota, with its bound: the whole stream, and of it the sender's share where it matters. */
  #sharesOf(head: Head, sender: AccountId, size: number, quota: Quota): Share[] {
    const { waiting, senders } = head;
    const whole = { waiting, rows: quota.rows, bytes: quota.bytes, whose: "" };
    const { senderRows: rows, senderBytes: bytes } = quota;
    // No share is larger than the whole. One's own copies are one's own affair.
    const small = waiting.rows + 1 <= rows && waiting.bytes + size <= bytes;
    if (sender === head.account || (small && !senders.has(sender))) return [whole];
    return [whole, { waiting: this.#heads.share(head, sender), rows, bytes, whose: " of yours" }];
  }

  #findDouble(row: RowValues, head: Head, sealedHash: Hash): RowFacts | undefined {
    const [, , , device, id] = row;
    const first = this.#get(
      "SELECT seq, row_hash, accepted, sealed_hash FROM rows WHERE message = ? AND device = ? AND stream = ?",
      id,
      device,
      head.id,
    );
    if (!first) return undefined;
    if (first.sealed_hash !== sealedHash) {
      throw new SnugError("id-conflict", "this id was already used for other bytes; take a new id");
    }
    return {
      seq: Number(first.seq),
      rowHash: first.row_hash as Hash,
      accepted: Number(first.accepted),
      fresh: null,
    };
  }

  /** False, and nothing written, when the device's id is there already. */
  #insertRow(row: Omit<Row, "sealed">, head: Head, sealed: Uint8Array): boolean {
    const { changes, lastInsertRowid } = this.#run(
      `INSERT INTO rows (stream, seq, incarnation, kind, account, device, message, counter, generation, epoch,
        sealed_hash, size, accepted, expires, previous, row_hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (message, device, stream) DO NOTHING`,
      ...[head.id, row.seq, row.incarnation, row.kind, row.account, row.device, row.id, row.counter],
      ...[row.generation, row.epoch, row.sealedHash, sealed.length, row.accepted, row.expires],
      ...[row.previous, row.rowHash],
    );
    if (changes === 0) return false;
    this.#run("INSERT INTO bodies VALUES (?, ?, ?, ?)", lastInsertRowid, row.accepted, row.expires, sealed);
    return true;
  }

  moveCursor(device: DeviceId, stream: StreamId, seq: number): MessageRef[] {
    const head = this.#heads.stream(stream);
    if (!head) throw new SnugError("not-found", "there is no such stream");
    if (seq > head.seq) {
      throw new SnugError("rolled-back", `cursor ${seq} received, the stream ends at ${head.seq}`);
    }
    this.#run(
      "INSERT INTO cursors VALUES (?, ?, ?) ON CONFLICT (device, stream) DO UPDATE SET seq = max(seq, excluded.seq)",
      device,
      head.id,
      seq,
    );
    return this.#settleDelivered(head);
  }

  /** Raises what counts as delivered to the lowest cursor of the active devices, and returns what that covers anew. */
  #settleDelivered(head: Head): MessageRef[] {
    const before = head.delivered;
    const lowest = Number(
      this.#get(
        `SELECT min(coalesce(cursors.seq, 0)) AS seq FROM devices
          LEFT JOIN cursors ON cursors.device = devices.device AND cursors.stream = ?
          WHERE devices.account = ? AND devices.active = 1`,
        head.id,
        head.account,
      )?.seq ?? before,
    );
    if (lowest <= before) return [];
    const rows = this.#all(
      "SELECT account, message, size FROM rows WHERE stream = ? AND seq > ? AND seq <= ?",
      head.id,
      before,
      lowest,
    );
    for (const { account, size } of rows) {
      for (const waiting of [head.waiting, head.senders.get(account as AccountId)]) {
        if (!waiting) continue;
        waiting.rows--;
        waiting.bytes -= Number(size);
      }
    }
    Object.assign(head, { delivered: lowest, changed: true });
    return rows.map((row) => ({ account: row.account, id: row.message }) as MessageRef);
  }

  addInvite(invite: Invite, most: number): void {
    if (this.#get("SELECT 1 FROM invites WHERE hash = ?", invite.hash)) {
      throw new SnugError("conflict", "this invite exists already; make another secret");
    }
    const living = this.#get(
      "SELECT count(*) AS n FROM invites WHERE account = ? AND uses_left > 0 AND expires > ?",
      invite.account,
      invite.created,
    );
    if (Number(living?.n) >= most) {
      throw new SnugError("quota", `${most} open invites are the most; revoke one first`);
    }
    this.#insertInvite(invite);
  }

  #insertInvite(invite: Invite): void {
    const { hash, account, usesLeft, created, expires } = invite;
    this.#run("INSERT INTO invites VALUES (?, ?, ?, ?, ?)", hash, account, usesLeft, created, expires);
  }

  removeInvite(account: AccountId, hash: Hash): void {
    if (!this.#get("SELECT 1 FROM invites WHERE hash = ? AND account = ?", hash, account)) {
      throw new SnugError("not-found", "there is no such invite of yours");
    }
    this.#run("DELETE FROM invites WHERE hash = ?", hash);
  }

  replaceSetupLink(invite: Invite | null): void {
    this.#run("DELETE FROM invites WHERE account IS NULL");
    if (invite) this.#insertInvite(invite);
  }

  addPass(pass: Pass, under: Hash | null): void {
    if (under !== null && !this.#get("SELECT 1 FROM passes WHERE hash = ?", under)) {
      throw new SnugError("unauthenticated", "sign in first");
    }
    const [title, opened] = pass.kind === "grant" ? [pass.title, pass.opened] : [null, null];
    const { hash, kind, account, device, expires } = pass;
    this.#run(
      "INSERT INTO passes VALUES (?, ?, ?, ?, ?, ?, ?)",
      hash,
      kind,
      account,
      device,
      title,
      opened,
      expires,
    );
  }

  openGrant(hash: Hash, opened: number, expires: number): void {
    this.#run(
      "UPDATE passes SET opened = ?, expires = ? WHERE hash = ? AND opened IS NULL",
      opened,
      expires,
      hash,
    );
  }

  endPasses(device: DeviceId): void {
    this.#run("DELETE FROM passes WHERE device = ?", device);
  }

  probe(): void {
    this.#run(
      `INSERT INTO meta VALUES ('probed', '1')
        ON CONFLICT (key) DO UPDATE SET value = CAST(value AS INTEGER) + 1`,
    );
  }

  addBlock({ account, blocked }: Block, most: number): void {
    const others = this.#get(
      "SELECT count(*) AS n FROM blocks WHERE account = ? AND blocked <> ?",
      account,
      blocked,
    );
    if (Number(others?.n) >= most) {
      throw new SnugError("quota", `${most} blocked people are the most; unblock somebody first`);
    }
    this.#run("INSERT INTO blocks VALUES (?, ?) ON CONFLICT DO NOTHING", account, blocked);
  }

  removeBlock({ account, blocked }: Block): void {
    this.#run("DELETE FROM blocks WHERE account = ? AND blocked = ?", account, blocked);
  }

  sweep(now: number): void {
    this.#run("DELETE FROM passes WHERE expires <= ?", now);
    this.#run("DELETE FROM invites WHERE expires <= ? OR uses_left = 0", now);
    this.#run("DELETE FROM bodies WHERE expires <= ?", now);
    this.#run(
      `DELETE FROM bodies WHERE accepted <= ? AND row IN (
        SELECT rows.id FROM rows JOIN streams ON streams.id = rows.stream WHERE rows.seq <= streams.delivered)`,
      now - keepDelivered,
    );
  }

  restoreStatements(statements: RestoredStatements): void {
    this.#beside(() => this.#restored.statements(statements));
  }

  restoreRows(stream: StreamId, rows: readonly Row[]): number {
    return this.#beside(() => this.#restored.rows(stream, rows));
  }

  restoreDone(device: DeviceId, counters: readonly UsedCounter[]): void {
    this.#beside(() => this.#restored.done(device, counters));
  }

  endRestoring(): void {
    this.#restored.end();
  }

  /** Changes streams and counters in the tables themselves. */
  #beside<T>(change: () => T): T {
    this.#heads.finish();
    this.#heads.forget();
    return change();
  }

  #checkIndex(index: number): void {
    const size = Number(this.#get("SELECT coalesce(max(idx) + 1, 0) AS size FROM statements")?.size);
    if (index !== size) throw new SnugError("conflict", `leaf ${index} received, ${size} expected`);
  }

  #addLeaf(of: NewStatement, inbox: StreamId | null): void {
    this.#run(
      "INSERT INTO statements VALUES (?, ?, ?, ?, ?)",
      of.index,
      of.account,
      of.statement,
      inbox,
      of.now,
    );
    this.#run(
      "INSERT INTO meta VALUES ('checkpoint', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
      of.checkpoint,
    );
  }

  #get(sql: string, ...values: SQLInputValue[]): Record<string, unknown> | undefined {
    return this.#prepare(sql).get(...values);
  }

  #all(sql: string, ...values: SQLInputValue[]): Record<string, unknown>[] {
    return this.#prepare(sql).all(...values);
  }

  #run(sql: string, ...values: SQLInputValue[]): ReturnType<StatementSync["run"]> {
    return this.#prepare(sql).run(...values);
  }

  #prepare(sql: string): StatementSync {
    const known = this.#prepared.get(sql);
    if (known) return known;
    const prepared = this.#database.prepare(sql);
    this.#prepared.set(sql, prepared);
    return prepared;
  }
}

interface Share {
  readonly waiting: Waiting;
  readonly rows: number;
  readonly bytes: number;
  readonly whose: string;
}

function counterProblem(received: number, last: number): SnugError | undefined {
  if (received === last + 1) return undefined;
  return new SnugError("out-of-order", `counter ${received} received, ${last + 1} expected`);
}

function quotaProblem(shares: readonly Share[], size: number): SnugError | undefined {
  const full = shares.find(
    ({ waiting, rows, bytes }) => waiting.rows + 1 > rows || waiting.bytes + size > bytes,
  );
  if (!full) return undefined;
  const { waiting, rows, bytes, whose } = full;
  return new SnugError(
    "quota",
    `${waiting.rows} letters${whose} (${waiting.bytes} bytes) already wait there, at most ${rows} (${bytes} bytes) may`,
  );
}
