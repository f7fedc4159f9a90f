import type { DatabaseSync } from "node:sqlite";
import { Worker } from "node:worker_threads";
import {
  type AccountId,
  type DeviceId,
  type DirectoryEntry,
  type Hash,
  type Incarnation,
  type InviteView,
  type MessageId,
  type Row,
  SnugError,
  type StreamId,
} from "@snug/protocol";
import { threadEnvironment } from "../threads.ts";
import type { WriteCall, WriteName, WriteResult } from "./batch.ts";
import { type PassedResult, packCall, unpackResult } from "./passing.ts";
import {
  type Restored,
  type RestoredRecovery,
  type RestoredStatements,
  readRestored,
  type UsedCounter,
} from "./restored.ts";
import { openReader } from "./schema.ts";
import { Sql } from "./sql.ts";
import type {
  Appended,
  Block,
  Invite,
  MessageRef,
  NewAccount,
  NewRow,
  NewStatement,
  Pass,
  Quota,
  StatementEffects,
  Store,
} from "./store.ts";
import type { Writes } from "./writes.ts";

interface Waiting {
  readonly resolve: (value: never) => void;
  readonly reject: (reason: SnugError) => void;
}

/** Whatever makes the changes of a database, batch by batch: a worker's thread, or a simulation's disk. */
export interface Writer {
  /** What comes of each is told to `settle` once it is durable. */
  post(calls: readonly WriteCall[]): void;
  /** Resolves when everything posted is settled and the database is closed. */
  close(): Promise<void>;
}
export type OpenWriter = (
  path: string,
  told: { settle(results: readonly WriteResult[]): void; fail(cause: unknown): void },
) => Writer;

/** Rows read in one go at most; the byte bound usually ends a page earlier. */
const pageRows = 64;

/** The writer of a server: in a thread of its own. */
export const openWorker: OpenWriter = (path, { settle, fail }) => {
  const worker = new Worker(new URL("./writer.ts", import.meta.url), {
    workerData: { path },
    name: "writer",
    env: threadEnvironment(),
  });
  worker.on("message", (results: readonly PassedResult[]) => settle(results.map(unpackResult)));
  worker.on("error", fail);
  // It may end long before it is asked to.
  const ended = new Promise((resolve) => worker.once("exit", resolve));
  return {
    post: (calls) => worker.postMessage(calls.map(packCall)),
    close: async () => {
      worker.postMessage("close");
      await ended;
    },
  };
};

/** The embedded store: one writer in a worker, one reader here. */
export class SqliteStore implements Store {
  readonly incarnation: Incarnation;
  readonly #reader: DatabaseSync;
  readonly #sql: Sql;
  readonly #writer: Writer;
  /** What goes to the writer next. Lists anew for each batch: a map that lives on would keep all that ever was in it
   * until the next full collection. */
  #queued: { readonly calls: WriteCall[]; readonly waiting: Waiting[] } = { calls: [], waiting: [] };
  /** Who waits for the batch that the writer has; null while it has none. */
  #posted: readonly Waiting[] | null = null;
  #rests: () => void = () => undefined;
  #failed: SnugError | undefined;

  /** The file must exist (makeDatabase). */
  constructor(path: string, openWriter: OpenWriter = openWorker) {
    this.#reader = openReader(path);
    this.#sql = new Sql(this.#reader);
    this.incarnation = this.#sql.get("SELECT value FROM meta WHERE key = 'incarnation'")
      ?.value as Incarnation;
    this.#writer = openWriter(path, {
      settle: (results) => this.#settle(results),
      fail: (cause) => this.#fail(cause),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#failed ??= new SnugError("unavailable", "the server is closing");
    this.#flush();
    if (this.#posted) await new Promise<void>((resolve) => (this.#rests = resolve));
    await this.#writer.close();
    this.#reader.close();
  }

  async checkpoint(): Promise<{ text: string; size: number } | null> {
    const text = this.#sql.get("SELECT value FROM meta WHERE key = 'checkpoint'")?.value;
    const size = this.#sql.get("SELECT coalesce(max(idx) + 1, 0) AS size FROM statements")?.size;
    return typeof text === "string" ? { text, size: Number(size) } : null;
  }

  async verifiedKinds(): Promise<string | null> {
    const value = this.#sql.get("SELECT value FROM meta WHERE key = 'verified'")?.value;
    return typeof value === "string" ? value : null;
  }

  keepVerifiedKinds(kinds: string): Promise<void> {
    return this.#write("keepVerifiedKinds", kinds);
  }

  async directory(from: number, most: number): Promise<DirectoryEntry[]> {
    const found = this.#sql.all(
      "SELECT statement, inbox FROM statements WHERE idx >= ? ORDER BY idx LIMIT ?",
      from,
      most,
    );
    return found.map((entry) => entry as unknown as DirectoryEntry);
  }

  async statementsOf(account: AccountId): Promise<Uint8Array[]> {
    const found = this.#sql.all("SELECT statement FROM statements WHERE account = ? ORDER BY idx", account);
    return found.map(({ statement }) => statement as Uint8Array);
  }

  addAccount(account: NewAccount): Promise<void> {
    return this.#write("addAccount", account);
  }

  addStatement(statement: NewStatement, effects: StatementEffects): Promise<void> {
    return this.#write("addStatement", statement, effects);
  }

  async append(row: NewRow, quota: Quota): Promise<Appended> {
    const { stream, kind, account, device, id, counter, sealed, expires, now } = row;
    const values = [stream, kind, account, device, id, counter, sealed, expires, now] as const;
    const { seq, rowHash, accepted, fresh } = await this.#write("append", values, quota);
    if (!fresh) return { seq, rowHash, accepted, fresh };
    const header = { stream, seq, incarnation: this.incarnation, kind, class: "durable" as const };
    const sender = { account, device, id, counter, generation: null, epoch: null };
    const body = { ...fresh, sealed: sealed as Uint8Array<ArrayBuffer>, accepted, expires, rowHash };
    return { seq, rowHash, accepted, fresh: { ...header, ...sender, ...body } };
  }

  async rows(stream: StreamId, after: number, bytes: number): Promise<Row[]> {
    const found = this.#sql.all(
      `SELECT streams.stream, rows.seq, rows.incarnation, kind, 'durable' AS class, rows.account, device, message AS id,
        counter, generation, epoch, sealed_hash AS sealedHash, sealed, rows.accepted, rows.expires, previous,
        row_hash AS rowHash, size
        FROM streams JOIN rows ON rows.stream = streams.id LEFT JOIN bodies ON bodies.row = rows.id
        WHERE streams.stream = ? AND rows.seq > ? ORDER BY rows.seq LIMIT ?`,
      stream,
      after,
      pageRows,
    );
    const page: Row[] = [];
    let sum = 0;
    for (const { size, ...row } of found) {
      sum += row.sealed === null ? 0 : Number(size);
      if (page.length > 0 && sum > bytes) break;
      page.push(row as Row);
    }
    return page;
  }

  async head(stream: StreamId): Promise<number | undefined> {
    return this.#sql.get("SELECT head FROM streams WHERE stream = ?", stream)?.head as number | undefined;
  }

  async counters(device: DeviceId): Promise<{ stream: StreamId; counter: number }[]> {
    return this.#sql
      .all(
        "SELECT streams.stream, counter FROM counters JOIN streams ON streams.id = counters.stream WHERE device = ?",
        device,
      )
      .map((found) => ({ ...found }) as { stream: StreamId; counter: number });
  }

  cursor(device: DeviceId, stream: StreamId): Promise<number> {
    return this.#write("cursor", device, stream);
  }

  moveCursor(device: DeviceId, stream: StreamId, seq: number): Promise<MessageRef[]> {
    return this.#write("moveCursor", device, stream, seq);
  }

  settle(ended: readonly DeviceId[]): Promise<MessageRef[]> {
    return this.#write("settle", ended);
  }

  delivered(account: AccountId, ids: readonly MessageId[]): Promise<MessageId[]> {
    return this.#write("delivered", account, ids);
  }

  async invite(hash: Hash): Promise<Invite | undefined> {
    const found = this.#sql.get(
      "SELECT hash, account, uses_left AS usesLeft, created, expires FROM invites WHERE hash = ?",
      hash,
    );
    return found as Invite | undefined;
  }

  addInvite(invite: Invite, most: number): Promise<void> {
    return this.#write("addInvite", invite, most);
  }

  async invites(account: AccountId, now: number): Promise<InviteView[]> {
    return this.#sql
      .all(
        `SELECT hash, uses_left AS usesLeft, created, expires FROM invites
        WHERE account = ? AND uses_left > 0 AND expires > ? ORDER BY created`,
        account,
        now,
      )
      .map((found) => ({ ...found }) as unknown as InviteView);
  }

  removeInvite(account: AccountId, hash: Hash): Promise<void> {
    return this.#write("removeInvite", account, hash);
  }

  replaceSetupLink(invite: Invite | null): Promise<void> {
    return this.#write("replaceSetupLink", invite);
  }

  addPass(pass: Pass, under: Hash | null): Promise<void> {
    return this.#write("addPass", pass, under);
  }

  async pass(hash: Hash): Promise<Pass | undefined> {
    const found = this.#sql.get(
      "SELECT hash, kind, account, device, title, opened, expires FROM passes WHERE hash = ?",
      hash,
    );
    if (!found) return undefined;
    const { title, opened, ...pass } = found;
    return (pass.kind === "grant" ? { ...pass, title, opened } : pass) as unknown as Pass;
  }

  openGrant(hash: Hash, opened: number, expires: number): Promise<void> {
    return this.#write("openGrant", hash, opened, expires);
  }

  endPasses(device: DeviceId): Promise<void> {
    return this.#write("endPasses", device);
  }

  async restored(): Promise<Restored | null> {
    return readRestored(this.#sql);
  }

  async restoredDevices(): Promise<DeviceId[]> {
    if ((await this.restored()) === null) return [];
    return this.#sql.all("SELECT device FROM restored_devices").map(({ device }) => device as DeviceId);
  }

  async rowHashes(stream: StreamId, seqs: readonly number[]): Promise<(Hash | null)[]> {
    const sql =
      "SELECT row_hash FROM rows JOIN streams ON streams.id = rows.stream WHERE streams.stream = ? AND seq = ?";
    return seqs.map((seq) => (this.#sql.get(sql, stream, seq)?.row_hash as Hash | undefined) ?? null);
  }

  restoreStatements(statements: RestoredStatements): Promise<void> {
    return this.#write("restoreStatements", statements);
  }

  restoreRows(stream: StreamId, rows: readonly Row[]): Promise<number> {
    return this.#write("restoreRows", stream, rows);
  }

  restoreDone(
    device: DeviceId,
    counters: readonly UsedCounter[],
    recovery: RestoredRecovery | null,
  ): Promise<void> {
    return this.#write("restoreDone", device, counters, recovery);
  }

  endRestoring(): Promise<void> {
    return this.#write("endRestoring");
  }

  probe(): Promise<void> {
    return this.#write("probe");
  }

  async blocks(): Promise<Block[]> {
    return this.#sql
      .all("SELECT account, blocked FROM blocks")
      .map((found) => ({ ...found }) as unknown as Block);
  }

  addBlock(block: Block, most: number): Promise<void> {
    return this.#write("addBlock", block, most);
  }

  removeBlock(block: Block): Promise<void> {
    return this.#write("removeBlock", block);
  }

  sweep(now: number): Promise<void> {
    return this.#write("sweep", now);
  }

  #write<N extends WriteName>(name: N, ...args: Parameters<Writes[N]>): Promise<ReturnType<Writes[N]>> {
    if (this.#failed) return Promise.reject(this.#failed);
    const { calls, waiting } = this.#queued;
    // What comes within a tick, or while the writer is at work, travels as one message: each costs as much as a letter.
    if (calls.length === 0 && !this.#posted) setImmediate(() => this.#flush());
    calls.push({ name, args } as unknown as WriteCall);
    return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
  }

  #flush(): void {
    if (this.#posted || this.#queued.calls.length === 0) return;
    const { calls, waiting } = this.#queued;
    this.#posted = waiting;
    this.#queued = { calls: [], waiting: [] };
    this.#writer.post(calls);
  }

  #settle(results: readonly WriteResult[]): void {
    const posted = this.#posted ?? [];
    this.#posted = null;
    this.#flush();
    for (const [at, result] of results.entries()) {
      const waiting = posted[at];
      if ("value" in result) waiting?.resolve(result.value as never);
      else if ("code" in result) waiting?.reject(new SnugError(result.code, result.message));
      else {
        const { code, message, inside } = result.fault;
        // What the disk refuses is told once for all (O13), and each time to who asked.
        const cause = code === "internal" ? { cause: new Error(inside) } : {};
        waiting?.reject(new SnugError(code, message, cause));
      }
    }
    if (!this.#posted) this.#rests();
  }

  #fail(cause: unknown): void {
    this.#failed = new SnugError("unavailable", "the database's writer stopped", { cause });
    for (const { reject } of [...(this.#posted ?? []), ...this.#queued.waiting]) reject(this.#failed);
    this.#posted = null;
    this.#queued = { calls: [], waiting: [] };
    this.#rests();
  }
}
