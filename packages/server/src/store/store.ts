import type {
  AccountId,
  DeviceId,
  DirectoryEntry,
  Hash,
  Incarnation,
  InviteView,
  MessageId,
  Row,
  ServerId,
  StreamId,
  TitleId,
} from "@snug/protocol";
import type { Restored, RestoredRecovery, RestoredStatements, UsedCounter } from "./restored.ts";

/** A row as its sender hands it in; the log adds sequence, time and hashes. */
export interface NewRow {
  readonly stream: StreamId;
  readonly kind: Row["kind"];
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly id: MessageId;
  readonly counter: number;
  readonly sealed: Uint8Array;
  readonly expires: number | null;
  /** ms since 1970 */
  readonly now: number;
}

/** What an append comes to. `fresh` is null for an expected double: its first sequence again, nothing written. */
export interface Appended {
  readonly seq: number;
  readonly rowHash: Hash;
  readonly accepted: number;
  readonly fresh: Row | null;
}

/** One message, as its sender knows it. */
export interface MessageRef {
  readonly account: AccountId;
  readonly id: MessageId;
}

/** A new leaf of the directory log with the checkpoint that covers it. Only its hash and place mean anything here. */
export interface NewStatement {
  readonly index: number;
  /** Whose it is: an account's, or the server's own, when it changes the log key. */
  readonly account: AccountId | ServerId;
  readonly statement: Uint8Array;
  readonly checkpoint: string;
  readonly now: number;
}

/** An account that joins. */
export interface NewAccount extends NewStatement {
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly inbox: StreamId;
  readonly recovery: Uint8Array;
  /** The invite that is spent with it. */
  readonly invite: Hash;
}

/** What a statement changes besides the log. */
export interface StatementEffects {
  readonly addedDevices: readonly DeviceId[];
  readonly endedDevices: readonly DeviceId[];
  /** Whose open invites end with it; null: nobody's. */
  readonly endedInvites: AccountId | null;
}

export interface Invite {
  readonly hash: Hash;
  /** null in the setup link */
  readonly account: AccountId | null;
  readonly usesLeft: number;
  readonly created: number;
  readonly expires: number;
}

/** Something that lets its holder in for a while, kept as the SHA-256 of what the holder has. Times in ms since 1970. */
export type Pass = {
  readonly hash: Hash;
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly expires: number;
} & (
  | { readonly kind: "token" | "session" }
  /** `opened` is null until the first use. */
  | { readonly kind: "grant"; readonly title: TitleId; readonly opened: number | null }
);

/** An account that takes no letters from another. */
export interface Block {
  readonly account: AccountId;
  readonly blocked: AccountId;
}

/** How many rows, and how many of their sealed bytes, may wait for one account; and of one other account among them. */
export interface Quota {
  readonly rows: number;
  readonly bytes: number;
  readonly senderRows: number;
  readonly senderBytes: number;
}

/**
 * What the server remembers: domain operations, each one transaction, durable (fsynced) when its promise resolves.
 * Refusals are SnugErrors, decided before anything is written; anything else that goes wrong is `internal`, or
 * `unavailable` when the disk refuses, with the reason as its cause.
 * `packages/server/test/storeContract.ts` says in tests what every implementation owes.
 */
export interface Store extends AsyncDisposable {
  readonly incarnation: Incarnation;

  /** The newest checkpoint and the number of statements; null before the first. */
  checkpoint(): Promise<{ readonly text: string; readonly size: number } | null>;
  /** What {@link keepVerifiedKinds} kept last; null before the first. */
  verifiedKinds(): Promise<string | null>;
  /** Keeps which kinds of statements were known to who verified the signatures of all that are stored. */
  keepVerifiedKinds(kinds: string): Promise<void>;
  /** Statements from an index on, at most `most`, in order. */
  directory(from: number, most: number): Promise<readonly DirectoryEntry[]>;
  /** All statements of one account, or of the server itself, in order. */
  statementsOf(account: AccountId | ServerId): Promise<readonly Uint8Array[]>;
  /** Account, inbox, device, statement, checkpoint and the invite's use in one. Throws `invite-invalid`, `conflict`. */
  addAccount(account: NewAccount): Promise<void>;
  /** Throws `conflict` when the index is taken. Ended devices lose their passes with it, and an account its invites. */
  addStatement(statement: NewStatement, effects: StatementEffects): Promise<void>;

  /** Checks in the order of D4 and appends. Throws `not-found`, `id-conflict`, `out-of-order`, `quota`. */
  append(row: NewRow, quota: Quota): Promise<Appended>;
  /** Rows above a sequence, in order, at least one if there is one, sealed bytes up to about `bytes` in all. */
  rows(stream: StreamId, after: number, bytes: number): Promise<readonly Row[]>;
  /** Sequence of the newest row, 0 when empty; undefined for an unknown stream. */
  head(stream: StreamId): Promise<number | undefined>;
  /** Highest send counter seen of a device, by stream. */
  counters(device: DeviceId): Promise<readonly { readonly stream: StreamId; readonly counter: number }[]>;
  cursor(device: DeviceId, stream: StreamId): Promise<number>;
  /**
   * Moves the cursor of an active device, never back; durable within a second, since a device says it at each sign-in.
   * Returns which messages have reached everybody they are for with it. Throws `rolled-back` above the head.
   */
  moveCursor(device: DeviceId, stream: StreamId, seq: number): Promise<readonly MessageRef[]>;
  /** Returns which messages have reached everybody they are for now that these devices have ended. */
  settle(ended: readonly DeviceId[]): Promise<readonly MessageRef[]>;
  /** Which of an account's messages have reached every active device of every recipient. */
  delivered(account: AccountId, ids: readonly MessageId[]): Promise<readonly MessageId[]>;

  invite(hash: Hash): Promise<Invite | undefined>;
  /** Throws `conflict` for a known hash and `quota` above `most` living invites of the account. */
  addInvite(invite: Invite, most: number): Promise<void>;
  /** Living invites of an account, oldest first. */
  invites(account: AccountId, now: number): Promise<readonly InviteView[]>;
  /** Throws `not-found`, also for another account's. */
  removeInvite(account: AccountId, hash: Hash): Promise<void>;
  /** Puts the one setup link in place of any former; null only takes it away. */
  replaceSetupLink(invite: Invite | null): Promise<void>;

  /** `under`: the pass that this one is made by. Throws `unauthenticated` when that is gone by then. */
  addPass(pass: Pass, under: Hash | null): Promise<void>;
  pass(hash: Hash): Promise<Pass | undefined>;
  /** First use of a grant: from now on it lives until `expires`. */
  openGrant(hash: Hash, opened: number, expires: number): Promise<void>;
  endPasses(device: DeviceId): Promise<void>;

  /** How this folder was restored; null when it never was. */
  restored(): Promise<Restored | null>;
  /** Devices that have brought back what they had. */
  restoredDevices(): Promise<readonly DeviceId[]>;
  /** The hash of each row, null where there is none. */
  rowHashes(stream: StreamId, seqs: readonly number[]): Promise<readonly (Hash | null)[]>;
  /** Appends what a restored log had lost. Throws `conflict` for another index or a taken inbox. */
  restoreStatements(statements: RestoredStatements): Promise<void>;
  /** Appends what a restored inbox had lost (D21), and returns its head. Throws `not-found`, `conflict`. */
  restoreRows(stream: StreamId, rows: readonly Row[]): Promise<number>;
  /** A device has brought back what it had, and will not offer these counters again. Keys are taken where there are none. */
  restoreDone(
    device: DeviceId,
    counters: readonly UsedCounter[],
    recovery: RestoredRecovery | null,
  ): Promise<void>;
  /** From now on everything is taken again. */
  endRestoring(): Promise<void>;
  /** Writes something that nobody reads: whether the disk takes it is the answer. */
  probe(): Promise<void>;

  /** Who takes no letters from whom. */
  blocks(): Promise<readonly Block[]>;
  /** Throws `quota` above `most` of the account's. Twice the same is the same. */
  addBlock(block: Block, most: number): Promise<void>;
  removeBlock(block: Block): Promise<void>;

  /** Erases bodies by D12 and D13 and forgets what has expired. */
  sweep(now: number): Promise<void>;
}
