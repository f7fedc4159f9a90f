import { hash as digest } from "node:crypto";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import {
  type AccountId,
  type DeviceId,
  decodeCbor,
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
  #database: DatabaseSync;
  readonly #prepared = new Map<string, StatementSync>();
  readonly #quota: Quota;
  readonly #broken: (why: string) => void;
  /** How far a device has durably stored its inbox, as its own disk says. */
  readonly #stored: (device: DeviceId) => number | undefined;
  readonly #now: () => number;
  readonly #heads = new Map<number, { seq: number; hash: string }>();
  readonly #cursors = new Map<string, number>();
  readonly #delivered = new Map<number, number>();
  /** Stream → what waited in it at the commit before. */
  readonly #waiting = new Map<number, { rows: number; bytes: number }>();
  #bodies = new Map<number, Body>();
  #incarnation = "";
  /** device:message:account → whether it was delivered, of all that was accepted in former lives. */
  readonly #past = new Map<string, boolean>();
  readonly #pastHeads = new Map<string, number>();
  readonly #pastCounters = new Map<string, number>();
  /** device:stream:counter → message, over all lives. */
  readonly #used = new Map<string, string>();
  /** account:blocked, as the server's process knows, and as it knew already when it handed in the batch before. */
  #blocked: ReadonlySet<string> = new Set();
  #blockedBefore: ReadonlySet<string> = new Set();
  /** stream:device:message of what was handed in by somebody who was blocked then. */
  readonly #refusable = new Set<string>();
  /** Devices that are ended, and since when the server's process knows (ms of the course). */
  readonly #endedAt = new Map<string, number>();
  /** Hash of an invite → how often it can still be used. */
  readonly #uses = new Map<string, { left: number; expires: number }>();
  /** What the next word to the server's process is about. */
  #news = { blocks: false, devices: false };
  /** How often the disk was put back to an older state. */
  restores = 0;
  commits = 0;

  constructor(of: {
    path: string;
    quota: Quota;
    broken: (why: string) => void;
    stored: (device: DeviceId) => number | undefined;
    now: () => number;
  }) {
    this.#database = new DatabaseSync(of.path, { readOnly: true });
    this.#now = of.now;
    this.#quota = of.quota;
    this.#broken = of.broken;
    this.#stored = of.stored;
  }

  /** The database is about to be lost: what it had accepted was promised all the same. */
  remember(): void {
    const rows = this.#all(
      `SELECT rows.device, message, seq, seq <= delivered AS delivered, streams.account AS owner
        FROM rows JOIN streams ON streams.id = rows.stream`,
    );
    for (const { device, message, owner, seq, delivered } of rows) {
      const key = `${device}:${message}:${owner}`;
      const isDelivered = delivered === 1 || this.#lowest(owner as AccountId) >= Number(seq);
      this.#past.set(key, isDelivered || this.#past.get(key) === true);
    }
    for (const { account, head } of this.#all("SELECT account, head FROM streams")) {
      this.#pastHeads.set(String(account), Math.max(Number(head), this.#pastHeads.get(String(account)) ?? 0));
    }
    const counters = this.#all(
      "SELECT device, streams.stream, counter FROM counters JOIN streams ON streams.id = counters.stream",
    );
    for (const { device, stream, counter } of counters) {
      const line = `${device}:${stream}`;
      this.#pastCounters.set(line, Math.max(Number(counter), this.#pastCounters.get(line) ?? 0));
    }
  }

  /** Another database is in its place: looked at from its beginning. Its invites are void unless it was put back by hand. */
  restored(path: string, byHand: boolean): void {
    this.#database.close();
    this.#database = new DatabaseSync(path, { readOnly: true });
    this.#prepared.clear();
    this.restores++;
    this.#lastRow = 0;
    this.#incarnation = String(this.#get("SELECT value FROM meta WHERE key = 'incarnation'")?.value);
    for (const known of [this.#heads, this.#cursors, this.#delivered, this.#counters]) known.clear();
    for (const known of [this.#endedAt, this.#waiting]) known.clear();
    this.#refusable.clear();
    if (!byHand) this.#uses.clear();
    this.#readBlocks();
    this.#readEnded();
    this.#checkRows();
  }

  /** What was put back by hand has a new incarnation from now on, in which no invite counts, nor a cursor. */
  adopted(): void {
    this.#uses.clear();
    this.#cursors.clear();
    this.#incarnation = String(this.#get("SELECT value FROM meta WHERE key = 'incarnation'")?.value);
  }

  posted(calls: readonly WriteCall[]): void {
    for (const call of calls) {
      if (call.name !== "append") continue;
      const [stream, , account, device, id] = call.args[0];
      const owner = this.#get("SELECT account FROM streams WHERE stream = ?", stream)?.account;
      // What waited for the batch before was let through before that told of a block.
      if (this.#blockedBefore.has(`${owner}:${account}`)) this.#refusable.add(`${stream}:${device}:${id}`);
      else this.#refusable.delete(`${stream}:${device}:${id}`);
    }
  }

  before(calls: readonly WriteCall[]): void {
    if (calls.some(({ name }) => name === "sweep")) this.#bodies = this.#readBodies();
  }

  committed(calls: readonly WriteCall[], results: readonly WriteResult[]): void {
    this.commits++;
    this.#checkRows();
    this.#checkCursors();
    this.#checkStreams({
      devicesChange: calls.some(({ name }) => name === "addStatement" || name === "restoreStatements"),
      rowsComeBack: calls.some(({ name }) => name === "restoreRows"),
    });
    for (const [at, call] of calls.entries()) {
      if (!("value" in (results[at] ?? {}))) continue;
      if (call.name === "sweep") this.#checkSweep(call.args[0]);
      this.#checkInvites(call);
      this.#news.blocks ||= call.name === "addBlock" || call.name === "removeBlock";
      this.#news.devices ||= call.name === "addStatement" || call.name === "restoreStatements";
    }
  }

  /** An invite lets in as many as it says, and nobody once it has ended or was revoked. */
  #checkInvites(call: WriteCall): void {
    if (call.name === "addInvite") {
      const { hash, usesLeft: left, expires } = call.args[0];
      this.#uses.set(hash, { left, expires });
    } else if (call.name === "removeInvite") {
      this.#uses.delete(call.args[1]);
    } else if (call.name === "addAccount") {
      const { invite, now } = call.args[0];
      const uses = this.#uses.get(invite);
      // The setup link is none of these.
      if (!uses && this.#get("SELECT count(*) AS n FROM accounts")?.n === 1) return;
      if (!uses || uses.left === 0 || uses.expires <= now)
        this.#broken("somebody joined by an invite that is void");
      else uses.left--;
    }
  }

  #readBlocks(): void {
    const blocks = this.#all("SELECT account, blocked FROM blocks");
    this.#blocked = new Set(blocks.map(({ account, blocked }) => `${account}:${blocked}`));
    this.#blockedBefore = new Set([...this.#blockedBefore].filter((block) => this.#blocked.has(block)));
  }

  #readEnded(): void {
    const ended = new Set(
      this.#all("SELECT device FROM devices WHERE active = 0").map(({ device }) => String(device)),
    );
    for (const device of this.#endedAt.keys()) if (!ended.has(device)) this.#endedAt.delete(device);
    for (const device of ended) this.#endedAt.set(device, this.#endedAt.get(device) ?? this.#now());
  }

  /** Nobody gets rows but an active device of the account whose inbox they are in. */
  sent(to: { account: AccountId; device: DeviceId } | null, frame: Uint8Array): void {
    const { name, body } = decodeCbor(frame) as { name?: string; body?: { stream?: string } };
    if (name !== "rows") return;
    const owner = this.#get("SELECT account FROM streams WHERE stream = ?", body?.stream ?? "")?.account;
    if (!to || owner !== to.account) this.#broken("rows go to somebody whose inbox it is not");
    const ended = to && this.#endedAt.get(to.device);
    if (typeof ended === "number" && ended < this.#now()) this.#broken("rows go to a device that was ended");
  }

  isBlocked(of: { account: AccountId; sender: AccountId }): boolean {
    return this.#blocked.has(`${of.account}:${of.sender}`);
  }

  told(results: readonly WriteResult[]): void {
    this.#blockedBefore = this.#blocked;
    if (this.#news.blocks) this.#readBlocks();
    if (this.#news.devices) this.#readEnded();
    this.#news = { blocks: false, devices: false };
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

  /** The same, in whatever life of the server that was. */
  promised(of: { device: DeviceId; id: MessageId; to: AccountId }): {
    accepted: boolean;
    delivered: boolean;
  } {
    const now = this.letter(of);
    const before = this.#past.get(`${of.device}:${of.id}:${of.to}`);
    return { accepted: now.accepted || before !== undefined, delivered: now.delivered || before === true };
  }

  head(account: AccountId): number {
    return Number(this.#get("SELECT head FROM streams WHERE account = ?", account)?.head ?? 0);
  }

  /** The highest that it ever was. */
  highest(account: AccountId): number {
    return Math.max(this.head(account), this.#pastHeads.get(account) ?? 0);
  }

  counter(device: DeviceId, stream: string): number {
    const sql =
      "SELECT counter FROM counters JOIN streams ON streams.id = counters.stream WHERE device = ? AND streams.stream = ?";
    return Math.max(
      Number(this.#get(sql, device, stream)?.counter ?? 0),
      this.#pastCounters.get(`${device}:${stream}`) ?? 0,
    );
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
      this.#checkCounter(row, line);
      if (this.#refusable.delete(`${row.name}:${row.device}:${row.message}`)) {
        this.#broken("a letter was accepted whose sender is blocked");
      }
    }
  }

  /** Without a gap; behind a restore, which counts on behind what was used, still without one that is used twice. */
  #checkCounter({ device, name, counter, message, incarnation }: Values, line: string): void {
    const last = this.#counters.get(line) ?? 0;
    if (
      this.restores === 0
        ? counter !== last + 1
        : incarnation === this.#incarnation && Number(counter) <= last
    ) {
      this.#broken(`counter ${counter} was accepted behind ${last}`);
    }
    this.#counters.set(line, Number(counter));
    const use = `${device}:${name}:${counter}`;
    const known = this.#used.get(use) ?? message;
    if (known !== message) this.#broken(`counter ${counter} was used for two letters`);
    this.#used.set(use, String(message));
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

  /**
   * `devicesChange`: a device may have come behind what was delivered in the same transaction. `rowsComeBack`: for those
   * there is no quota.
   */
  #checkStreams({ devicesChange, rowsComeBack }: Record<"devicesChange" | "rowsComeBack", boolean>): void {
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
      const owner = found.account as AccountId;
      // A device that came later has not read what was delivered before it; cursors reach the disk a little later.
      const above = Math.max(Number(delivered), this.#lowest(owner));
      this.#checkQuota(Number(id), { above, mayRise: devicesChange || rowsComeBack });
      const before = this.#delivered.get(Number(id));
      if (Number(delivered) < (before ?? 0)) this.#broken("delivered went back");
      const moved = before !== undefined && Number(delivered) > before && !devicesChange;
      // A device that came later has not read what was delivered before it.
      if (moved && lowest !== null && Number(delivered) > Number(lowest)) {
        this.#broken(`delivered ${delivered} is above the lowest cursor ${lowest}`);
      }
      this.#delivered.set(Number(id), Number(delivered));
    }
  }

  /** What every active device of an account has stored; one that has erased its disk had all that it said. */
  #lowest(account: AccountId): number {
    const devices = this.#all("SELECT device FROM devices WHERE account = ? AND active = 1", account);
    return Math.min(
      ...devices.map(({ device }) => this.#stored(device as DeviceId) ?? Number.MAX_SAFE_INTEGER),
    );
  }

  /** `mayRise`: what comes back to a restored server may be more, but nothing is taken on top of it. */
  #checkQuota(stream: number, { above, mayRise }: { above: number; mayRise: boolean }): void {
    const waiting = this.#get(
      "SELECT count(*) AS rows, coalesce(sum(size), 0) AS bytes FROM rows WHERE stream = ? AND seq > ?",
      ...[stream, Math.min(above, Number.MAX_SAFE_INTEGER)],
    );
    const [rows, bytes] = [Number(waiting?.rows), Number(waiting?.bytes)];
    const before = this.#waiting.get(stream) ?? { rows: 0, bytes: 0 };
    const isTooMuch = rows > Math.max(this.#quota.rows, before.rows);
    if (!mayRise && (isTooMuch || bytes > Math.max(this.#quota.bytes, before.bytes)))
      this.#broken(`${rows} rows wait above the quota`);
    this.#waiting.set(stream, { rows, bytes });
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
    return this.#prepare(sql).get(...values);
  }

  #all(sql: string, ...values: (string | number)[]): Values[] {
    return this.#prepare(sql).all(...values);
  }

  #prepare(sql: string): StatementSync {
    const known = this.#prepared.get(sql) ?? this.#database.prepare(sql);
    this.#prepared.set(sql, known);
    return known;
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
