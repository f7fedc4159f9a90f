import { hash as digest } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import type { AccountId, DeviceId, Hash, Incarnation, Row, StreamId } from "@snug/protocol";
import { SnugError } from "@snug/protocol/errors";
import { firstPrevious, rowHashInput } from "@snug/protocol/rowHash";
import { Sql } from "./sql.ts";

/** How a data folder was restored. Times in ms since 1970. */
export interface Restored {
  readonly at: number;
  /** When its backup was made. */
  readonly backup: number;
  /** Until when devices are waited for; null once everything is taken again. */
  readonly until: number | null;
}

/** A statement that comes back, and what it changes besides the log. */
export interface RestoredLeaf {
  readonly account: AccountId;
  readonly statement: Uint8Array;
  /** Of a genesis: the inbox that its account has. */
  readonly inbox: StreamId | null;
}

/** Statements that follow those the store has, proved by the checkpoint; and the devices of the accounts they are of. */
export interface RestoredStatements {
  readonly index: number;
  readonly leaves: readonly RestoredLeaf[];
  readonly checkpoint: string;
  readonly devices: readonly {
    readonly account: AccountId;
    readonly device: DeviceId;
    readonly active: boolean;
  }[];
  readonly now: number;
}

/** The highest send counter that a device has used in a stream. */
export interface UsedCounter {
  readonly stream: StreamId;
  readonly counter: number;
}

/** An account's keys, wrapped for recovery (I6). */
export interface RestoredRecovery {
  readonly account: AccountId;
  readonly wrapped: Uint8Array;
}

/**
 * Gives a stopped server's database a new incarnation, in which it waits for its devices. What its former life let
 * people in by is void: invites may be spent, passes ended since (D18). So are cursors: a server that somebody had put
 * back by hand may have given a place that a device has read to another row, which it has yet to read.
 */
export function renewIncarnation(database: DatabaseSync, incarnation: Incarnation, restored: Restored): void {
  const sql = new Sql(database);
  database.exec("BEGIN IMMEDIATE");
  sql.run("UPDATE meta SET value = ? WHERE key = 'incarnation'", incarnation);
  keepRestored(sql, restored);
  database.exec(`
    CREATE TABLE IF NOT EXISTS restored_devices (device TEXT PRIMARY KEY);
    DELETE FROM restored_devices;
    DELETE FROM invites;
    DELETE FROM passes;
    DELETE FROM cursors;
    COMMIT;
  `);
}

/** When something was last taken here; 0 in an empty folder. */
export function newestTime(database: DatabaseSync): number {
  const found = new Sql(database).get(
    "SELECT max((SELECT coalesce(max(accepted), 0) FROM statements), (SELECT coalesce(max(accepted), 0) FROM rows)) AS time",
  );
  return Number(found?.time);
}

/** null for a folder that never was restored. */
export function readRestored(sql: Pick<Sql, "get">): Restored | null {
  const value = sql.get("SELECT value FROM meta WHERE key = 'restored'")?.value;
  return typeof value === "string" ? (JSON.parse(value) as Restored) : null;
}

function keepRestored(sql: Sql, restored: Restored): void {
  sql.run(
    "INSERT INTO meta VALUES ('restored', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    JSON.stringify(restored),
  );
}

/** What devices bring back to a restored server, each change inside the transaction of its batch. */
export class RestoredWrites {
  readonly #sql: Sql;
  readonly #incarnation: Incarnation;

  constructor(sql: Sql, incarnation: Incarnation) {
    this.#sql = sql;
    this.#incarnation = incarnation;
  }

  statements(of: RestoredStatements): void {
    const size = Number(this.#sql.get("SELECT coalesce(max(idx) + 1, 0) AS size FROM statements")?.size);
    if (of.index !== size) throw new SnugError("conflict", `leaf ${of.index} received, ${size} expected`);
    for (const { inbox } of of.leaves) {
      if (inbox !== null && this.#sql.get("SELECT 1 FROM streams WHERE stream = ?", inbox)) {
        throw new SnugError("conflict", "an inbox that another account has");
      }
    }
    for (const [at, leaf] of of.leaves.entries()) this.#addLeaf(leaf, size + at, of.now);
    for (const { device, account, active } of of.devices) {
      this.#sql.run(
        "INSERT INTO devices VALUES (?, ?, ?) ON CONFLICT (device) DO UPDATE SET active = excluded.active",
        ...[device, account, active ? 1 : 0],
      );
      if (!active) this.#sql.run("DELETE FROM passes WHERE device = ?", device);
    }
    this.#sql.run(
      "INSERT INTO meta VALUES ('checkpoint', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
      of.checkpoint,
    );
  }

  #addLeaf({ account, statement, inbox }: RestoredLeaf, index: number, now: number): void {
    this.#sql.run("INSERT INTO statements VALUES (?, ?, ?, ?, ?)", index, account, statement, inbox, now);
    if (inbox === null) return;
    // The wrapped keys come with the account's own device (D22).
    this.#sql.run("INSERT INTO accounts VALUES (?, ?, ?)", account, inbox, new Uint8Array());
    this.#sql.run(
      "INSERT INTO streams (stream, account, head, head_hash, delivered, waiting_rows, waiting_bytes) VALUES (?, ?, 0, ?, 0, 0, 0)",
      ...[inbox, account, firstPrevious],
    );
  }

  /** Rows that stand there already are passed over. Returns the head. */
  rows(stream: StreamId, rows: readonly Row[]): number {
    const found = this.#sql.get("SELECT id, head, head_hash FROM streams WHERE stream = ?", stream);
    if (!found) throw new SnugError("not-found", "there is no such stream");
    const id = Number(found.id);
    const head = Number(found.head);
    const fresh = rows.filter((row) => row.seq > head);
    for (const row of rows) if (row.seq <= head) this.#mustStand(row, id);
    if (fresh.length > 0) this.#mustBeOfBefore(id, head);
    this.#mustContinue(fresh, id, { seq: head, rowHash: found.head_hash as Hash });
    for (const row of fresh) this.#insert(row, id);
    return head + fresh.length;
  }

  #mustStand(row: Row, stream: number): void {
    const stands = this.#sql.get(
      "SELECT row_hash FROM rows WHERE stream = ? AND seq = ?",
      stream,
      row.seq,
    )?.row_hash;
    if (stands !== row.rowHash) {
      throw new SnugError("conflict", `another row stands at ${row.seq} of this inbox`);
    }
  }

  #mustBeOfBefore(stream: number, head: number): void {
    const last = this.#sql.get("SELECT incarnation FROM rows WHERE stream = ? AND seq = ?", stream, head);
    if (last?.incarnation === this.#incarnation) {
      throw new SnugError("conflict", "this inbox has gone on since the server was restored");
    }
  }

  /** Each row's hash over its header and the hash before, as the server itself had made it once. */
  #mustContinue(rows: readonly Row[], stream: number, head: { seq: number; rowHash: Hash }): void {
    let at = head;
    const ids = new Set<string>();
    for (const row of rows) {
      const key = `${row.device}:${row.id}`;
      const fits =
        row.seq === at.seq + 1 &&
        row.previous === at.rowHash &&
        row.incarnation !== this.#incarnation &&
        (row.sealed === null || digest("sha256", row.sealed, "base64url") === row.sealedHash) &&
        digest("sha256", rowHashInput(row), "base64url") === row.rowHash;
      if (!fits) throw new SnugError("conflict", `row ${row.seq} does not continue this inbox at ${at.seq}`);
      if (ids.has(key) || this.#isKnown(row, stream)) {
        throw new SnugError("conflict", `row ${row.seq} has an id that another row has`);
      }
      ids.add(key);
      at = row;
    }
  }

  #isKnown(row: Row, stream: number): boolean {
    const sql = "SELECT 1 FROM rows WHERE message = ? AND device = ? AND stream = ?";
    return this.#sql.get(sql, row.id, row.device, stream) !== undefined;
  }

  #insert(row: Row, stream: number): void {
    const size = row.sealed?.length ?? 0;
    const { lastInsertRowid } = this.#sql.run(
      `INSERT INTO rows (stream, seq, incarnation, kind, account, device, message, counter, generation, epoch,
        sealed_hash, size, accepted, expires, previous, row_hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      ...[stream, row.seq, row.incarnation, row.kind, row.account, row.device, row.id, row.counter],
      ...[row.generation, row.epoch, row.sealedHash, size, row.accepted, row.expires],
      ...[row.previous, row.rowHash],
    );
    if (row.sealed) {
      const body = [lastInsertRowid, row.accepted, row.expires, row.sealed] as const;
      this.#sql.run("INSERT INTO bodies VALUES (?, ?, ?, ?)", ...body);
    }
    this.#raiseCounter(row.device, stream, row.counter);
    this.#sql.run(
      "UPDATE streams SET head = ?, head_hash = ?, waiting_rows = waiting_rows + 1, waiting_bytes = waiting_bytes + ? WHERE id = ?",
      ...[row.seq, row.rowHash, size, stream],
    );
  }

  #raiseCounter(device: DeviceId, stream: number, counter: number): void {
    this.#sql.run(
      "INSERT INTO counters VALUES (?, ?, ?) ON CONFLICT (device, stream) DO UPDATE SET counter = max(counter, excluded.counter)",
      ...[device, stream, counter],
    );
  }

  /** A device has brought back what it has; counters of streams that are not there are passed over. */
  done(device: DeviceId, counters: readonly UsedCounter[], recovery: RestoredRecovery | null): void {
    if (recovery) {
      const { account, wrapped } = recovery;
      this.#sql.run(
        "UPDATE accounts SET recovery = ? WHERE account = ? AND length(recovery) = 0",
        ...[wrapped, account],
      );
    }
    this.#sql.run("CREATE TABLE IF NOT EXISTS restored_devices (device TEXT PRIMARY KEY)");
    this.#sql.run("INSERT OR IGNORE INTO restored_devices VALUES (?)", device);
    for (const { stream, counter } of counters) {
      const id = this.#sql.get("SELECT id FROM streams WHERE stream = ?", stream)?.id;
      if (id !== undefined) this.#raiseCounter(device, Number(id), counter);
    }
  }

  end(): void {
    const restored = readRestored(this.#sql);
    if (restored) keepRestored(this.#sql, { ...restored, until: null });
  }
}
