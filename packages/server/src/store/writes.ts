import { hash as digest } from "node:crypto";
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import type { AccountId, DeviceId, Hash, Incarnation, Row, StreamId } from "@snug/protocol";
import { SnugError } from "@snug/protocol/errors";
import { firstPrevious, rowHashInput } from "@snug/protocol/rowHash";
import type {
  Appended,
  Invite,
  MessageRef,
  NewAccount,
  NewRow,
  NewStatement,
  Pass,
  Quota,
  StatementEffects,
} from "./store.ts";

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

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#incarnation = this.#get("SELECT value FROM meta WHERE key = 'incarnation'")?.value as Incarnation;
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
    this.#addLeaf(of, null);
  }

  append(row: NewRow, quota: Quota): Appended {
    const stream = this.#get(
      "SELECT id, head, head_hash, waiting_rows, waiting_bytes FROM streams WHERE stream = ?",
      row.stream,
    );
    if (!stream) throw new SnugError("not-found", "there is no such stream");
    const id = Number(stream.id);
    const sealedHash = digest("sha256", row.sealed, "base64url") as Hash;
    const double = this.#findDouble(row, id, sealedHash);
    if (double) return double;
    this.#checkCounter(row, id);
    const waiting = { rows: Number(stream.waiting_rows), bytes: Number(stream.waiting_bytes) };
    if (waiting.rows + 1 > quota.rows || waiting.bytes + row.sealed.length > quota.bytes) {
      throw new SnugError(
        "quota",
        `${waiting.rows} letters (${waiting.bytes} bytes) already wait there, at most ${quota.rows} (${quota.bytes} bytes) may`,
      );
    }
    const header: Omit<Row, "sealed" | "rowHash"> = {
      stream: row.stream,
      seq: Number(stream.head) + 1,
      incarnation: this.#incarnation,
      kind: row.kind,
      class: "durable",
      account: row.account,
      device: row.device,
      id: row.id,
      counter: row.counter,
      generation: null,
      epoch: null,
      sealedHash,
      accepted: row.now,
      expires: row.expires,
      previous: stream.head_hash as Hash,
    };
    const rowHash = digest("sha256", rowHashInput(header), "base64url") as Hash;
    const fresh: Row = { ...header, rowHash, sealed: row.sealed as Uint8Array<ArrayBuffer> };
    this.#insertRow(fresh, id);
    return { seq: fresh.seq, rowHash, accepted: fresh.accepted, fresh };
  }

  #findDouble(row: NewRow, stream: number, sealedHash: Hash): Appended | undefined {
    const first = this.#get(
      "SELECT seq, row_hash, accepted, sealed_hash FROM rows WHERE message = ? AND device = ? AND stream = ?",
      row.id,
      row.device,
      stream,
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

  #checkCounter(row: NewRow, stream: number): void {
    const last = this.#get(
      "SELECT counter FROM counters WHERE device = ? AND stream = ?",
      row.device,
      stream,
    );
    const expected = Number(last?.counter ?? 0) + 1;
    if (row.counter !== expected) {
      throw new SnugError("out-of-order", `counter ${row.counter} received, ${expected} expected`);
    }
  }

  #insertRow(row: Row, stream: number): void {
    const sealed = row.sealed as Uint8Array;
    const { lastInsertRowid } = this.#run(
      `INSERT INTO rows (stream, seq, incarnation, kind, account, device, message, counter, generation, epoch,
        sealed_hash, size, accepted, expires, previous, row_hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      ...[stream, row.seq, row.incarnation, row.kind, row.account, row.device, row.id, row.counter],
      ...[row.generation, row.epoch, row.sealedHash, sealed.length, row.accepted, row.expires],
      ...[row.previous, row.rowHash],
    );
    this.#run("INSERT INTO bodies VALUES (?, ?, ?, ?)", lastInsertRowid, row.accepted, row.expires, sealed);
    this.#run(
      "INSERT INTO counters VALUES (?, ?, ?) ON CONFLICT (device, stream) DO UPDATE SET counter = excluded.counter",
      row.device,
      stream,
      row.counter,
    );
    this.#run(
      "UPDATE streams SET head = ?, head_hash = ?, waiting_rows = waiting_rows + 1, waiting_bytes = waiting_bytes + ? WHERE id = ?",
      row.seq,
      row.rowHash,
      sealed.length,
      stream,
    );
  }

  moveCursor(device: DeviceId, stream: StreamId, seq: number): MessageRef[] {
    const found = this.#get("SELECT id, account, head, delivered FROM streams WHERE stream = ?", stream);
    if (!found) throw new SnugError("not-found", "there is no such stream");
    if (seq > Number(found.head)) {
      throw new SnugError("rolled-back", `cursor ${seq} received, the stream ends at ${found.head}`);
    }
    const id = Number(found.id);
    this.#run(
      "INSERT INTO cursors VALUES (?, ?, ?) ON CONFLICT (device, stream) DO UPDATE SET seq = max(seq, excluded.seq)",
      device,
      id,
      seq,
    );
    return this.#settleDelivered(id, found.account as AccountId, Number(found.delivered));
  }

  /** Raises what counts as delivered to the lowest cursor of the active devices, and returns what that covers anew. */
  #settleDelivered(stream: number, account: AccountId, before: number): MessageRef[] {
    const lowest = Number(
      this.#get(
        `SELECT min(coalesce(cursors.seq, 0)) AS seq FROM devices
          LEFT JOIN cursors ON cursors.device = devices.device AND cursors.stream = ?
          WHERE devices.account = ? AND devices.active = 1`,
        stream,
        account,
      )?.seq ?? before,
    );
    if (lowest <= before) return [];
    const rows = this.#all(
      "SELECT account, message, size FROM rows WHERE stream = ? AND seq > ? AND seq <= ?",
      stream,
      before,
      lowest,
    );
    const bytes = rows.reduce((sum, row) => sum + Number(row.size), 0);
    this.#run(
      "UPDATE streams SET delivered = ?, waiting_rows = waiting_rows - ?, waiting_bytes = waiting_bytes - ? WHERE id = ?",
      lowest,
      rows.length,
      bytes,
      stream,
    );
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

  #run(sql: string, ...values: SQLInputValue[]): { lastInsertRowid: number | bigint } {
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
