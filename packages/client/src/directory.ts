import {
  type Account,
  type AccountChange,
  type Change as Applied,
  applyStatements,
  compareCheckpoint,
  type Directory,
  emptyDirectory,
  isEnd,
  logKeyAt,
  openCheckpoint,
  openShownCheckpoint,
  unverifiedSize,
} from "@snug/crypto/identity";
import {
  type AccountId,
  type DirectoryEntry,
  decodeStatement,
  type Ed25519Public,
  type EventOf,
  type Hash,
  limits,
  SnugError,
  type StatementContent,
  type StreamId,
  sha256,
} from "@snug/protocol";
import { Stop } from "./connection.ts";
import type { Link } from "./link.ts";
import { numberKey, put, type Records, type Room } from "./records.ts";
import type { Change } from "./store.ts";
import { Turns } from "./turns.ts";

/** One statement that has been verified. */
export interface Step extends AccountChange {
  readonly hash: Hash;
  readonly content: StatementContent;
}

/** Verified leaves: the statements among them, and whether one put another log key into office. */
export interface News {
  readonly steps: readonly Step[];
  readonly newLogKey: boolean;
  /** Nothing was known before, so these are history, no news. */
  readonly first: boolean;
}

/** What somebody makes of new statements: records to be kept in the same transaction, then what follows in memory. */
export interface Judgement {
  readonly changes: readonly Change[];
  apply(): void;
}

export interface DirectoryHooks {
  /** Bytes of statements that are taken in all; a server that shows more is stopped at. */
  readonly most: number;
  judge(news: News, after: Directory): Promise<Judgement>;
  changed(): void;
}

/** The replayed directory log: every statement verified, every root computed here and compared with the signed one. */
export class DirectoryLog {
  readonly #records: Records;
  readonly #room: Pick<Room, "server" | "logKey">;
  readonly #hooks: DirectoryHooks;
  readonly #turns = new Turns();
  readonly #inboxes = new Map<AccountId, StreamId>();
  readonly #streams = new Set<StreamId>();
  readonly #ends: number[] = [];
  #bytes = 0;
  #directory: Directory;
  #checkpoint = "";

  constructor(records: Records, room: Pick<Room, "server" | "logKey">, hooks: DirectoryHooks) {
    this.#records = records;
    this.#room = room;
    this.#hooks = hooks;
    this.#directory = emptyDirectory(room.server);
  }

  get directory(): Directory {
    return this.#directory;
  }

  /** The newest checkpoint that matched our own replay. */
  get checkpoint(): string {
    return this.#checkpoint;
  }

  /** The key that signs checkpoints now; what new links carry. */
  get logKey(): Ed25519Public {
    return logKeyAt(this.#directory.logKeys, this.#room.logKey, this.#directory.size);
  }

  /** Places of the leaves that ended an account or a device. */
  get ends(): readonly number[] {
    return this.#ends;
  }

  /** Resolves when what was read or pushed so far is taken. */
  idle(): Promise<void> {
    return this.#turns.idle();
  }

  /** Throws SnugError `not-found`. */
  account(id: AccountId): Account {
    const account = this.#directory.accounts.get(id);
    if (!account) throw new SnugError("not-found", "nobody here has this account");
    return account;
  }

  inbox(id: AccountId): StreamId | undefined {
    return this.#inboxes.get(id);
  }

  isInbox(stream: StreamId): boolean {
    return this.#streams.has(stream);
  }

  async load(): Promise<void> {
    const entries = (await this.#records.list({ table: "directory" })).map(({ value }) => value);
    this.#keep(await this.#apply(entries, this.#held), entries);
    this.#checkpoint = (await this.#records.get("checkpoint", "newest"))?.text ?? "";
  }

  /**
   * Reads what is missing, each page verified before the next is asked for: so what is held until the checkpoint fits
   * are statements, and bounded. Throws Stop when the server shows an older or another history.
   */
  catchUp(link: Pick<Link, "request">): Promise<void> {
    return this.#turns.run(async () => {
      const from = this.#directory.size;
      const entries: DirectoryEntry[] = [];
      let replayed = this.#held;
      for (;;) {
        const page = await link.request("directory-read", { from: from + entries.length });
        if (page.size < from) throw rolledBack(page.size, from);
        if (page.from !== from + entries.length) throw new Stop("directory", "the server skips statements");
        replayed = await this.#apply(page.entries, replayed);
        entries.push(...page.entries);
        const have = from + entries.length;
        if (have === page.size) return this.#take(entries, replayed, page.checkpoint);
        if (page.entries.length === 0 || have > page.size) {
          throw new Stop("directory", "the server's directory does not have the size it claims");
        }
      }
    });
  }

  /**
   * Gives a restored server back what it lacks of what it had shown (C28). Whatever it makes of it, {@link catchUp}
   * judges it afterwards as always: never below what is held here.
   */
  bringBack(link: Pick<Link, "request">): Promise<void> {
    return this.#turns.run(async () => {
      const { size } = this.#directory;
      const checkpoint = this.#checkpoint;
      if (size === 0) return;
      let from = size;
      for (let entries: DirectoryEntry[] = []; ; entries = await this.#page(from)) {
        const answer = await link.request("restore-statements", { from, entries, checkpoint });
        if (answer.size >= size || (entries.length > 0 && answer.size <= from)) return;
        from = answer.size;
      }
    });
  }

  async #page(from: number): Promise<DirectoryEntry[]> {
    const found = await this.#records.list({
      table: "directory",
      from: numberKey(from),
      until: numberKey(this.#directory.size),
      most: limits.directoryPage,
    });
    const page: DirectoryEntry[] = [];
    let bytes = 0;
    for (const { value } of found) {
      bytes += value.statement.length + 64;
      if (page.length > 0 && bytes > limits.frame / 2) break;
      page.push({ ...value, statement: new Uint8Array(value.statement) });
    }
    return page;
  }

  /** A push. Whatever doesn't continue exactly from what is held is read anew. */
  async push(event: EventOf<"directory">, link: Pick<Link, "request">): Promise<void> {
    const taken = await this.#turns.run(async () => {
      const size = unverifiedSize(event.checkpoint);
      if (event.from !== this.#directory.size || size !== event.from + event.entries.length) return false;
      const { entries, checkpoint } = event;
      await this.#take(entries, await this.#apply(entries, this.#held), checkpoint);
      return true;
    });
    if (!taken) await this.catchUp(link);
  }

  /**
   * Compares a checkpoint that somebody else was given with the own log (DESIGN 9, "two histories").
   * Throws SnugError `malformed`/`forbidden` when no log key signed it, Stop when the histories differ.
   */
  async compare(text: string, whose: string, link: Pick<Link, "request">): Promise<void> {
    // Which key is to have signed it, the log says that reaches so far.
    if (unverifiedSize(text) > this.#directory.size) await this.catchUp(link);
    const { server, logKey: first } = this.#room;
    const checkpoint = await openShownCheckpoint(text, { server, first, terms: this.#directory.logKeys });
    if (checkpoint.is === "appointed") {
      throw new Stop("two-histories", `the server has given ${whose} another log key than us`);
    }
    const verdict = await compareCheckpoint(this.#directory.tree, checkpoint);
    if (verdict === "newer") {
      // The log key signed that there are so many: whatever becomes of the letter that told us, they are asked for again.
      const claimed = { text, size: checkpoint.size };
      await this.#records.commit([put("checkpoint", "claimed", claimed)]);
      throw new Stop(
        "rolled-back",
        `${whose} was shown ${checkpoint.size} statements, the server shows us fewer`,
      );
    }
    if (verdict === "different") {
      throw new Stop("two-histories", `the server shows ${whose} another directory than us`);
    }
  }

  async #take(entries: readonly DirectoryEntry[], applied: Replayed, text: string): Promise<void> {
    const { size } = this.#directory;
    await this.#match(applied.directory, text);
    const { steps, newLogKey } = applied;
    const judgement = await this.#hooks.judge({ steps, newLogKey, first: size === 0 }, applied.directory);
    if (entries.length > 0 || text !== this.#checkpoint) {
      await this.#records.commit([
        ...entries.map((entry, at) => put("directory", numberKey(size + at), { ...entry })),
        put("checkpoint", "newest", { text, size: applied.directory.size }),
        ...judgement.changes,
      ]);
    }
    this.#keep(applied, entries);
    this.#checkpoint = text;
    judgement.apply();
    this.#hooks.changed();
  }

  async #match(directory: Directory, text: string): Promise<void> {
    const checkpoint = await this.#open(directory, text).catch((cause: unknown) => {
      throw new Stop("directory", `a checkpoint that the pinned log key did not sign (${String(cause)})`);
    });
    if (checkpoint.size < directory.size) throw rolledBack(checkpoint.size, directory.size);
    const verdict = await compareCheckpoint(directory.tree, checkpoint);
    if (verdict === "newer") {
      throw new Stop("directory", `a checkpoint of ${checkpoint.size} with ${directory.size} statements`);
    }
    if (verdict === "different") {
      throw new Stop("two-histories", "the server's checkpoint does not fit the directory it showed us");
    }
  }

  /** What is held, before anything is applied to it. */
  get #held(): Replayed {
    return { directory: this.#directory, bytes: this.#bytes, steps: [], changes: [], newLogKey: false };
  }

  async #apply(entries: readonly DirectoryEntry[], onto: Replayed): Promise<Replayed> {
    const statements = entries.map(({ statement }) => statement);
    const bytes = statements.reduce((sum, { length }) => sum + length, onto.bytes);
    const { most } = this.#hooks;
    if (bytes > most) {
      const mebibytes = Math.ceil(most / 2 ** 20);
      throw new Stop(
        "directory",
        `the server shows a directory of more than ${mebibytes} MiB, as no server has`,
      );
    }
    try {
      const { directory, changes } = await applyStatements(onto.directory, statements);
      const steps: Step[] = [...onto.steps];
      for (const [at, change] of changes.entries()) {
        if (!change) continue;
        const statement = statements[at] ?? new Uint8Array();
        steps.push({ ...change, hash: await sha256(statement), content: decodeStatement(statement).content });
      }
      return {
        ...{ directory, bytes, steps, changes: [...onto.changes, ...changes] },
        newLogKey: onto.newLogKey || changes.includes(null),
      };
    } catch (cause) {
      if (!(cause instanceof SnugError)) throw cause;
      const code = cause.code === "upgrade" ? "upgrade" : "directory";
      throw new Stop(code, `the server's directory holds what this client can't accept: ${cause.message}`);
    }
  }

  #keep(applied: Replayed, entries: readonly DirectoryEntry[]): void {
    const from = this.#directory.size;
    this.#directory = applied.directory;
    this.#bytes = applied.bytes;
    applied.changes.forEach((change, at) => {
      const inbox = entries[at]?.inbox;
      if (change && isEnd(change.kind)) this.#ends.push(from + at);
      if (!change || !inbox) return;
      this.#inboxes.set(change.account, inbox);
      this.#streams.add(inbox);
    });
  }

  async #open(directory: Directory, text: string): Promise<{ size: number; root: Uint8Array }> {
    const { server, logKey: first } = this.#room;
    return openCheckpoint(text, {
      server,
      logPublic: logKeyAt(directory.logKeys, first, unverifiedSize(text)),
    });
  }
}

interface Replayed {
  readonly directory: Directory;
  /** Of all its statements. */
  readonly bytes: number;
  readonly changes: readonly Applied[];
  readonly steps: readonly Step[];
  readonly newLogKey: boolean;
}

function rolledBack(now: number, before: number): Stop {
  return new Stop("rolled-back", `the server shows ${now} statements, it had shown ${before}`);
}
