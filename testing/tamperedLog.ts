import {
  appendLeaf,
  applyStatements,
  type Directory,
  emptyDirectory,
  emptyTree,
  rootOf,
  signCheckpoint,
} from "@snug/crypto/identity";
import type { CreatedAccount } from "@snug/crypto/sealing";
import {
  type AccountId,
  type DirectoryEntry,
  firstPrevious,
  type Row,
  rowHashInput,
  type StreamId,
  sha256,
} from "@snug/protocol";

/** Whom a server put in the place of somebody who joined: keys of its own, and the true genesis that it kept back. */
export interface Puppet {
  readonly created: CreatedAccount;
  readonly genesis: Uint8Array<ArrayBuffer>;
}

/** What one person is shown of the log, made of what it truly holds. */
export type DirectoryLie = (entries: readonly DirectoryEntry[]) => readonly DirectoryEntry[];

/** What the server signs its checkpoints with. */
type LogKey = Pick<Parameters<typeof signCheckpoint>[0], "server" | "logKey" | "logPublic">;

/** The directory log in the hands of somebody who has the log's private key: each person can be shown another. */
export class TamperedLog {
  readonly entries: DirectoryEntry[] = [];
  readonly #key: LogKey;
  readonly #lies = new Map<AccountId, DirectoryLie>();
  /** How many statements of the true server have been taken over. */
  #taken = 0;

  constructor(key: LogKey) {
    this.#key = key;
  }

  get taken(): number {
    return this.#taken;
  }

  /** Takes over statements of the true server; gives those that are new. */
  take(from: number, entries: readonly DirectoryEntry[]): readonly DirectoryEntry[] {
    const fresh = from > this.#taken ? [] : entries.slice(this.#taken - from);
    this.#taken += fresh.length;
    this.entries.push(...fresh);
    return fresh;
  }

  lie(account: AccountId, lie: DirectoryLie): void {
    this.#lies.set(account, lie);
  }

  confess(): void {
    this.#lies.clear();
  }

  isTrueFor(account: AccountId): boolean {
    return !this.#lies.has(account);
  }

  shownTo(account: AccountId): readonly DirectoryEntry[] {
    return this.#lies.get(account)?.(this.entries) ?? this.entries;
  }

  /** A checkpoint over these entries, signed as the server signs. */
  async checkpoint(entries: readonly DirectoryEntry[]): Promise<string> {
    let tree = emptyTree();
    for (const { statement } of entries) tree = await appendLeaf(tree, await sha256(statement));
    return signCheckpoint({ ...this.#key, size: tree.size, root: await rootOf(tree) });
  }

  /** What the statements say, all of them sound. */
  async replay(): Promise<Directory> {
    const statements = this.entries.map(({ statement }) => statement);
    return (await applyStatements(emptyDirectory(this.#key.server), statements)).directory;
  }
}

/** What becomes of a row on its way to its reader: any number of rows. Their place and hashes are made anew. */
export type RowLie = (row: Row) => readonly Row[] | Promise<readonly Row[]>;

/** An inbox as its reader is shown it: whatever is put in is numbered and chained as if it had always been so. */
export class TamperedInbox {
  readonly stream: StreamId;
  readonly shown: { readonly row: Row; readonly taken: number }[] = [];
  lie: RowLie = (row) => [row];
  /** The true sequence up to which rows have been taken over. */
  taken = 0;

  constructor(stream: StreamId) {
    this.stream = stream;
  }

  /** Takes a row of the true server over; gives what is shown of it. */
  async take(row: Row): Promise<readonly Row[]> {
    if (row.seq <= this.taken) return [];
    this.taken = row.seq;
    const made: Row[] = [];
    for (const each of await this.lie(row)) made.push(await this.append(each));
    return made;
  }

  async append(row: Row): Promise<Row> {
    const previous = this.shown.at(-1)?.row.rowHash ?? firstPrevious;
    const sealedHash = row.sealed ? await sha256(row.sealed) : row.sealedHash;
    const placed = { ...row, stream: this.stream, seq: this.shown.length + 1, previous, sealedHash };
    const whole = { ...placed, rowHash: await sha256(rowHashInput(placed)) };
    this.shown.push({ row: whole, taken: this.taken });
    return whole;
  }

  /** The true cursor that stands for one of what is shown. */
  trueCursor(seq: number): number {
    return this.shown[seq - 1]?.taken ?? 0;
  }
}
