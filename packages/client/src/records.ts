import {
  AccountId,
  Content,
  DeviceId,
  decodeCbor,
  Ed25519Public,
  encodeCbor,
  firstPrevious,
  Hash,
  Incarnation,
  KeyId,
  MessageId,
  ServerId,
  SnugError,
  StreamId,
} from "@snug/protocol";
import { z } from "zod";
import type { Change, Range, Store } from "./store.ts";

const count = z.int().nonnegative();
const bytes = z.instanceof(Uint8Array);

const Room = z.strictObject({
  server: ServerId,
  serverName: z.string(),
  /** The first log key, whose hash the server's id is; which one came after it the directory says. */
  logKey: Ed25519Public,
  origin: z.string(),
  authority: z.string().nullable(),
  /** Addresses for new invites, best first, and the authority's hash, as the server last said. */
  addresses: z.array(z.string()),
  authorityHash: Hash.nullable(),
  account: AccountId,
  device: DeviceId,
  name: z.string(),
});
/** The server this device belongs to, and who we are there. */
export type Room = z.infer<typeof Room>;

const Position = z.strictObject({
  /** Of the server as it is now; rows of before a restore carry a former one. */
  incarnation: Incarnation,
  stream: StreamId,
  seq: count,
  rowHash: Hash,
});
/** How far the own inbox is stored. */
export type Position = z.infer<typeof Position>;

/** The own inbox before its first row. */
export function firstPosition(of: { readonly incarnation: Incarnation; readonly inbox: StreamId }): Position {
  return { incarnation: of.incarnation, stream: of.inbox, seq: 0, rowHash: firstPrevious };
}

const PendingJoin = z.strictObject({
  room: Room,
  admit: z.string(),
  genesis: bytes,
  recovery: bytes,
  recoveryCode: z.string(),
  inviter: AccountId.nullable(),
  once: z.boolean(),
  checkpoint: z.string(),
});
/** A join that was sent or is about to be, until the server's word is clear (C3). */
export type PendingJoin = z.infer<typeof PendingJoin>;

const LetterState = z.discriminatedUnion("is", [
  z.strictObject({ is: z.literal("received"), gapBefore: z.boolean() }),
  z.strictObject({ is: z.literal("queued") }),
  z.strictObject({ is: z.literal("held"), why: z.string() }),
  z.strictObject({ is: z.literal("accepted") }),
  z.strictObject({ is: z.literal("delivered") }),
]);

const StoredLetter = z.strictObject({
  id: MessageId,
  thread: AccountId,
  from: AccountId,
  content: Content,
  time: count,
  order: count,
  state: LetterState,
  /** Its sender was ended before it was opened here (L9). */
  senderEnd: z.enum(["left", "removed", "device"]).optional(),
  /** Of a received letter: where it stands in its sender's own count. Stores of the first version lack it. */
  sent: z.strictObject({ device: DeviceId, counter: z.int().positive() }).optional(),
});
export type StoredLetter = z.infer<typeof StoredLetter>;

const Sealed = z.strictObject({ bytes, counter: z.int().positive(), keyId: KeyId });

const Outgoing = z.strictObject({
  /** Row id; of a letter also the letter's id. */
  id: MessageId,
  to: AccountId,
  /** Place in the outbox: one rising line for all streams. */
  place: count,
  content: Content,
  time: count,
  /** The letter's order in its thread; null for a copy to oneself. */
  letter: count.nullable(),
  /** Whom the letter went to that this is a copy of, under the same id. */
  copyOf: AccountId.nullable(),
  sealed: Sealed.nullable(),
  /** Bytes of an earlier sealing under this id may have reached the server. */
  resealed: z.boolean(),
  accepted: z.boolean(),
  /** It was accepted before the server was restored: its copy to oneself has been made already. */
  again: z.boolean().optional(),
});
/** A letter on its way out, from the composer to "delivered". */
export type Outgoing = z.infer<typeof Outgoing>;

const Trusted = z.strictObject({
  trust: z.discriminatedUnion("how", [
    z.strictObject({ how: z.literal("unverified") }),
    z.strictObject({ how: z.literal("verified"), by: z.enum(["invite", "safety-number"]) }),
    z.strictObject({ how: z.literal("key-changed"), when: count }),
    z.strictObject({ how: z.literal("unproven"), when: count }),
  ]),
  notice: z.string().nullable(),
});
/** What we made up our mind about somebody. */
export type Trusted = z.infer<typeof Trusted>;

const schemas = {
  /** "room": who and where we are. */
  room: Room,
  /** "join": a join without a clear outcome. */
  join: PendingJoin,
  /** "wrapped": the account's keys as its recovery code opens them, for a server that lost them (D22). */
  recovery: z.strictObject({ bytes }),
  /** "inbox". */
  position: Position,
  /** index → statement. */
  directory: z.strictObject({ statement: bytes, inbox: StreamId.nullable() }),
  /**
   * "newest": the newest checkpoint that matched. "claimed": one that the log must still grow to, from our invite (size
   * 0: not looked at yet) or from a letter.
   */
  checkpoint: z.strictObject({ text: z.string(), size: count }),
  /** hash of a statement that this device made for its own account. */
  made: z.strictObject({ kind: z.string() }),
  /** account → trust. */
  people: Trusted,
  /** hash of admit → secret of an invite of ours. */
  invites: z.strictObject({ secret: bytes, once: z.boolean(), usesLeft: count, expires: count }),
  /** account whose letters are not taken. */
  blocked: z.strictObject({}),
  /** thread:order → letter. */
  letters: StoredLetter,
  threads: z.strictObject({ unread: count }),
  /** account:id of everything that was taken in. */
  received: z.strictObject({}),
  /** account:device → highest counter seen in the own inbox. */
  senders: z.strictObject({ counter: count }),
  /** seq → exact bytes of the newest rows, to be brought back to a restored server. */
  rows: z.strictObject({ row: bytes }),
  /** seq → the same without their sealed bytes, of many more: what the chain of hashes needs. */
  headers: z.strictObject({ row: bytes }),
  /** place of a leaf that ended an account or a device → the last row of the own inbox that may have come before it (L9). */
  ends: z.strictObject({ seq: count }),
  /** seq → why a row was not taken in. */
  refused: z.strictObject({ account: AccountId, id: MessageId, code: z.string(), why: z.string() }),
  /** place → outgoing. */
  outbox: Outgoing,
  /** stream → the highest counter this device has sealed, and the highest the server has acknowledged. */
  counters: z.strictObject({ sealed: count, accepted: count }),
  notices: z.strictObject({
    id: count,
    time: count,
    level: z.enum(["quiet", "loud"]),
    text: z.string(),
    /** How many others it stands for that are not kept. */
    leftOut: count.optional(),
  }),
  /** "repeated": letters of others that came again. */
  counts: z.strictObject({ count }),
  /** "stopped": a proof of dishonesty survives a restart. */
  stopped: z.strictObject({ code: z.string(), why: z.string() }),
} as const;

export type Table = keyof typeof schemas;
export type RecordOf<T extends Table> = z.infer<(typeof schemas)[T]>;

/** A number as a key that sorts by its value. */
export function numberKey(value: number): string {
  return String(value).padStart(16, "0");
}

/** A record to write, or null to erase it. */
export function put<T extends Table>(table: T, key: string, value: RecordOf<T> | null): Change {
  return { table, key, value: value === null ? null : encodeCbor(value) };
}

/** The store's records, each in its form. */
export class Records {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async get<T extends Table>(table: T, key: string): Promise<RecordOf<T> | undefined> {
    const value = await this.#store.get(table, key);
    return value && parse(table, value);
  }

  async list<T extends Table>(
    range: Range & { readonly table: T },
  ): Promise<{ readonly key: string; readonly value: RecordOf<T> }[]> {
    const found = await this.#store.list(range);
    return found.map(({ key, value }) => ({ key, value: parse(range.table, value) }));
  }

  commit(changes: readonly Change[]): Promise<void> {
    return changes.length === 0 ? Promise.resolve() : this.#store.commit(changes);
  }
}

function parse<T extends Table>(table: T, value: Uint8Array): RecordOf<T> {
  const parsed = schemas[table].safeParse(decodeCbor(value, Number.POSITIVE_INFINITY));
  if (!parsed.success) {
    throw new SnugError("internal", `the store's table ${table} holds a record of another form`, {
      cause: parsed.error,
    });
  }
  return parsed.data as RecordOf<T>;
}
