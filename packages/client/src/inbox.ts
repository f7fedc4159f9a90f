import { type Directory, unverifiedSize } from "@snug/crypto/identity";
import type { SenderEnd } from "@snug/crypto/sealing";
import {
  type AccountId,
  type Content,
  checkRow,
  decodeCbor,
  type ErrorCode,
  type EventOf,
  encodeCbor,
  type MessageId,
  Row,
  rowHashInput,
  SnugError,
  sha256,
} from "@snug/protocol";
import { Acceptance } from "./acceptance.ts";
import type { Letter } from "./api.ts";
import { Stop } from "./connection.ts";
import type { DirectoryLog } from "./directory.ts";
import type { Letters } from "./letters.ts";
import type { Link } from "./link.ts";
import type { Notices } from "./notices.ts";
import type { Platform } from "./platform.ts";
import { numberKey, type Position, put, type RecordOf, type Records, type StoredLetter } from "./records.ts";
import type { Change } from "./store.ts";
import { Turns } from "./turns.ts";

/** A cursor that the server can't take for now is told again after this. ms */
const tellAgain = 30_000;
/** So many of the newest rows are kept byte for byte: a restored server gets them back (C29). */
const keptRows = 256;
/** And so many without their sealed bytes, so that the chain reaches further back; and why, where one was refused. */
const keptHeaders = 10_240;

/** Answers that say nothing of this device: the next link asks again. */
export const passing: ReadonlySet<ErrorCode> = new Set(["too-many", "unavailable", "internal"]);

/** What is inside a letter that was opened. */
export interface Opened {
  readonly id: MessageId;
  readonly time: number;
  readonly checkpoint: string;
  readonly content: Content;
  /** Whom the letter went to that this is our own copy of. */
  readonly copyOf: AccountId | null;
  readonly senderEnd: SenderEnd | null;
}

export interface InboxParts {
  readonly records: Records;
  /** Shared by all who write letters. */
  readonly turns: Turns;
  readonly letters: Letters;
  readonly log: DirectoryLog;
  readonly notices: Notices;
  readonly platform: Pick<Platform, "after">;
  readonly me: AccountId;
  /** Throws SnugError for whatever is not a letter to us from whom the row names. */
  readonly open: (sealed: Uint8Array, by: OpenBy) => Promise<Opened>;
  readonly arrived: (letters: readonly Letter[]) => void;
  readonly isBlocked: (account: AccountId) => boolean;
}

/** What a letter is opened with besides the own keys. */
export interface OpenBy {
  readonly row: Row;
  readonly directory: Directory;
  readonly mayPrecede: (leaves: number) => boolean;
}

/** What a batch of rows brings, until it is stored. */
interface Batch {
  /** Whether a letter came behind later ones of its sender. */
  late: boolean;
  readonly marks: Set<string>;
  readonly counters: Map<string, number>;
  /** What its letters tell of the time at which rows were accepted. */
  readonly learnt: Change[];
}

type Verdict =
  | { readonly is: "letter"; readonly letter: Omit<StoredLetter, "order">; readonly mark: string }
  /** Our own copy comes back once by itself; another's letter never does. */
  | { readonly is: "known"; readonly mark: string; readonly own: boolean }
  | { readonly is: "refused"; readonly code: string; readonly why: string }
  /** Of somebody who is blocked: a server that keeps its word would not have taken it. */
  | { readonly is: "dropped" };

/** The own inbox: rows checked, opened, stored together with the cursor, and only then acknowledged (C17 …). */
export class Inbox {
  readonly #parts: InboxParts;
  readonly #order = new Turns();
  readonly #acceptance: Acceptance;
  readonly #senders = new Map<string, number>();
  #position: Position;
  /** Whether a row of the server's present incarnation is stored: none of a former one comes after it. */
  #begun = false;
  #closed = false;
  #failed: Pick<Link, "request"> | null = null;
  #repeated = 0;
  /** The cursor that the server was told last, and whether its answer is still to come. */
  #told = 0;
  #telling = false;
  #callOff: () => void = () => undefined;
  /** What the server had when it was last asked. */
  #head = 0;
  #behind: (() => void)[] = [];

  constructor(parts: InboxParts, position: Position) {
    this.#parts = parts;
    this.#position = position;
    this.#acceptance = new Acceptance(parts.records);
  }

  get position(): Position {
    return this.#position;
  }

  /** Letters of others that came again, and were left out. */
  get repeated(): number {
    return this.#repeated;
  }

  async load(): Promise<void> {
    const { records } = this.#parts;
    this.#repeated = (await records.get("counts", "repeated"))?.count ?? 0;
    for (const { key, value } of await records.list({ table: "senders" })) {
      this.#senders.set(key, value.counter);
    }
    await this.#acceptance.load();
    const newest = await records.get("rows", numberKey(this.#position.seq));
    this.#begun = newest !== undefined && decodeRow(newest.row).incarnation === this.#position.incarnation;
  }

  /** Goes on from here: another incarnation of the server. The caller commits the changes before `apply`. */
  adopt(position: Position): { readonly changes: readonly Change[]; apply(): void } {
    const back = this.#acceptance.goBack({ from: this.#position.seq, to: position.seq });
    return {
      changes: [put("position", "inbox", position), ...back],
      apply: () => {
        this.#position = position;
        this.#begun = false;
      },
    };
  }

  /** Whether an account or a device was ended since it was last asked how far the inbox reaches (L9). */
  get mustAsk(): boolean {
    return this.#acceptance.lacks(this.#parts.log.ends);
  }

  /** The newest rows, oldest first and without a hole up to the position; older ones without their sealed bytes. */
  async kept(): Promise<readonly Row[]> {
    const { records } = this.#parts;
    const rows = new Map<number, Row>();
    for (const table of ["headers", "rows"] as const) {
      for (const { value } of await records.list({ table })) {
        const row = decodeRow(value.row);
        rows.set(row.seq, row);
      }
    }
    const kept: Row[] = [];
    let { seq, rowHash } = this.#position;
    for (let row = rows.get(seq); row?.rowHash === rowHash; row = rows.get(seq)) {
      kept.push(row);
      seq--;
      rowHash = row.previous;
    }
    return kept.reverse();
  }

  /** Resolves when everything pushed so far is dealt with. */
  idle(): Promise<void> {
    return this.#order.idle();
  }

  /** Nothing more is told to the server; resolves when everything pushed so far is dealt with. */
  close(): Promise<void> {
    this.#closed = true;
    this.#callOff();
    return this.idle();
  }

  /** Asks for what comes after the stored cursor. Throws Stop when the server has less than it had. */
  async resume(link: Pick<Link, "request">): Promise<void> {
    // What the former link still had in work is finished first: the cursor must not move underneath.
    await this.#order.idle();
    const { stream, incarnation, seq, rowHash } = this.#position;
    const { ends, directory } = this.#parts.log;
    try {
      const { head } = await link.request("stream-read", { stream, incarnation, after: seq, rowHash });
      if (head < seq) throw new SnugError("rolled-back", `${head} rows`);
      this.#head = head;
      await this.#parts.records.commit(this.#acceptance.learn(ends, { seq: head, size: directory.size }));
    } catch (error) {
      if (!(error instanceof SnugError)) throw error;
      if (error.code === "rolled-back") {
        throw new Stop(
          "rolled-back",
          `the server has lost letters that this device holds (${error.message})`,
        );
      }
      // What a server can't do now it may do at the next link.
      if (passing.has(error.code)) throw error;
      throw new Stop(error.code, error.message);
    }
    this.#told = 0;
    this.#acknowledge(link);
  }

  /** Resolves once all that waited on the server at the last {@link resume} is stored here. */
  caughtUp(): Promise<void> {
    if (this.#position.seq >= this.#head) return Promise.resolve();
    return new Promise((resolve) => this.#behind.push(resolve));
  }

  /** Takes pushed rows in, after those pushed before. Rejects with Stop when the chain is broken. */
  take(event: EventOf<"rows">, link: Pick<Link, "request">): Promise<void> {
    if (event.stream !== this.#position.stream) return Promise.resolve();
    return this.#order.run(async () => {
      // What was pushed behind a batch that failed does not continue what is stored; the next link brings it again.
      if (this.#failed === link) return;
      try {
        await this.#takeRows(event.rows, link);
      } catch (error) {
        this.#failed = link;
        throw error;
      }
      this.#acknowledge(link);
      // Whoever waits in caughtUp goes on.
      if (this.#position.seq >= this.#head) for (const settle of this.#behind.splice(0)) settle();
    });
  }

  async #takeRows(pushed: readonly Row[], link: Pick<Link, "request">): Promise<void> {
    const rows = pushed.filter((row) => row.seq > this.#position.seq);
    const end = await this.#checkChain(rows);
    const batch: Batch = { late: false, marks: new Set(), counters: new Map(), learnt: [] };
    const verdicts: Verdict[] = [];
    for (const row of rows) verdicts.push(await this.#judge(row, batch, link));
    if (rows.length === 0) return;
    await this.#parts.turns.run(() => {
      this.#dropBlocked(rows, verdicts, batch);
      return this.#store(rows, verdicts, { end, batch });
    });
  }

  /** Whoever was blocked while their letter was being opened is not shown all the same (C39). */
  #dropBlocked(rows: readonly Row[], verdicts: Verdict[], { counters }: Batch): void {
    rows.forEach((row, at) => {
      if (!this.#parts.isBlocked(row.account)) return;
      verdicts[at] = { is: "dropped" };
      counters.delete(senderKey(row));
    });
  }

  /** Dense numbers, each row's hash over its header and the hash before (C18). */
  async #checkChain(rows: readonly Row[]): Promise<Position> {
    let at = this.#position;
    let begun = this.#begun;
    for (const row of rows) {
      const fits =
        row.seq === at.seq + 1 &&
        row.previous === at.rowHash &&
        row.stream === at.stream &&
        (row.incarnation === at.incarnation || !begun) &&
        (await sha256(rowHashInput(row))) === row.rowHash;
      if (!fits) {
        throw new Stop(
          "chain",
          `row ${row.seq} of the inbox does not continue what the server delivered before`,
        );
      }
      at = { ...at, seq: row.seq, rowHash: row.rowHash };
      begun = row.incarnation === at.incarnation;
    }
    return at;
  }

  async #judge(row: Row, batch: Batch, link: Pick<Link, "request">): Promise<Verdict> {
    const { log, me, records } = this.#parts;
    if (this.#parts.isBlocked(row.account)) return { is: "dropped" };
    const mark = `${row.account}:${row.id}`;
    if (batch.marks.has(mark) || (await records.get("received", mark))) {
      return { is: "known", mark, own: row.account === me };
    }
    try {
      const { id, time, content, checkpoint, copyOf, senderEnd } = await this.#open(row, link);
      const name = log.directory.accounts.get(row.account)?.display ?? "somebody";
      // A script that writes letters by the book alone knows of no checkpoint (L6).
      if (checkpoint !== "") {
        await log.compare(checkpoint, name, link);
        // Who wrote it knew so much of the log: whatever comes behind it was accepted later.
        const size = unverifiedSize(checkpoint);
        batch.learnt.push(...this.#acceptance.learn(log.ends, { seq: row.seq - 1, size }));
      }
      batch.marks.add(mark);
      const thread = row.account === me ? (copyOf ?? me) : row.account;
      // A copy of our own that this store doesn't know: it was put back to an older state, and is filled again.
      const state =
        row.account === me
          ? ({ is: "accepted" } as const)
          : ({ is: "received", gapBefore: this.#count(row, batch) > 1 } as const);
      const { account: from, device, counter } = row;
      const letter = { id, thread, from, time, content, state, ...(senderEnd && { senderEnd }) };
      return { is: "letter", letter: from === me ? letter : { ...letter, sent: { device, counter } }, mark };
    } catch (error) {
      if (!(error instanceof SnugError)) throw error;
      return { is: "refused", code: error.code, why: error.message };
    }
  }

  async #open(row: Row, link: Pick<Link, "request">): Promise<Opened> {
    const { log, open } = this.#parts;
    const { sealed, seq } = row;
    if (sealed === null) throw new SnugError("not-found", "its contents have been erased");
    if (!(await checkRow(row))) {
      throw new SnugError("forbidden", "it was changed after the server had accepted it");
    }
    const mayPrecede = (leaves: number): boolean => this.#acceptance.mayPrecede(leaves, seq);
    try {
      return await open(sealed, { row, directory: log.directory, mayPrecede });
    } catch (error) {
      if (!(error instanceof SnugError) || error.code !== "not-found") throw error;
      // The sender may be newer than our directory.
      await log.catchUp(link);
      return open(sealed, { row, directory: log.directory, mayPrecede });
    }
  }

  /** How far this sender's counter moved; below 1 for a late row. */
  #count(row: Row, batch: Batch): number {
    const { counters } = batch;
    const key = senderKey(row);
    const last = counters.get(key) ?? this.#senders.get(key) ?? 0;
    counters.set(key, Math.max(last, row.counter));
    batch.late ||= row.counter <= last;
    return row.counter - last;
  }

  /** The caller holds the turn. */
  async #store(
    rows: readonly Row[],
    verdicts: readonly Verdict[],
    { end, batch }: { readonly end: Position; readonly batch: Batch },
  ): Promise<void> {
    const { letters, records, notices, log } = this.#parts;
    const refusals: { show(): void }[] = [];
    const repeated =
      this.#repeated + verdicts.filter((verdict) => verdict.is === "known" && !verdict.own).length;
    const changes: Change[] = [put("position", "inbox", end), ...batch.learnt];
    rows.forEach((row, at) => {
      changes.push(put("rows", numberKey(row.seq), { row: encodeCbor({ ...row }) }));
      changes.push(put("headers", numberKey(row.seq), { row: encodeCbor({ ...row, sealed: null }) }));
      if (row.seq > keptRows) changes.push(put("rows", numberKey(row.seq - keptRows), null));
      if (row.seq > keptHeaders) {
        const old = numberKey(row.seq - keptHeaders);
        changes.push(put("headers", old, null), put("refused", old, null));
      }
      const verdict = verdicts[at];
      if (!verdict) return;
      if (verdict.is === "dropped") {
        changes.push(put("refused", numberKey(row.seq), droppedOf(row)));
        return;
      }
      if (verdict.is !== "refused") {
        changes.push(put("received", verdict.mark, {}));
        return;
      }
      const { account, id, seq } = row;
      const { code, why } = verdict;
      changes.push(put("refused", numberKey(seq), { account, id, code, why }));
      const name = log.directory.accounts.get(account)?.display ?? "an unknown account";
      // One for each sender until it is read: whoever sends a thousand such letters must not bury the other notices.
      const said = `A letter that is said to be from ${name} was refused: `;
      if (notices.has(said)) return;
      const notice = notices.make("loud", `${said}${why}. Nothing of it is shown.`);
      changes.push(notice.change);
      refusals.push(notice);
    });
    if (repeated > this.#repeated) changes.push(put("counts", "repeated", { count: repeated }));
    for (const [key, counter] of batch.counters) changes.push(put("senders", key, { counter }));
    const opened = verdicts.flatMap((verdict) => (verdict.is === "letter" ? [verdict.letter] : []));
    const added = await (batch.late ? letters.addLate(opened) : letters.add(opened));
    await records.commit([...changes, ...added.changes]);
    this.#position = end;
    this.#begun = rows.at(-1)?.incarnation === end.incarnation;
    this.#repeated = repeated;
    for (const [key, counter] of batch.counters) this.#senders.set(key, counter);
    added.apply();
    for (const refusal of refusals) refusal.show();
    this.#parts.arrived(added.letters.filter((letter) => letter.state.is === "received"));
  }

  /** Tells the server what is durable here: one word under way, the newest afterwards. */
  #acknowledge(link: Pick<Link, "request">): void {
    if (this.#telling || this.#told === this.#position.seq) return;
    this.#callOff();
    this.#telling = true;
    this.#tell(link).then(
      () => {
        this.#telling = false;
        this.#acknowledge(link);
      },
      (error: unknown) => {
        this.#telling = false;
        this.#told = 0;
        // Without a link it is told at the next sign-in. On this one nothing else may come that it could go along with:
        // a letterbox that counts as full takes no letter.
        if (!(error instanceof SnugError) || this.#closed) return;
        this.#callOff = this.#parts.platform.after(tellAgain, () => this.#acknowledge(link));
      },
    );
  }

  /** Before a link is closed from here: else what came since the last word is not told before the next sign-in. */
  tellLast(link: Pick<Link, "request">): void {
    if (this.#told !== this.#position.seq) this.#tell(link).catch(() => undefined);
  }

  #tell(link: Pick<Link, "request">): Promise<unknown> {
    const { stream, incarnation, seq } = this.#position;
    this.#told = seq;
    return link.request("stream-cursor", { stream, incarnation, seq });
  }
}

function decodeRow(bytes: Uint8Array): Row {
  return Row.parse(decodeCbor(bytes));
}

function droppedOf({ account, id }: Row): RecordOf<"refused"> {
  return { account, id, code: "policy", why: "its sender is blocked" };
}

function senderKey(row: Row): string {
  return `${row.account}:${row.device}`;
}
