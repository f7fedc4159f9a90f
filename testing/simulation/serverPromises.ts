import { hash as digest } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import {
  type AccountId,
  type DeviceId,
  firstPrevious,
  type MessageId,
  type Row,
  rowHashInput,
} from "@snug/protocol";
import type { WriteCall, WriteResult } from "../../packages/server/src/store/batch.ts";
import type { Quota } from "../../packages/server/src/store/store.ts";
import type { DiskWatcher } from "./serverDisk.ts";

type Values = Record<string, unknown>;

/** As in D12. */
const keepDelivered = 30 * 24 * 3_600_000;

interface Body {
  readonly row: number;
  readonly seq: number;
  readonly stream: number;
  readonly accepted: number;
  readonly expires: number | null;
}

/** What must hold of the server's disk after each commit, read from its tables and held against what was asked. */
export class ServerPromises implements DiskWatcher, Disposable {
  readonly #database: DatabaseSync;
  readonly #quota: Quota;
  readonly #broken: (why: string) => void;
  /** How far a device has durably stored its inbox, as its own disk says. */
  readonly #stored: (device: DeviceId) => number | undefined;
  readonly #heads = new Map<number, { seq: number; hash: string }>();
  readonly #cursors = new Map<string, number>();
  readonly #delivered = new Map<number, number>();
  #bodies = new Map<number, Body>();
  commits = 0;

  constructor(of: {
    path: string;
    quota: Quota;
    broken: (why: string) => void;
    stored: (device: DeviceId) => number | undefined;
  }) {
    this.#database = new DatabaseSync(of.path, { readOnly: true });
    this.#quota = of.quota;
    this.#broken = of.broken;
    this.#stored = of.stored;
  }

  before(calls: readonly WriteCall[]): void {
    if (calls.some(({ name }) => name === "sweep")) this.#bodies = this.#readBodies();
  }

  committed(calls: readonly WriteCall[], results: readonly WriteResult[]): void {
    this.commits++;
    this.#checkRows();
    this.#checkCursors();
    this.#checkStreams();
    for (const [at, call] of calls.entries()) {
      if (call.name === "sweep" && "value" in (results[at] ?? {})) this.#checkSweep(call.args[0]);
    }
  }

  told(results: readonly WriteResult[]): void {
    for (const result of results) {
      if (!("value" in result) || typeof result.value !== "object" || result.value === null) continue;
      const { rowHash } = result.value as { rowHash?: string };
      if (rowHash === undefined) continue;
      if (!this.#get("SELECT 1 FROM rows WHERE row_hash = ?", rowHash)) {
        this.#broken("an append is answered whose row is not on the disk");
      }
    }
  }

  /** Whether a letter of a device is in the inbox of an account, and whether that has been delivered. */
  letter(of: { device: DeviceId; id: MessageId; to: AccountId }): { accepted: boolean; delivered: boolean } {
    const found = this.#get(
      `SELECT seq, seq <= delivered AS delivered FROM rows JOIN streams ON streams.id = rows.stream
        WHERE rows.message = ? AND rows.device = ? AND streams.account = ?`,
      ...[of.id, of.device, of.to],
    );
    if (!found) return { accepted: false, delivered: false };
    // Cursors reach the disk a little later than the word of them: what the devices have is what counts.
    const delivered = found.delivered === 1 || this.#lowest(of.to) >= Number(found.seq);
    return { accepted: true, delivered };
  }

  head(account: AccountId): number {
    return Number(this.#get("SELECT head FROM streams WHERE account = ?", account)?.head ?? 0);
  }

  counter(device: DeviceId, stream: string): number {
    const sql =
      "SELECT counter FROM counters JOIN streams ON streams.id = counters.stream WHERE device = ? AND streams.stream = ?";
    return Number(this.#get(sql, device, stream)?.counter ?? 0);
  }

  /** Dense numbers, each hash over its header and the hash before; counters without a gap. */
  #checkRows(): void {
    const rows = this.#all(
      `SELECT rows.*, streams.stream AS name FROM rows JOIN streams ON streams.id = rows.stream
        WHERE rows.id > ? ORDER BY rows.id`,
      this.#lastRow,
    );
    for (const row of rows) {
      this.#lastRow = Number(row.id);
      const stream = Number(row.stream);
      const head = this.#heads.get(stream) ?? { seq: 0, hash: firstPrevious };
      if (row.seq !== head.seq + 1) this.#broken(`row ${row.seq} of a stream follows row ${head.seq}`);
      if (row.previous !== head.hash || row.row_hash !== rowHashOf(row)) {
        this.#broken(`row ${row.seq} of a stream breaks its chain`);
      }
      this.#heads.set(stream, { seq: Number(row.seq), hash: String(row.row_hash) });
      const line = `${row.device}:${stream}`;
      const counter = (this.#counters.get(line) ?? 0) + 1;
      if (row.counter !== counter) this.#broken(`counter ${row.counter} was accepted, ${counter} expected`);
      this.#counters.set(line, counter);
    }
  }

  #lastRow = 0;
  readonly #counters = new Map<string, number>();

  /** Never back, never above the head, never above what the device itself has. */
  #checkCursors(): void {
    const cursors = this.#all(
      "SELECT device, cursors.stream, seq, head FROM cursors JOIN streams ON streams.id = cursors.stream",
    );
    for (const { device, stream, seq, head } of cursors) {
      const name = `${device}:${stream}`;
      if (Number(seq) < (this.#cursors.get(name) ?? 0)) this.#broken(`a cursor went back to ${seq}`);
      if (Number(seq) > Number(head)) this.#broken(`cursor ${seq} is above the head ${head}`);
      const stored = this.#stored(device as DeviceId);
      if (stored !== undefined && Number(seq) > stored) {
        this.#broken(`cursor ${seq} is above what the device has stored (${stored})`);
      }
      this.#cursors.set(name, Number(seq));
    }
  }

  #checkStreams(): void {
    const streams = this.#all(
      `SELECT id, account, head, head_hash, delivered, waiting_rows, waiting_bytes,
        (SELECT count(*) FROM rows WHERE stream = streams.id AND seq > delivered) AS rows,
        (SELECT coalesce(sum(size), 0) FROM rows WHERE stream = streams.id AND seq > delivered) AS bytes,
        (SELECT min(coalesce(seq, 0)) FROM devices LEFT JOIN cursors ON cursors.device = devices.device
          AND cursors.stream = streams.id WHERE devices.account = streams.account AND active = 1) AS lowest
        FROM streams`,
    );
    for (const found of streams) {
      const { id, head, delivered, lowest } = found;
      const known = this.#heads.get(Number(id)) ?? { seq: 0, hash: firstPrevious };
      if (head !== known.seq || found.head_hash !== known.hash)
        this.#broken(`head ${head} is not the last row`);
      if (found.waiting_rows !== found.rows || found.waiting_bytes !== found.bytes) {
        this.#broken(`${found.waiting_rows} rows are said to wait, ${found.rows} do`);
      }
      this.#checkQuota(Number(id), found.account as AccountId);
      if (Number(delivered) < (this.#delivered.get(Number(id)) ?? 0)) this.#broken("delivered went back");
      if (lowest !== null && Number(delivered) > Number(lowest)) {
        this.#broken(`delivered ${delivered} is above the lowest cursor ${lowest}`);
      }
      this.#delivered.set(Number(id), Number(delivered));
    }
  }

  /** What every active device of an account has stored. */
  #lowest(account: AccountId): number {
    const devices = this.#all("SELECT device FROM devices WHERE account = ? AND active = 1", account);
    return Math.min(...devices.map(({ device }) => this.#stored(device as DeviceId) ?? 0));
  }

  #checkQuota(stream: number, account: AccountId): void {
    const waiting = this.#get(
      "SELECT count(*) AS rows, coalesce(sum(size), 0) AS bytes FROM rows WHERE stream = ? AND seq > ?",
      ...[stream, Math.min(this.#lowest(account), Number.MAX_SAFE_INTEGER)],
    );
    if (Number(waiting?.rows) > this.#quota.rows || Number(waiting?.bytes) > this.#quota.bytes) {
      this.#broken(`${waiting?.rows} rows wait above the quota`);
    }
  }

  /** Erased is what D12 and D13 let be erased, all of that and nothing else. */
  #checkSweep(now: number): void {
    const left = this.#readBodies();
    for (const body of this.#bodies.values()) {
      const isOld =
        body.accepted <= now - keepDelivered && body.seq <= (this.#delivered.get(body.stream) ?? 0);
      const isExpired = body.expires !== null && body.expires <= now;
      if (isOld || isExpired) {
        if (left.has(body.row)) this.#broken(`row ${body.seq} should have been erased`);
      } else if (!left.has(body.row)) {
        this.#broken(`row ${body.seq} was erased, which was neither delivered and old nor expired`);
      }
    }
  }

  #readBodies(): Map<number, Body> {
    const bodies = this.#all(
      "SELECT row, seq, stream, bodies.accepted, bodies.expires FROM bodies JOIN rows ON rows.id = bodies.row",
    );
    return new Map(bodies.map((body) => [Number(body.row), body as unknown as Body]));
  }

  #get(sql: string, ...values: (string | number)[]): Values | undefined {
    return this.#database.prepare(sql).get(...values);
  }

  #all(sql: string, ...values: (string | number)[]): Values[] {
    return this.#database.prepare(sql).all(...values);
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}

function rowHashOf(row: Values): string {
  const { seq, incarnation, kind, account, device, counter, generation, epoch, accepted, expires, previous } =
    row;
  const header = {
    seq,
    incarnation,
    kind,
    account,
    device,
    counter,
    generation,
    epoch,
    accepted,
    expires,
    previous,
  };
  const named = { stream: row.name, class: "durable", id: row.message, sealedHash: row.sealed_hash };
  return digest("sha256", rowHashInput({ ...header, ...named } as unknown as Row), "base64url");
}
