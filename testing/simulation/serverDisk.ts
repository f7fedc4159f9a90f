import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { Incarnation, randomId } from "@snug/protocol";
import { renewDatabase } from "../../packages/server/src/backup/adopt.ts";
import type { LogKeys } from "../../packages/server/src/logKey.ts";
import { commitBatch, type WriteCall, type WriteResult } from "../../packages/server/src/store/batch.ts";
import { makeDatabase, openDatabase, openReader } from "../../packages/server/src/store/schema.ts";
import type { OpenWriter } from "../../packages/server/src/store/sqliteStore.ts";
import type { Quota } from "../../packages/server/src/store/store.ts";
import { Writes } from "../../packages/server/src/store/writes.ts";
import type { Chance } from "./chance.ts";
import type { Course } from "./course.ts";

/** What the disk says to a commit: SQLite's codes of a full and of a failing one. */
export type DiskFault = "full" | "fails";
const faultCodes = { full: 13, fails: 10 } as const;

export interface DiskWatcher {
  /** The server's process hands changes to the writer. */
  posted(calls: readonly WriteCall[]): void;
  /** Before a batch is tried and after it was committed or refused. */
  before(calls: readonly WriteCall[]): void;
  committed(calls: readonly WriteCall[], results: readonly WriteResult[]): void;
  /** The server's process is about to learn of results. */
  told(results: readonly WriteResult[]): void;
}

/** What a backup holds. */
interface Backup {
  readonly path: string;
  readonly keys: LogKeys;
  readonly made: number;
}

/**
 * The server's disk: the real changes on a real SQLite file, with commits that take simulated time. What waits or is
 * being committed when the power fails is lost whole; what was committed stays, also when nobody was told.
 */
export class ServerDisk implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "snug-simulation-"));
  path: string = join(this.#folder, "snug.db");
  readonly #course: Course;
  readonly #chance: Chance;
  readonly #quota: Quota;
  readonly #watcher: DiskWatcher;
  readonly #open = new Set<DatabaseSync>();
  /** The power that the writer under way lives by; a crash ends it. */
  #power = { on: true };
  #backup: Backup | null = null;
  #copies = 0;
  /** The folder's keys: the one in office, and one that was put down beside it. */
  keys: LogKeys;
  fault: DiskFault | null = null;
  faults = 0;

  constructor(of: { course: Course; chance: Chance; quota: Quota; keys: LogKeys; watcher: DiskWatcher }) {
    this.#course = of.course;
    this.#chance = of.chance;
    this.#quota = of.quota;
    this.#watcher = of.watcher;
    this.keys = of.keys;
    makeDatabase(this.path, randomId(Incarnation));
  }

  /** What is under way is lost. */
  crash(): void {
    this.#power.on = false;
    this.#power = { on: true };
    for (const database of this.#open) this.#close(database);
  }

  get hasBackup(): boolean {
    return this.#backup !== null;
  }

  /** As it is at this moment, in one read transaction, like `snug backup`. */
  backUp(now: number): void {
    const path = this.#copy(this.path);
    this.#backup = { path, keys: this.keys, made: now };
  }

  /** A change of the log key makes it useless for what comes after (P40). */
  forgetBackup(): void {
    this.#backup = null;
  }

  /** The power is off: the backup takes the place of what was there, as it is. */
  putBack(): void {
    if (!this.#backup) throw new Error("there is no backup");
    this.keys = this.#backup.keys;
    this.path = this.#copy(this.#backup.path);
  }

  /** What `snug restore` and `snug restore --adopt` do to a database. */
  adopt(now: number): void {
    renewDatabase(this.path, { now, backup: this.#backup?.made ?? null });
  }

  #copy(from: string): string {
    const path = join(this.#folder, `copy-${++this.#copies}.db`);
    const database = openReader(from);
    database.prepare("VACUUM INTO ?").run(path);
    database.close();
    return path;
  }

  readonly openWriter: OpenWriter = (path, told) => {
    const power = this.#power;
    const database = openDatabase(path);
    this.#open.add(database);
    // Durability is the simulation's: a crash here is one of the course, not of the machine.
    database.exec("PRAGMA synchronous=OFF");
    const exec = database.exec.bind(database);
    database.exec = (sql) => {
      if (sql === "COMMIT" && this.fault) this.#fail(this.fault);
      exec(sql);
    };
    const writes = new Writes(database);
    let waiting: WriteCall[] = [];
    let busy = false;
    let closed: (() => void) | null = null;
    let kept = false;
    /** As the real writer's timer does. */
    const keepCursors = (): void => {
      if (kept || !writes.heads.moved) return;
      kept = true;
      this.#course.after(250, () => {
        kept = false;
        if (!this.#open.has(database)) return;
        commitBatch(database, writes, { calls: [], cursorsToo: true });
        this.#watcher.committed([], []);
      });
    };
    const next = (): void => {
      busy = waiting.length > 0;
      if (!busy) {
        closed?.();
        return;
      }
      const calls = waiting;
      waiting = [];
      this.#course.after(this.#delay(), () => {
        if (!power.on) return;
        this.#watcher.before(calls);
        const results = commitBatch(database, writes, { calls });
        this.#course.trace("disk", `${calls.map(({ name }) => name).join(" ")}${failed(results)}`);
        this.#watcher.committed(calls, results);
        keepCursors();
        this.#course.after(this.#delay(), () => {
          if (!power.on) return;
          this.#watcher.told(results);
          told.settle(structuredClone(results));
          next();
        });
      });
    };
    return {
      post: (calls) => {
        if (!power.on) return;
        this.#watcher.posted(calls);
        waiting.push(...structuredClone(calls).map((call) => this.#limited(call)));
        if (!busy) next();
      },
      close: () =>
        new Promise((resolve) => {
          closed = () => {
            commitBatch(database, writes, { calls: [], cursorsToo: true });
            this.#watcher.committed([], []);
            this.#close(database);
            resolve();
          };
          if (!busy) closed();
        }),
    };
  };

  #close(database: DatabaseSync): void {
    this.#open.delete(database);
    database.close();
    // Its statements hold it outside of what is collected: with what it holds, all of the course would stay.
    Reflect.deleteProperty(database, "exec");
  }

  /** The quota of this course, in place of the protocol's: 10,000 rows would take all day. No room at all stays none. */
  #limited(call: WriteCall): WriteCall {
    if (call.name !== "append" || call.args[1].rows === 0) return call;
    return { ...call, args: [call.args[0], this.#quota] };
  }

  #fail(fault: DiskFault): never {
    this.faults++;
    throw Object.assign(new Error(`the disk is ${fault}`), { errcode: faultCodes[fault] });
  }

  #delay(): number {
    return this.#chance.is(0.05) ? this.#chance.next() * 2000 : this.#chance.next() * 8;
  }

  [Symbol.dispose](): void {
    this.crash();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function failed(results: readonly WriteResult[]): string {
  const codes = results.flatMap((result) =>
    "code" in result ? [result.code] : "fault" in result ? [result.fault.code] : [],
  );
  return codes.length > 0 ? ` (${codes.join(" ")})` : "";
}
