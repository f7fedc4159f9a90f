import { hash as digest } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import type { AccountId, DeviceId, Hash, Incarnation, MessageId, Row, StreamId } from "@snug/protocol";
import { SnugError } from "@snug/protocol/errors";
import { firstPrevious, rowHashInput } from "@snug/protocol/rowHash";
import { type Head, Heads, type Waiting } from "./heads.ts";
import {
  type RestoredRecovery,
  type RestoredStatements,
  RestoredWrites,
  type UsedCounter,
} from "./restored.ts";
import { Sql } from "./sql.ts";
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
  readonly #sql: Sql;
  readonly #incarnation: Incarnation;
  readonly #heads: Heads;
  readonly #restored: RestoredWrites;

  constructor(database: DatabaseSync) {
    this.#sql = new Sql(database);
    this.#heads = new Heads(this.#sql);
    this.#incarnation = this.#sql.get("SELECT value FROM meta WHERE key = 'incarnation'")
      ?.value as Incarnation;
    this.#restored = new RestoredWrites(this.#sql, this.#incarnation);
  }

  /** What is kept beside the tables, for whoever commits batches. */
  get heads(): Heads {
    return this.#heads;
  }

  addAccount(of: NewAccount): void {
    const invite = this.#sql.get("SELECT uses_left, expires FROM invites WHERE hash = ?", of.invite);
    const usable = invite && Number(invite.uses_left) > 0 && Number(invite.expires) > of.now;
    if (!usable) {
      throw new SnugError("invite-invalid", "this invite is not valid, no longer, or used up");
    }
    if (this.#sql.get("SELECT 1 FROM devices WHERE device = ?", of.device)) {
      throw new SnugError("conflict", "this device id is taken; make a new device");
    }
    this.#checkIndex(of.index);
    this.#sql.run("UPDATE invites SET uses_left = uses_left - 1 WHERE hash = ?", of.invite);
    this.#sql.run("INSERT INTO accounts VALUES (?, ?, ?)", of.account, of.inbox, of.recovery);
    this.#sql.run("INSERT INTO devices VALUES (?, ?, 1)", of.device, of.account);
    this.#sql.run(
      "INSERT INTO streams (stream, account, head, head_hash, delivered, waiting_rows, waiting_bytes) VALUES (?, ?, 0, ?, 0, 0, 0)",
      of.inbox,
      of.account,
      firstPrevious,
    );
    this.#addLeaf(of, of.inbox);
  }

  keepVerifiedKinds(kinds: string): void {
    this.#sql.run(
      "INSERT INTO meta VALUES ('verified', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
      kinds,
    );
  }

  addStatement(of: NewStatement, effects: StatementEffects): void {
    for (const device of effects.addedDevices) {
      if (this.#sql.get("SELECT 1 FROM devices WHERE device = ?", device)) {
        throw new SnugError("conflict", "this device id is taken; make a new device");
      }
    }
    this.#checkIndex(of.index);
    if (effects.addedDevices.length + effects.endedDevices.length > 0) this.#letGo();
    for (const device of effects.addedDevices) {
      this.#sql.run("INSERT INTO devices VALUES (?, ?, 1)", device, of.account);
    }
    for (const device of effects.endedDevices) {
      this.#sql.run("UPDATE devices SET active = 0 WHERE device = ?", device);
      this.endPasses(device);
    }
    if (effects.endedInvites) this.#sql.run("DELETE FROM invites WHERE account = ?", effects.endedInvites);
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
    const row = { seq: header.seq, hash: rowHash, account, id, size: sealed.length };
    this.#heads.grow(head, row, { counter: last, shares: shares.map(({ waiting }) => waiting) });
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
    const first = this.#sql.get(
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
    const { changes, lastInsertRowid } = this.#sql.run(
      `INSERT INTO rows (stream, seq, incarnation, kind, account, device, message, counter, generation, epoch,
        sealed_hash, size, accepted, expires, previous, row_hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (message, device, stream) DO NOTHING`,
      ...[head.id, row.seq, row.incarnation, row.kind, row.account, row.device, row.id, row.counter],
      ...[row.generation, row.epoch, row.sealedHash, sealed.length, row.accepted, row.expires],
      ...[row.previous, row.rowHash],
    );
    if (changes === 0) return false;
    this.#sql.run(
      "INSERT INTO bodies VALUES (?, ?, ?, ?)",
      lastInsertRowid,
      row.accepted,
      row.expires,
      sealed,
    );
    return true;
  }

  /** Needs no transaction: what a crash loses of it, the device says again. */
  moveCursor(device: DeviceId, stream: StreamId, seq: number): MessageRef[] {
    const head = this.#heads.stream(stream);
    if (!head) throw new SnugError("not-found", "there is no such stream");
    if (seq > head.seq) {
      throw new SnugError("rolled-back", `cursor ${seq} received, the stream ends at ${head.seq}`);
    }
    this.#heads.moveCursor(head, device, seq);
    return this.#settle(head);
  }

  /** What waited for ended devices alone has reached everybody it is for. */
  settle(ended: readonly DeviceId[]): MessageRef[] {
    const sql =
      "SELECT inbox FROM accounts JOIN devices ON devices.account = accounts.account WHERE device = ?";
    const inboxes = new Set(ended.map((device) => this.#sql.get(sql, device)?.inbox as StreamId));
    const heads = [...inboxes].flatMap((inbox) => this.#heads.stream(inbox) ?? []);
    return heads.flatMap((head) => this.#settle(head));
  }

  #settle(head: Head): MessageRef[] {
    return this.#heads
      .settle(head)
      .filter(({ account, id }) => this.#isDelivered(account, id))
      .map(({ account, id }) => ({ account, id }));
  }

  cursor(device: DeviceId, stream: StreamId): number {
    return this.#heads.stream(stream)?.devices.get(device) ?? 0;
  }

  delivered(account: AccountId, ids: readonly MessageId[]): MessageId[] {
    return ids.filter((id) => this.#isDelivered(account, id));
  }

  /** A message is there once all its rows are: the sender's copy to itself has the same id. */
  #isDelivered(sender: AccountId, id: MessageId): boolean {
    const rows = this.#sql.all("SELECT stream, seq FROM rows WHERE message = ? AND account = ?", id, sender);
    return (
      rows.length > 0 && rows.every(({ stream, seq }) => Number(seq) <= this.#heads.delivered(Number(stream)))
    );
  }

  addInvite(invite: Invite, most: number): void {
    if (this.#sql.get("SELECT 1 FROM invites WHERE hash = ?", invite.hash)) {
      throw new SnugError("conflict", "this invite exists already; make another secret");
    }
    const living = this.#sql.get(
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
    this.#sql.run("INSERT INTO invites VALUES (?, ?, ?, ?, ?)", hash, account, usesLeft, created, expires);
  }

  removeInvite(account: AccountId, hash: Hash): void {
    if (!this.#sql.get("SELECT 1 FROM invites WHERE hash = ? AND account = ?", hash, account)) {
      throw new SnugError("not-found", "there is no such invite of yours");
    }
    this.#sql.run("DELETE FROM invites WHERE hash = ?", hash);
  }

  replaceSetupLink(invite: Invite | null): void {
    this.#sql.run("DELETE FROM invites WHERE account IS NULL");
    if (invite) this.#insertInvite(invite);
  }

  addPass(pass: Pass, under: Hash | null): void {
    if (under !== null && !this.#sql.get("SELECT 1 FROM passes WHERE hash = ?", under)) {
      throw new SnugError("unauthenticated", "sign in first");
    }
    const [title, opened] = pass.kind === "grant" ? [pass.title, pass.opened] : [null, null];
    const { hash, kind, account, device, expires } = pass;
    this.#sql.run(
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
    this.#sql.run(
      "UPDATE passes SET opened = ?, expires = ? WHERE hash = ? AND opened IS NULL",
      opened,
      expires,
      hash,
    );
  }

  endPasses(device: DeviceId): void {
    this.#sql.run("DELETE FROM passes WHERE device = ?", device);
  }

  probe(): void {
    this.#sql.run(
      `INSERT INTO meta VALUES ('probed', '1')
        ON CONFLICT (key) DO UPDATE SET value = CAST(value AS INTEGER) + 1`,
    );
  }

  addBlock({ account, blocked }: Block, most: number): void {
    const others = this.#sql.get(
      "SELECT count(*) AS n FROM blocks WHERE account = ? AND blocked <> ?",
      account,
      blocked,
    );
    if (Number(others?.n) >= most) {
      throw new SnugError("quota", `${most} blocked people are the most; unblock somebody first`);
    }
    this.#sql.run("INSERT INTO blocks VALUES (?, ?) ON CONFLICT DO NOTHING", account, blocked);
  }

  removeBlock({ account, blocked }: Block): void {
    this.#sql.run("DELETE FROM blocks WHERE account = ? AND blocked = ?", account, blocked);
  }

  sweep(now: number): void {
    this.#heads.finish(true);
    this.#sql.run("DELETE FROM passes WHERE expires <= ?", now);
    this.#sql.run("DELETE FROM invites WHERE expires <= ? OR uses_left = 0", now);
    this.#sql.run("DELETE FROM bodies WHERE expires <= ?", now);
    this.#sql.run(
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

  restoreDone(device: DeviceId, counters: readonly UsedCounter[], recovery: RestoredRecovery | null): void {
    this.#beside(() => this.#restored.done(device, counters, recovery));
  }

  endRestoring(): void {
    this.#restored.end();
  }

  /** Changes streams and counters in the tables themselves. */
  #beside<T>(change: () => T): T {
    this.#letGo();
    return change();
  }

  #letGo(): void {
    this.#heads.finish(true);
    this.#heads.forget();
  }

  #checkIndex(index: number): void {
    const size = Number(this.#sql.get("SELECT coalesce(max(idx) + 1, 0) AS size FROM statements")?.size);
    if (index !== size) throw new SnugError("conflict", `leaf ${index} received, ${size} expected`);
  }

  #addLeaf(of: NewStatement, inbox: StreamId | null): void {
    this.#sql.run(
      "INSERT INTO statements VALUES (?, ?, ?, ?, ?)",
      of.index,
      of.account,
      of.statement,
      inbox,
      of.now,
    );
    this.#sql.run(
      "INSERT INTO meta VALUES ('checkpoint', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
      of.checkpoint,
    );
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
