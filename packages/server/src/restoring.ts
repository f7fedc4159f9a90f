import { type AccountId, type DeviceId, type DirectoryEntry, limits, SnugError } from "@snug/protocol";
import type { DirectoryLog } from "./directoryLog.ts";
import type { Restored, UsedCounter } from "./store/restored.ts";
import type { Store } from "./store/store.ts";

const never = "this server was not restored from a backup";

/**
 * A server whose database was put back waits for its devices (docs/spec/delivery.md, section Restoring): an inbox
 * takes letters when its owner's devices have brought back what it had lost, the directory changes when all have.
 */
export class Restoring {
  readonly #store: Store;
  readonly #log: DirectoryLog;
  readonly #done: Set<DeviceId>;
  readonly #now: () => number;
  #restored: Restored | null;
  /** Called when more is taken than before. */
  onOpened: () => void = () => undefined;

  private constructor(of: {
    readonly store: Store;
    readonly log: DirectoryLog;
    readonly now: () => number;
    readonly restored: Restored | null;
    readonly done: Set<DeviceId>;
  }) {
    this.#store = of.store;
    this.#log = of.log;
    this.#now = of.now;
    this.#restored = of.restored;
    this.#done = of.done;
  }

  static async open(store: Store, log: DirectoryLog, now: () => number): Promise<Restoring> {
    const restored = await store.restored();
    const done = new Set(await store.restoredDevices());
    const restoring = new Restoring({ store, log, now, restored, done });
    await restoring.look();
    return restoring;
  }

  /** Whether something is not taken yet. */
  get active(): boolean {
    return this.#restored !== null && this.#restored.until !== null;
  }

  /** For those who sign in; null in a folder that never was restored. */
  get restored(): { readonly at: number; readonly backup: number } | null {
    return this.#restored && { at: this.#restored.at, backup: this.#restored.backup };
  }

  /** Throws SnugError `policy` on a server that never was restored: nothing is to be brought back. */
  mustBeRestored(): void {
    if (!this.#restored) throw new SnugError("policy", never);
  }

  /** Throws SnugError `unavailable` while an inbox, or the sender's own count, may still lack what it had (D19). */
  mustTakeLetters(owner: AccountId, sender: DeviceId): void {
    if (!this.active) return;
    if (this.#hasAll(owner) && this.#done.has(sender)) return;
    throw waits("the recipient's devices have not all come back; the letter waits here until they have");
  }

  /** Throws SnugError `unavailable` while somebody may still know newer statements than the server (D19). */
  mustTakeChanges(): void {
    if (this.active) throw waits("not all devices have come back with what it lost; try again later");
  }

  /** A device has brought back what it has: `recovery` are its account's wrapped keys, or null. */
  async done(
    { account, device }: { readonly account: AccountId; readonly device: DeviceId },
    counters: readonly UsedCounter[],
    recovery: Uint8Array | null,
  ): Promise<void> {
    this.mustBeRestored();
    await this.#store.restoreDone(device, counters, recovery && { account, wrapped: recovery });
    this.#done.add(device);
    if (this.active && !(await this.look())) this.onOpened();
  }

  /** Ends what is over: all are back, the time is up, or the operator has said so in the store. True when it ended now. */
  async look(): Promise<boolean> {
    if (!this.active) return false;
    const restored = await this.#store.restored();
    if (restored !== null && restored.until !== null) {
      const accounts = [...this.#log.directory.accounts.keys()];
      if (restored.until > this.#now() && !accounts.every((account) => this.#hasAll(account))) return false;
      await this.#store.endRestoring();
    }
    this.#restored = restored && { ...restored, until: null };
    this.onOpened();
    return true;
  }

  #hasAll(id: AccountId): boolean {
    const account = this.#log.member(id);
    if (!account) return true;
    return [...account.devices].every(
      ([device, { rights }]) =>
        rights !== "full" || this.#done.has(device) || !this.#log.isActive(id, device, this.#now()),
    );
  }
}

function waits(why: string): SnugError {
  return new SnugError("unavailable", `the server was restored from a backup: ${why}`);
}

/** Statements that one connection brings back, until their checkpoint is reached. */
export class BroughtStatements {
  #entries: DirectoryEntry[] = [];
  #checkpoint = "";
  #bytes = 0;
  /** What the log had when the first of them came. */
  #from = 0;

  /**
   * How many statements there are then, with those that wait here. Throws SnugError `forbidden` for a checkpoint that
   * this server's log key did not sign, `conflict` for statements that don't lead to it, `too-large`.
   */
  async take(
    log: DirectoryLog,
    of: {
      readonly from: number;
      readonly entries: readonly DirectoryEntry[];
      readonly checkpoint: string;
      readonly now: number;
    },
  ): Promise<number> {
    const size = await log.vouchedSize(of.checkpoint);
    if (of.checkpoint !== this.#checkpoint || log.size !== this.#from) this.#forget();
    this.#checkpoint = of.checkpoint;
    this.#from = log.size;
    const have = log.size + this.#entries.length;
    if (size <= log.size || of.from !== have || of.entries.length === 0) return have;
    if (have + of.entries.length > size) {
      throw new SnugError("conflict", `${of.entries.length} statements received, ${size - have} are missing`);
    }
    this.#bytes += of.entries.reduce((sum, { statement }) => sum + statement.length, 0);
    if (this.#bytes > limits.restoredStatements) {
      this.#forget();
      throw new SnugError("too-large", `more than ${limits.restoredStatements} bytes of statements at once`);
    }
    this.#entries.push(...of.entries);
    if (have + of.entries.length < size) return have + of.entries.length;
    const entries = this.#entries;
    this.#forget();
    return log.restore(entries, { checkpoint: of.checkpoint, from: size - entries.length, now: of.now });
  }

  #forget(): void {
    this.#entries = [];
    this.#bytes = 0;
  }
}
