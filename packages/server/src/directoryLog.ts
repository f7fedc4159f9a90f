import {
  type Account,
  type AccountChange,
  applyStatement,
  applyStatements,
  type Directory,
  emptyDirectory,
  hasAdmin,
  inboxOf,
  isEnd,
  logKeyAt,
  openCheckpoint,
  openShownCheckpoint,
  rootOf,
  signCheckpoint,
  signLogKeyChange,
  unsafeReplay,
} from "@snug/crypto/identity";
import {
  type AccountId,
  type DeviceId,
  type DirectoryEntry,
  decodeStatement,
  type Ed25519Public,
  type Hash,
  limits,
  SnugError,
  type StreamId,
  sha256,
  statementKinds,
} from "@snug/protocol";
import type { LogKey, LogKeys } from "./logKey.ts";
import { StartError } from "./startError.ts";
import type { Store } from "./store/store.ts";

/** A leaf just appended, and the devices it ended. */
export interface Leaf {
  readonly index: number;
  readonly entry: DirectoryEntry;
  readonly checkpoint: string;
  readonly endedDevices: readonly DeviceId[];
}

const page = 1024;

/**
 * The directory: every account's statements in one log with a signed checkpoint. Held in memory, changed one
 * statement at a time, stored before it is shown.
 */
export class DirectoryLog {
  readonly #store: Store;
  #keys: LogKeys;
  readonly #owners = new Map<StreamId, AccountId>();
  readonly #inboxes = new Map<AccountId, StreamId>();
  readonly #positions = new Map<AccountId, number>();
  readonly #ended = new Set<DeviceId>();
  readonly #most: number;
  /** Of all statements. */
  #bytes = 0;
  #directory: Directory;
  #checkpoint = "";
  #last: Promise<unknown> = Promise.resolve();
  /** Called after each append, once it is durable. */
  onLeaf: (leaf: Leaf) => void = () => undefined;

  private constructor(store: Store, keys: LogKeys, most: number) {
    this.#store = store;
    this.#most = most;
    this.#keys = keys;
    this.#directory = emptyDirectory(keys.server);
  }

  /**
   * Replays the stored log, which takes `most` bytes of statements. Each was verified before it was stored, and the
   * checkpoint stored with it vouches for that: signatures are verified again only when that was done by a program
   * that knew other kinds of statements (I31). Throws StartError when the log is not what its newest checkpoint says.
   */
  static async open(store: Store, keys: LogKeys, most: number = limits.directory): Promise<DirectoryLog> {
    const known = statementKinds.join(" ");
    const isVerified = (await store.verifiedKinds()) === known;
    const log = new DirectoryLog(store, keys, most);
    await log.#replay(isVerified ? unsafeReplay : applyStatements);
    if (!isVerified) await store.keepVerifiedKinds(known);
    return log;
  }

  /** Verifies each signature of a stored log that came from elsewhere. Throws like {@link open}, and leaves all as it is. */
  static async verify(store: Store, keys: LogKeys): Promise<void> {
    await new DirectoryLog(store, keys, limits.directory).#replay(applyStatements);
  }

  async #replay(replay: typeof applyStatements): Promise<void> {
    for (;;) {
      const entries = await this.#store.directory(this.size, page);
      const statements = entries.map(({ statement }) => statement);
      const { directory, changes } = await replay(this.#directory, statements).catch((cause: unknown) => {
        const why = `the directory can't be read behind statement ${this.size}: ${(cause as Error).message}`;
        throw new StartError(why, { cause });
      });
      this.#directory = directory;
      for (const { length } of statements) this.#bytes += length;
      for (const [at, change] of changes.entries()) {
        const inbox = entries[at]?.inbox;
        if (change && inbox) this.#setInbox(change.account, inbox);
      }
      if (entries.length < page) break;
    }
    await this.#checkStored();
  }

  async #checkStored(): Promise<void> {
    if (!this.#held(this.logPublic)) {
      throw new StartError("the directory names another log key than the one in the data folder's keys");
    }
    const stored = await this.#store.checkpoint();
    if (!stored && this.size > 0) {
      throw new StartError(
        `the directory has ${this.size} statements and no checkpoint that vouches for them`,
      );
    }
    if (!stored) {
      this.#checkpoint = await this.#sign(this.#directory);
      return;
    }
    const { server } = this.#keys;
    const { size, root } = await openCheckpoint(stored.text, { server, logPublic: this.logPublic });
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

  /** The key that signs now. */
  get logPublic(): Ed25519Public {
    return logKeyAt(this.#directory.logKeys, this.#keys.first, this.size);
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

  /** Whether a statement that ends this device is in the store, or on its way there. */
  isEnded(device: DeviceId): boolean {
    return this.#ended.has(device);
  }

  /**
   * Changes the store so that these devices are ended. From its call on nothing of theirs is handed to the store, which
   * takes changes in order: no row of an ended device stands behind its end (D31).
   */
  async #ending(devices: readonly DeviceId[], change: () => Promise<void>): Promise<void> {
    for (const device of devices) this.#ended.add(device);
    try {
      await change();
    } catch (error) {
      for (const device of devices) this.#ended.delete(device);
      throw error;
    }
  }

  /** Whether somebody rules here: only while nobody does there is a setup link. */
  hasAdmin(): boolean {
    return hasAdmin(this.#directory);
  }

  ownerOf(stream: StreamId): AccountId | undefined {
    return this.#owners.get(stream);
  }

  inboxOf(account: AccountId): StreamId | undefined {
    return this.#inboxes.get(account);
  }

  /** Which of all accounts it is, in the order in which the log has them, from 0. Throws SnugError `not-found`. */
  positionOf(account: AccountId): number {
    const position = this.#positions.get(account);
    if (position === undefined) throw new SnugError("not-found", "nobody here has this account");
    return position;
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
      this.#mustHaveRoom(content.kind, of.genesis);
      const { directory, account } = await applyStatement(this.#directory, of.genesis);
      const inbox = await inboxOf(account);
      const leaf = await this.#nextLeaf(directory, { account, statement: of.genesis, now: of.now });
      const { device } = content.body.device;
      await this.#store.addAccount({ ...leaf, device, inbox, recovery: of.recovery, invite: of.invite });
      this.#setInbox(account, inbox);
      this.#publish(directory, leaf, { inbox, endedDevices: [] });
      return { account, inbox };
    });
  }

  /** Ends are always taken: a full directory must not keep anybody here. */
  #mustHaveRoom(kind: string, { length }: Uint8Array): void {
    if (isEnd(kind) || this.#bytes + length <= this.#most) return;
    throw new SnugError("quota", "this server's directory is full; ask its administrator");
  }

  /** The account and inbox of a genesis that is already in the log. */
  async find(genesis: Uint8Array): Promise<{ account: AccountId; inbox: StreamId } | undefined> {
    const account = (await sha256(genesis)) as string as AccountId;
    const inbox = this.#inboxes.get(account);
    return inbox && this.member(account) ? { account, inbox } : undefined;
  }

  /** Appends a statement of an account's own chain, which may speak of another (I15, I25, I26). Returns its index. */
  append(by: AccountId, statement: Uint8Array<ArrayBuffer>, now: number): Promise<number> {
    return this.#inTurn(async () => {
      const { content } = decodeStatement(statement);
      if (content.account !== by) throw new SnugError("forbidden", "a statement of another account");
      if (content.number >= limits.statements) {
        throw new SnugError("policy", `an account makes at most ${limits.statements} statements`);
      }
      this.#mustHaveRoom(content.kind, statement);
      const { directory, subject } = await applyStatement(this.#directory, statement);
      const before = activeDevices(this.#directory.accounts.get(subject));
      const after = activeDevices(directory.accounts.get(subject));
      const leaf = await this.#nextLeaf(directory, { account: by, statement, now });
      const endedDevices = before.filter((device) => !after.includes(device));
      const addedDevices = after.filter((device) => !before.includes(device));
      const endedInvites = endedDevices.length > 0 ? subject : null;
      const effects = { addedDevices, endedDevices, endedInvites };
      await this.#ending(endedDevices, () => this.#store.addStatement(leaf, effects));
      this.#publish(directory, leaf, { inbox: null, endedDevices });
      return leaf.index;
    });
  }

  /** The size that a checkpoint vouches for. Throws SnugError `malformed`, `forbidden` when this log's key did not sign it. */
  async vouchedSize(checkpoint: string): Promise<number> {
    return (await this.#openOwn(checkpoint)).size;
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
      const { root } = await this.#openOwn(of.checkpoint);
      if (of.from !== this.size) return this.size;
      const statements = entries.map(({ statement }) => statement as Uint8Array<ArrayBuffer>);
      const { directory, changes } = await applyStatements(this.#directory, statements);
      if (Buffer.compare(root, await rootOf(directory.tree)) !== 0) {
        throw new SnugError("conflict", "these statements are not those that this server's checkpoint is of");
      }
      const applied = changes.filter((change) => change !== null);
      if (applied.length < changes.length) throw keyIsNewer();
      const leaves = entries.map((entry, at) => ({
        ...entry,
        account: (applied[at] as AccountChange).account,
      }));
      const derived = await this.#derivesInboxes();
      for (const [at, { inbox, account }] of leaves.entries()) {
        if ((inbox !== null) !== (applied[at]?.kind === "genesis")) {
          throw new SnugError("conflict", "a genesis has an inbox, and nothing else has");
        }
        if (inbox !== null && derived && inbox !== (await inboxOf(account))) {
          throw new SnugError("conflict", "an inbox that is not its account's");
        }
      }
      const touched = [...new Set(applied.flatMap(({ account, subject }) => [account, subject]))];
      const devices = touched.flatMap((id) => changedDevices(id, this.#directory, directory));
      const endedDevices = devices.flatMap(({ device, active }) => (active ? [] : [device]));
      const restored = { index: of.from, leaves, ...of, devices };
      await this.#ending(endedDevices, () => this.#store.restoreStatements(restored));
      for (const { account, inbox } of leaves) if (inbox) this.#setInbox(account, inbox);
      for (const { length } of statements) this.#bytes += length;
      this.#directory = directory;
      this.#checkpoint = of.checkpoint;
      const [last] = leaves.slice(-1);
      if (last) {
        const { statement, inbox } = last;
        const entry = { statement, inbox };
        this.onLeaf({ index: this.size - 1, entry, checkpoint: of.checkpoint, endedDevices });
      }
      return this.size;
    });
  }

  /** Whether inboxes follow from their accounts: not on a server that was begun when they were random (I30). */
  async #derivesInboxes(): Promise<boolean> {
    const [founder] = this.#inboxes;
    return !founder || founder[1] === (await inboxOf(founder[0]));
  }

  /** A checkpoint of this very log, by the key that was in office at its size. */
  async #openOwn(checkpoint: string): Promise<{ size: number; root: Uint8Array }> {
    const { server, first } = this.#keys;
    const shown = await openShownCheckpoint(checkpoint, { server, first, terms: this.#directory.logKeys });
    if (shown.is === "appointed") throw keyIsNewer();
    return shown;
  }

  /**
   * Puts another key into office by a leaf that the one in office signs. `stage` makes it and puts it down durably
   * before that; from the checkpoint of this leaf on it signs (I28). Then the key before is of no more use, and `settle`
   * does away with it.
   */
  rotate(of: {
    readonly stage: () => Promise<LogKey>;
    readonly settle: (inOffice: Ed25519Public) => Promise<void>;
    readonly now: number;
  }): Promise<Ed25519Public> {
    return this.#inTurn(async () => {
      const { server } = this.#keys;
      const previous = this.logPublic;
      if (this.#directory.logKeys.length >= limits.statements) {
        throw new SnugError("policy", `the log key is changed at most ${limits.statements} times`);
      }
      const signer = this.#held(previous);
      if (!signer) throw new SnugError("internal", "the log key is not at hand");
      const next = await of.stage();
      const number = this.#directory.logKeys.length + 1;
      const change = { server, number, previous, next: next.logPublic, time: of.now };
      const statement = await signLogKeyChange(change, signer.logKey);
      const { directory } = await applyStatements(this.#directory, [statement]);
      this.#keys = { ...this.#keys, held: [signer, next] };
      const leaf = await this.#nextLeaf(directory, { account: server, statement, now: of.now });
      await this.#store.addStatement(leaf, { addedDevices: [], endedDevices: [], endedInvites: null });
      this.#keys = { ...this.#keys, held: [next] };
      this.#publish(directory, leaf, { inbox: null, endedDevices: [] });
      await of.settle(next.logPublic);
      return next.logPublic;
    });
  }

  #held(key: Ed25519Public): LogKey | undefined {
    return this.#keys.held.find(({ logPublic }) => logPublic.x === key.x);
  }

  async #nextLeaf<T extends object>(
    directory: Directory,
    of: T,
  ): Promise<T & { index: number; checkpoint: string }> {
    return { ...of, index: this.size, checkpoint: await this.#sign(directory) };
  }

  #publish(
    directory: Directory,
    leaf: { index: number; checkpoint: string; statement: Uint8Array<ArrayBuffer> },
    of: { inbox: StreamId | null; endedDevices: readonly DeviceId[] },
  ): void {
    this.#directory = directory;
    this.#checkpoint = leaf.checkpoint;
    const { index, checkpoint, statement } = leaf;
    this.#bytes += statement.length;
    const entry = { statement, inbox: of.inbox };
    this.onLeaf({ index, entry, checkpoint, endedDevices: of.endedDevices });
  }

  #setInbox(account: AccountId, inbox: StreamId): void {
    this.#owners.set(inbox, account);
    this.#inboxes.set(account, inbox);
    this.#positions.set(account, this.#positions.size);
  }

  async #sign({ server, size, tree, logKeys }: Directory): Promise<string> {
    const key = this.#held(logKeyAt(logKeys, this.#keys.first, size));
    if (!key) throw new SnugError("internal", "the log key is not at hand");
    const appointment = logKeys.at(-1)?.leaf;
    return signCheckpoint({ server, ...key, size, root: await rootOf(tree), appointment });
  }

  /** One change at a time: each is judged by the directory that the one before left. */
  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#last.then(change);
    this.#last = result.catch(() => undefined);
    return result;
  }
}

function keyIsNewer(): SnugError {
  return new SnugError(
    "conflict",
    "the log key was changed after the backup that this server was restored from; only a backup made since then has the key",
  );
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
