import {
  type Account,
  type Change as Applied,
  applyStatement,
  applyStatements,
  type Directory,
  emptyDirectory,
  openCheckpoint,
  rootOf,
  signCheckpoint,
} from "@snug/crypto/identity";
import {
  type AccountId,
  type DeviceId,
  type DirectoryEntry,
  decodeStatement,
  type Ed25519Public,
  type Hash,
  limits,
  randomId,
  type ServerId,
  SnugError,
  StreamId,
  sha256,
} from "@snug/protocol";
import { StartError } from "./startError.ts";
import type { Store } from "./store/store.ts";

/** The key that signs checkpoints; its public half is the server's identity. */
export interface LogKey {
  readonly server: ServerId;
  readonly logKey: CryptoKey;
  readonly logPublic: Ed25519Public;
}

/** A leaf just appended, and whose devices it ended. */
export interface Leaf {
  readonly index: number;
  readonly entry: DirectoryEntry;
  readonly checkpoint: string;
  readonly account: AccountId;
  readonly endedDevices: readonly DeviceId[];
}

const page = 1024;

/**
 * The directory: every account's statements in one log with a signed checkpoint. Held in memory, changed one
 * statement at a time, stored before it is shown.
 */
export class DirectoryLog {
  readonly #store: Store;
  readonly #key: LogKey;
  readonly #owners = new Map<StreamId, AccountId>();
  readonly #inboxes = new Map<AccountId, StreamId>();
  #directory: Directory;
  #checkpoint = "";
  #last: Promise<unknown> = Promise.resolve();
  /** Called after each append, once it is durable. */
  onLeaf: (leaf: Leaf) => void = () => undefined;

  private constructor(store: Store, key: LogKey) {
    this.#store = store;
    this.#key = key;
    this.#directory = emptyDirectory(key.server);
  }

  /** Replays the stored log. Throws StartError when it is not what its newest checkpoint says. */
  static async open(store: Store, key: LogKey): Promise<DirectoryLog> {
    const log = new DirectoryLog(store, key);
    for (;;) {
      const entries = await store.directory(log.size, page);
      const statements = entries.map(({ statement }) => statement);
      const { directory, changes } = await applyStatements(log.#directory, statements);
      log.#directory = directory;
      for (const [at, { account }] of changes.entries()) {
        const inbox = entries[at]?.inbox;
        if (inbox) log.#setInbox(account, inbox);
      }
      if (entries.length < page) break;
    }
    await log.#checkStored();
    return log;
  }

  async #checkStored(): Promise<void> {
    const stored = await this.#store.checkpoint();
    if (!stored) {
      this.#checkpoint = await this.#sign(this.#directory);
      return;
    }
    const { size, root } = await openCheckpoint(stored.text, this.#key);
    if (size !== this.size || Buffer.compare(root, await rootOf(this.#directory.tree)) !== 0) {
      throw new StartError(
        `the directory has ${this.size} statements, its checkpoint says otherwise (${size})`,
      );
    }
    this.#checkpoint = stored.text;
  }

  get directory(): Directory {
    return this.#directory;
  }

  get size(): number {
    return this.#directory.size;
  }

  get checkpoint(): string {
    return this.#checkpoint;
  }

  /** An account that exists and was not removed. */
  member(id: AccountId): Account | undefined {
    const account = this.#directory.accounts.get(id);
    return account?.removed ? undefined : account;
  }

  /** Whether a device may act for an account at a time (ms since 1970). */
  isActive(id: AccountId, device: DeviceId, now: number): boolean {
    const found = this.member(id)?.devices.get(device);
    return found !== undefined && !found.revoked && (found.ends === null || found.ends > now);
  }

  /** Whether somebody rules here: only while nobody does there is a setup link. */
  hasAdmin(): boolean {
    return [...this.#directory.accounts.values()].some(({ role, removed }) => role === "admin" && !removed);
  }

  ownerOf(stream: StreamId): AccountId | undefined {
    return this.#owners.get(stream);
  }

  inboxOf(account: AccountId): StreamId | undefined {
    return this.#inboxes.get(account);
  }

  /** Lets an account in by an invite whose maker is `inviter` (null: by the setup link). The same genesis twice is one join. */
  join(of: {
    readonly genesis: Uint8Array<ArrayBuffer>;
    readonly recovery: Uint8Array;
    readonly invite: Hash;
    readonly inviter: AccountId | null;
    readonly now: number;
  }): Promise<{ account: AccountId; inbox: StreamId }> {
    return this.#inTurn(async () => {
      const { content } = decodeStatement(of.genesis);
      if (content.kind !== "genesis") throw new SnugError("malformed", "joining takes a genesis statement");
      if ((content.body.invite?.inviter ?? null) !== of.inviter) {
        throw new SnugError("policy", "the genesis names another inviter than the invite's maker");
      }
      const { directory, account } = await applyStatement(this.#directory, of.genesis);
      const inbox = randomId(StreamId);
      const leaf = await this.#nextLeaf(directory, { account, statement: of.genesis, now: of.now });
      const { device } = content.body.device;
      await this.#store.addAccount({ ...leaf, device, inbox, recovery: of.recovery, invite: of.invite });
      this.#setInbox(account, inbox);
      this.#publish(directory, leaf, { inbox, endedDevices: [] });
      return { account, inbox };
    });
  }

  /** The account and inbox of a genesis that is already in the log. */
  async find(genesis: Uint8Array): Promise<{ account: AccountId; inbox: StreamId } | undefined> {
    const account = (await sha256(genesis)) as string as AccountId;
    const inbox = this.#inboxes.get(account);
    return inbox && this.member(account) ? { account, inbox } : undefined;
  }

  /** Appends a statement that an account makes about itself (or, an administrator, a role). Returns its index. */
  append(by: AccountId, statement: Uint8Array<ArrayBuffer>, now: number): Promise<number> {
    return this.#inTurn(async () => {
      const { content } = decodeStatement(statement);
      if (content.account !== by) throw new SnugError("forbidden", "a statement of another account");
      if (content.number >= limits.statements) {
        throw new SnugError("policy", `an account makes at most ${limits.statements} statements`);
      }
      const before = activeDevices(this.#directory.accounts.get(by));
      const { directory } = await applyStatement(this.#directory, statement);
      const after = activeDevices(directory.accounts.get(by));
      const leaf = await this.#nextLeaf(directory, { account: by, statement, now });
      const endedDevices = before.filter((device) => !after.includes(device));
      const addedDevices = after.filter((device) => !before.includes(device));
      await this.#store.addStatement(leaf, { addedDevices, endedDevices });
      this.#publish(directory, leaf, { inbox: null, endedDevices });
      return leaf.index;
    });
  }

  /** The size that a checkpoint vouches for. Throws SnugError `malformed`, `forbidden` when this log's key did not sign it. */
  async vouchedSize(checkpoint: string): Promise<number> {
    return (await openCheckpoint(checkpoint, this.#key)).size;
  }

  /**
   * Appends what this log had before it was restored: exactly the statements up to the checkpoint that its own key
   * signed then. Returns the size after it. Throws SnugError `conflict` when they are others.
   */
  restore(
    entries: readonly DirectoryEntry[],
    of: { readonly from: number; readonly checkpoint: string; readonly now: number },
  ): Promise<number> {
    return this.#inTurn(async () => {
      const { root } = await openCheckpoint(of.checkpoint, this.#key);
      if (of.from !== this.size) return this.size;
      const statements = entries.map(({ statement }) => statement as Uint8Array<ArrayBuffer>);
      const { directory, changes } = await applyStatements(this.#directory, statements);
      if (Buffer.compare(root, await rootOf(directory.tree)) !== 0) {
        throw new SnugError("conflict", "these statements are not those that this server's checkpoint is of");
      }
      const leaves = entries.map((entry, at) => ({ ...entry, account: (changes[at] as Applied).account }));
      for (const [at, { inbox }] of leaves.entries()) {
        if ((inbox !== null) !== (changes[at]?.kind === "genesis")) {
          throw new SnugError("conflict", "a genesis has an inbox, and nothing else has");
        }
      }
      const touched = [...new Set(changes.flatMap(({ account, subject }) => [account, subject]))];
      const devices = touched.flatMap((id) => changedDevices(id, this.#directory, directory));
      await this.#store.restoreStatements({ index: of.from, leaves, ...of, devices });
      const endedDevices = devices.flatMap(({ device, active }) => (active ? [] : [device]));
      for (const { account, inbox } of leaves) if (inbox) this.#setInbox(account, inbox);
      this.#directory = directory;
      this.#checkpoint = of.checkpoint;
      const [last] = leaves.slice(-1);
      if (last) {
        const { account, statement, inbox } = last;
        const entry = { statement, inbox };
        this.onLeaf({ index: this.size - 1, entry, checkpoint: of.checkpoint, account, endedDevices });
      }
      return this.size;
    });
  }

  async #nextLeaf<T extends object>(
    directory: Directory,
    of: T,
  ): Promise<T & { index: number; checkpoint: string }> {
    return { ...of, index: this.size, checkpoint: await this.#sign(directory) };
  }

  #publish(
    directory: Directory,
    leaf: { index: number; checkpoint: string; account: AccountId; statement: Uint8Array<ArrayBuffer> },
    of: { inbox: StreamId | null; endedDevices: readonly DeviceId[] },
  ): void {
    this.#directory = directory;
    this.#checkpoint = leaf.checkpoint;
    const { index, checkpoint, account, statement } = leaf;
    const entry = { statement, inbox: of.inbox };
    this.onLeaf({ index, entry, checkpoint, account, endedDevices: of.endedDevices });
  }

  #setInbox(account: AccountId, inbox: StreamId): void {
    this.#owners.set(inbox, account);
    this.#inboxes.set(account, inbox);
  }

  async #sign({ size, tree }: Directory): Promise<string> {
    return signCheckpoint({ ...this.#key, size, root: await rootOf(tree) });
  }

  /** One change at a time: each is judged by the directory that the one before left. */
  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#last.then(change);
    this.#last = result.catch(() => undefined);
    return result;
  }
}

function activeDevices(account: Account | undefined): DeviceId[] {
  if (!account || account.removed) return [];
  return [...account.devices].filter(([, { revoked }]) => !revoked).map(([device]) => device);
}

/** Devices of an account that are new, or active no longer. */
function changedDevices(
  account: AccountId,
  before: Directory,
  after: Directory,
): { account: AccountId; device: DeviceId; active: boolean }[] {
  const former = activeDevices(before.accounts.get(account));
  const active = activeDevices(after.accounts.get(account));
  const all = [...(after.accounts.get(account)?.devices.keys() ?? [])];
  return all
    .filter((device) => former.includes(device) !== active.includes(device) || !before.devices.has(device))
    .map((device) => ({ account, device, active: active.includes(device) }));
}

/** Entries of one answer: as many as fit into about half a frame, at least one. */
export function cutDirectoryPage(entries: readonly DirectoryEntry[]): DirectoryEntry[] {
  const kept: DirectoryEntry[] = [];
  let sum = 0;
  for (const entry of entries) {
    sum += entry.statement.length + 64;
    if (kept.length > 0 && sum > limits.frame / 2) break;
    kept.push(entry);
  }
  return kept;
}
