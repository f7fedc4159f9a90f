/** Every bound of the protocol in one place (docs/spec/protocol.md, section Limits). Sizes in bytes, times in milliseconds. */
export const limits = {
  /** A WebSocket frame, either way. A letter of 64 KiB of quotes seals to about 240 KiB. */
  frame: 262_144,
  /** Nesting depth of CBOR. */
  depth: 12,
  /** UTF-8 bytes of a letter's text. */
  text: 65_536,
  /** The compact JWE of a letter. */
  sealed: 253_952,
  /** A statement's exact bytes. */
  statement: 16_384,
  /** UTF-16 code units of a name, as shown and in its normal form. */
  name: 32,
  /** Statements in one answer or push of the directory. */
  directoryPage: 64,
  /** Rows in one pushed batch. */
  rowBatch: 64,
  /** Devices of one account. */
  devices: 16,
  /** Encryption keys an account keeps, old ones for opening: so many fit into a statement and into a recovery blob. */
  encryptionKeys: 16,
  /** A wrapped recovery blob. A private key takes 1.9 kB of it. */
  recoveryBlob: 32_768,
  /** JSON body of an HTTP request. */
  body: 65_536,
  /** Time to sign in after the connection opened; for headers and for a TLS handshake too. */
  authenticate: 5_000,
  /** Time for a whole HTTP request to arrive, its body included. */
  request: 10_000,
  /** Requests that one HTTP connection sends ahead of the answer to the one before; a further one ends it. */
  pipelined: 8,
  /** Answers with media that are on their way to one account at once. */
  watching: 64,
  /** Letters that wait for one account: how many, and their sealed bytes. */
  inboxRows: 10_000,
  inboxBytes: 64 * 1024 * 1024,
  /** The part of them that one other account may fill. */
  senderRows: 2_000,
  senderBytes: 16 * 1024 * 1024,
  /** Bytes buffered for a reader that doesn't read, then the connection is closed. */
  buffered: 262_144,
  /** A reader for whom something waits and who takes nothing for this long is let go. */
  stalled: 30_000,
  /** Connections of any kind open at once from one address; those of this computer and of trusted proxies are not counted. */
  sockets: 256,
  /** WebSockets open at once from one address, of IPv6 from one /64; this computer's own are not counted. */
  connections: 64,
  /** Those of them that have not signed in yet. */
  greetings: 32,
  /** Bytes of all statements of the directory: above it nothing is added but what ends an account or a device. */
  directory: 64 * 1024 * 1024,
  /** Statements of one account: an invite's holder is shown all of the inviter's in one answer. */
  statements: 256,
  /** Invites of a member that can still be used, and how many people one of them lets in; then the same of an administrator. */
  invites: 20,
  inviteUses: 20,
  adminInvites: 100,
  adminInviteUses: 100,
  /** Accounts of a server, those that have left among them, unless its operator says otherwise. */
  accounts: 20_000,
  /** Bytes that say who is here, one bit for each account: a million of them, the most that an operator may allow. */
  presence: 131_072,
  /** People whose letters one account does not take. */
  blocks: 1000,
  /** An invite's life. */
  invite: 7 * 24 * 3_600_000,
  /** The setup link's life. */
  setupLink: 30 * 60_000,
  /** An HTTP token's life. */
  token: 3_600_000,
  /** A browser's session cookie's life. */
  session: 12 * 3_600_000,
  /** A playback grant must be opened within. */
  grantOpen: 10 * 60_000,
  /** A grant lives, while used, up to the title's length plus this. */
  grantExtra: 6 * 3_600_000,
  /** A restored server waits this long for devices that have not come back. */
  restoring: 24 * 3_600_000,
  /** Statements that one connection brings back to a restored server, before they are stored. */
  restoredStatements: 4 * 1024 * 1024,
  /** Streams that a device names its send counters of, when it has brought back what it had. */
  restoredCounters: 2_048,
  /** Ping interval; a link that is silent for two is dead (≤ 45 s). */
  ping: 20_000,
} as const;

/** How often something may be asked: a bucket of `burst`, filled again with `perSecond`. */
export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

/** Requests of one device, of any kind, each 8 KiB begun counting as one: above it they are not refused but read more slowly. */
export const pace: Rate = { burst: 8_000, perSecond: 4_000 };

/** WebSockets opened from one address. */
export const arrivals: Rate = { burst: 256, perSecond: 16 };
