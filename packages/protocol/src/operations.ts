import { z } from "zod";
import { keepable } from "./content.ts";
import type { ErrorCode } from "./errors.ts";
import { AccountId, DeviceId, Hash, Incarnation, MessageId, ServerId, StreamId, TitleId } from "./ids.ts";
import { LibraryView, TitleDetail } from "./library.ts";
import { limits, type Rate } from "./limits.ts";
import { PresenceRun } from "./presence.ts";
import { Row, RowClass, RowKind } from "./rows.ts";

/** The protocol's version, agreed in the first frame. */
export const protocolVersion = 1;
/** The WebSocket path and subprotocol. */
export const socketPath = "/api/socket";
export const subprotocol = "snug.1";

const bytes = (most: number) =>
  z.instanceof(Uint8Array).refine((value) => value.length > 0 && value.length <= most);
const text64 = (most: number) =>
  z
    .string()
    .regex(/^[A-Za-z0-9_-]+$/)
    .max(Math.ceil((most * 4) / 3));
const seq = z.int().nonnegative();
const time = z.int().nonnegative();
const empty = z.strictObject({});

/** One leaf of the directory log: a statement (or a change of the log key), and with a genesis the account's inbox stream. */
export const DirectoryEntry = z.strictObject({
  statement: bytes(limits.statement),
  inbox: StreamId.nullable(),
});
export type DirectoryEntry = z.infer<typeof DirectoryEntry>;

/** An invite as its maker lists it. Never the secret. */
export const InviteView = z.strictObject({
  /** SHA-256 of the admit value. */
  hash: Hash,
  usesLeft: z.int().nonnegative(),
  created: time,
  expires: time,
});
export type InviteView = z.infer<typeof InviteView>;

/** Who may call: `nobody` = without signing in, `member` = any signed-in device, `admin` = a device of an administrator. */
export type Caller = "nobody" | "member" | "admin";

export interface Operation {
  readonly transport: "socket" | { readonly method: "GET" | "POST" | "DELETE"; readonly path: string };
  readonly who: Caller;
  readonly request: z.ZodType;
  readonly response: z.ZodType;
  /** Codes it may answer besides malformed, unauthenticated, too-many, too-large, unavailable, internal. */
  readonly errors: readonly ErrorCode[];
  /** Above it the answer is `too-many`: of one device, and where nobody has signed in, of one address. */
  readonly rate?: Rate;
}

/** What reads much. */
const reading: Rate = { burst: 256, perSecond: 16 };
/** What writes, or is asked for by hand. */
const changing: Rate = { burst: 128, perSecond: 1 };

const define = <T extends Record<string, Operation>>(table: T): T => table;

/** The table of operations: an operation is written once, here (docs/spec/protocol.md explains each). */
export const operations = define({
  "sign-in": {
    transport: "socket",
    who: "nobody",
    request: z.strictObject({
      version: z.int().positive(),
      account: AccountId,
      device: DeviceId,
      /** Ed25519 over {@link signInBytes} */
      signature: bytes(64),
    }),
    response: z.strictObject({
      version: z.int().positive(),
      server: ServerId,
      incarnation: Incarnation,
      checkpoint: z.string().max(1024),
      role: z.enum(["admin", "member"]),
      inbox: StreamId,
      /** Highest send counter seen of this device, by stream. */
      counters: z.array(z.strictObject({ stream: StreamId, counter: z.int().positive() })),
      /** This device's stored cursor in its inbox. */
      cursor: seq,
      serverName: z.string().max(255),
      /** https origins for invites, best first. */
      addresses: z.array(z.string().max(300)).max(8),
      /** SHA-256 of the TLS authority's certificate (DER), null when publicly trusted. */
      authority: Hash.nullable(),
      /** When this incarnation was restored, and of when the backup was; null in a folder that never was (D18). */
      restored: z.strictObject({ at: time, backup: time }).nullable(),
    }),
    errors: ["unauthenticated", "upgrade", "forbidden"],
  },
  "directory-read": {
    transport: "socket",
    who: "member",
    request: z.strictObject({ from: seq }),
    response: z.strictObject({
      from: seq,
      entries: z.array(DirectoryEntry).max(limits.directoryPage),
      size: seq,
      checkpoint: z.string().max(1024),
    }),
    errors: [],
    rate: { burst: 1024, perSecond: 256 },
  },
  "statement-append": {
    transport: "socket",
    who: "member",
    request: z.strictObject({ statement: bytes(limits.statement) }),
    response: z.strictObject({ index: seq }),
    errors: ["conflict", "forbidden", "policy", "quota"],
    rate: changing,
  },
  submit: {
    transport: "socket",
    who: "member",
    request: z.strictObject({
      stream: StreamId,
      kind: RowKind,
      class: RowClass,
      id: MessageId,
      counter: z.int().positive(),
      sealed: bytes(limits.sealed),
      expires: time.nullable(),
    }),
    response: z.strictObject({ seq: z.int().positive(), rowHash: Hash, accepted: time }),
    errors: ["id-conflict", "out-of-order", "not-found", "policy", "quota", "too-large"],
  },
  /**
   * Subscribes from a cursor: rows follow as `rows` events, first the stored ones, then each new one. `rowHash`: of the
   * row at the cursor, for who keeps it.
   */
  "stream-read": {
    transport: "socket",
    who: "member",
    request: z.strictObject({
      stream: StreamId,
      incarnation: Incarnation,
      after: seq,
      rowHash: Hash.optional(),
    }),
    response: z.strictObject({ head: seq }),
    errors: ["not-found", "incarnation-changed", "rolled-back"],
    rate: reading,
  },
  /** The device has durably stored everything up to `seq`. */
  "stream-cursor": {
    transport: "socket",
    who: "member",
    request: z.strictObject({ stream: StreamId, incarnation: Incarnation, seq }),
    response: empty,
    errors: ["not-found", "incarnation-changed", "rolled-back"],
  },
  /** Which of one's own accepted messages have reached every active device of their recipients. */
  "delivery-read": {
    transport: "socket",
    who: "member",
    request: z.strictObject({ ids: z.array(MessageId).max(256) }),
    response: z.strictObject({ delivered: z.array(MessageId).max(256) }),
    errors: [],
    rate: { burst: 512, perSecond: 64 },
  },
  "invite-create": {
    transport: "socket",
    who: "member",
    request: z.strictObject({
      hash: Hash,
      uses: z.int().min(1).max(limits.adminInviteUses),
      lifetime: z.int().min(60_000).max(limits.invite),
    }),
    response: InviteView,
    errors: ["conflict", "quota", "policy", "forbidden"],
    rate: changing,
  },
  "invite-list": {
    transport: "socket",
    who: "member",
    request: empty,
    response: z.strictObject({ invites: z.array(InviteView) }),
    errors: ["forbidden"],
    rate: changing,
  },
  "invite-revoke": {
    transport: "socket",
    who: "member",
    request: z.strictObject({ hash: Hash }),
    response: empty,
    errors: ["not-found", "forbidden"],
    rate: changing,
  },
  /** Whether the own account takes letters from another; the same for all its devices. */
  "block-set": {
    transport: "socket",
    who: "member",
    request: z.strictObject({ account: AccountId, blocked: z.boolean() }),
    response: empty,
    errors: ["not-found", "policy", "quota", "forbidden"],
    rate: changing,
  },
  /** From whom the own account takes no letters. */
  "block-list": {
    transport: "socket",
    who: "member",
    request: empty,
    response: z.strictObject({ accounts: z.array(AccountId).max(limits.blocks) }),
    errors: ["forbidden"],
    rate: reading,
  },
  /** A short-lived bearer token for HTTP, for this device. */
  "token-create": {
    transport: "socket",
    who: "member",
    request: empty,
    response: z.strictObject({ token: z.string().regex(/^[A-Za-z0-9_-]{43}$/), expires: time }),
    errors: ["forbidden"],
    rate: changing,
  },
  /** A playback grant for players that can't sign in: a path any HLS player opens. */
  "grant-create": {
    transport: "socket",
    who: "member",
    request: z.strictObject({ title: TitleId }),
    response: z.strictObject({
      /** On the server's own origin: players are never sent to another place, or into the file system. */
      path: z
        .string()
        .max(300)
        .regex(/^\/m\/[A-Za-z0-9_/-]+\.m3u8$/),
      expires: time,
    }),
    errors: ["not-found", "forbidden"],
    rate: changing,
  },
  /**
   * Statements that a restored server lost, as they stood in its log: proved by a checkpoint that its own log key
   * signed (D20). Also before signing in: whoever joined after the backup is unknown to it.
   */
  "restore-statements": {
    transport: "socket",
    who: "nobody",
    request: z.strictObject({
      /** Where they stand in the log; entries that don't follow what the server has are not looked at. */
      from: seq,
      entries: z.array(DirectoryEntry).max(limits.directoryPage),
      /** Covers everything up to the last statement that will be brought. */
      checkpoint: z.string().max(1024),
    }),
    /** How many statements the server has now, with those that wait for the rest. */
    response: z.strictObject({ size: seq }),
    errors: ["policy", "forbidden", "conflict"],
  },
  /** The hashes that the own inbox's rows have on a restored server, to find what both have in common (D21). */
  "restore-compare": {
    transport: "socket",
    who: "member",
    request: z.strictObject({ stream: StreamId, seqs: z.array(z.int().positive()).max(limits.rowBatch) }),
    response: z.strictObject({ head: seq, hashes: z.array(Hash.nullable()).max(limits.rowBatch) }),
    errors: ["not-found", "policy"],
  },
  /** Rows of the own inbox that a restored server lost, byte for byte (D21). */
  "restore-rows": {
    transport: "socket",
    who: "member",
    request: z.strictObject({ stream: StreamId, rows: z.array(Row).min(1).max(limits.rowBatch) }),
    response: z.strictObject({ head: seq }),
    errors: ["not-found", "policy", "conflict"],
  },
  /** This device has brought back all it has; by stream the send counters that it will not offer again (D22). */
  "restore-done": {
    transport: "socket",
    who: "member",
    request: z.strictObject({
      counters: z
        .array(z.strictObject({ stream: StreamId, counter: z.int().positive() }))
        .max(limits.restoredCounters),
      /** The own account's keys wrapped for recovery, for a server that has none of it. */
      recovery: bytes(limits.recoveryBlob).optional(),
    }),
    /** What the server has seen of this device now, as at sign-in. */
    response: z.strictObject({
      counters: z.array(z.strictObject({ stream: StreamId, counter: z.int().positive() })),
    }),
    errors: ["policy"],
  },
  /** Ends this device's tokens, cookies and grants and closes its connection. */
  "sign-out": { transport: "socket", who: "member", request: empty, response: empty, errors: [] },

  /** What an invite's holder may see before joining; spends nothing. */
  "invite-look": {
    transport: { method: "POST", path: "/api/invite" },
    who: "nobody",
    request: z.strictObject({ admit: text64(32) }),
    response: z.strictObject({
      server: ServerId,
      serverName: keepable(255),
      /** All statements of the inviter, base64url; empty for the setup link. */
      inviter: z.array(text64(limits.statement)).max(256),
      /** The leaves that lead from the server's first log key to its newest, base64url. */
      logKeys: z.array(text64(limits.statement)).max(256),
    }),
    errors: ["invite-invalid"],
    rate: changing,
  },
  join: {
    transport: { method: "POST", path: "/api/join" },
    who: "nobody",
    request: z.strictObject({
      admit: text64(32),
      genesis: text64(limits.statement),
      /** Private keys wrapped for recovery. */
      recovery: text64(limits.recoveryBlob),
    }),
    response: z.strictObject({ account: AccountId, inbox: StreamId, incarnation: Incarnation }),
    errors: ["invite-invalid", "name-taken", "name-invalid", "policy", "quota", "conflict"],
    rate: changing,
  },
  /** Bearer token → cookie `__Host-snug-{serverId}`. */
  "session-create": {
    transport: { method: "POST", path: "/api/session" },
    who: "member",
    request: empty,
    response: z.strictObject({ expires: time }),
    errors: [],
    rate: changing,
  },
  "library-read": {
    transport: { method: "GET", path: "/api/library" },
    who: "member",
    request: empty,
    response: LibraryView,
    errors: [],
    rate: { burst: 64, perSecond: 4 },
  },
  "title-read": {
    transport: { method: "GET", path: "/api/titles/:title" },
    who: "member",
    request: z.strictObject({ title: TitleId }),
    response: TitleDetail,
    errors: ["not-found"],
    rate: reading,
  },
});

export type Operations = typeof operations;
export type OperationName = keyof Operations;
export type RequestOf<N extends OperationName> = z.infer<Operations[N]["request"]>;
export type ResponseOf<N extends OperationName> = z.infer<Operations[N]["response"]>;
type OverSocket<N extends OperationName> = Operations[N]["transport"] extends "socket" ? N : never;
export type SocketOperation = { [N in OperationName]: OverSocket<N> }[OperationName];

/** What the server sends unasked. */
export const events = {
  /** The first frame on a connection, before anything else. */
  hello: z.strictObject({
    versions: z.array(z.int().positive()).max(16),
    server: ServerId,
    incarnation: Incarnation,
    nonce: bytes(32),
    /** Restored from a backup, and waiting for what its devices bring back (D19). */
    restoring: z.boolean(),
  }),
  directory: z.strictObject({
    from: seq,
    entries: z.array(DirectoryEntry).max(limits.directoryPage),
    checkpoint: z.string().max(1024),
  }),
  /** Who has come and gone; the first one follows the answer to signing in, and says all. */
  presence: z.strictObject({ runs: z.array(PresenceRun).max(limits.presence) }),
  rows: z.strictObject({ stream: StreamId, rows: z.array(Row).max(limits.rowBatch) }),
  delivered: z.strictObject({ ids: z.array(MessageId).max(256) }),
  library: z.strictObject({ revision: z.int().nonnegative() }),
  /** A restored server takes more than before: what waits may be offered again. */
  restored: empty,
} as const;

export type EventName = keyof typeof events;
export type EventOf<N extends EventName> = z.infer<(typeof events)[N]>;
