import {
  type AccountId,
  decodeWrappedKeys,
  limits,
  type RequestOf,
  type ResponseOf,
  SnugError,
  type SocketOperation,
  type StreamId,
} from "@snug/protocol";
import { cutDirectoryPage } from "../directoryLog.ts";
import type { BroughtStatements } from "../restoring.ts";
import type { Principal, Room } from "../room.ts";
import type { Appended, NewRow } from "../store/store.ts";

const quota = {
  rows: limits.inboxRows,
  bytes: limits.inboxBytes,
  senderRows: limits.senderRows,
  senderBytes: limits.senderBytes,
} as const;

interface Call {
  readonly room: Room;
  readonly principal: Principal;
  readonly connection: {
    subscribe(stream: StreamId, after: number): void;
    readonly brought: BroughtStatements;
  };
}
type Handlers = {
  readonly [N in Exclude<SocketOperation, "sign-in">]: (
    call: Call,
    body: RequestOf<N>,
  ) => Promise<ResponseOf<N>>;
};

/** What each operation of the table does for a signed-in device. */
export const handlers: Handlers = {
  async "directory-read"({ room }, { from }) {
    const { size, checkpoint } = room.log;
    const stored = await room.store.directory(from, limits.directoryPage);
    // Read after the checkpoint, the store has all that it covers, and may have more.
    const entries = cutDirectoryPage(stored.slice(0, Math.max(0, size - from)));
    return { from, entries, size, checkpoint };
  },

  async "statement-append"({ room, principal }, { statement }) {
    mustBeFull(principal);
    room.restoring.mustTakeChanges();
    return { index: await room.log.append(principal.account, statement, room.now()) };
  },

  // No wait before the store has it: submits of one device reach the log in the order in which they came.
  async submit({ room, principal }, body) {
    if (body.class !== "durable") throw new SnugError("policy", "letters are durable");
    const owner = room.log.ownerOf(body.stream);
    if (!owner) throw new SnugError("not-found", "there is no such stream");
    const { stream, kind, id, counter, sealed, expires } = body;
    const { account, device } = principal;
    if (room.log.isEnded(device)) throw new SnugError("unauthenticated", "this device was ended");
    room.restoring.mustTakeLetters(owner, device);
    const row = { stream, kind, account, device, id, counter, sealed, expires, now: room.now() };
    const why = refusalOf(room, owner, account);
    const appended = why === null ? room.store.append(row, quota) : refuse(room, row, why);
    const { seq, rowHash, accepted, fresh } = await appended;
    if (fresh) {
      room.metrics.accepted.value++;
      room.connections.appended(owner, fresh);
    }
    return { seq, rowHash, accepted };
  },

  async "stream-read"({ room, principal, connection }, { stream, incarnation, after, rowHash }) {
    mustOwn(room, principal, stream);
    mustBeCurrent(room, incarnation);
    const head = (await room.store.head(stream)) ?? 0;
    if (after > head) {
      room.onBehind();
      throw new SnugError("rolled-back", `cursor ${after} received, the stream ends at ${head}`);
    }
    // Of a database put back by hand the stream may have grown past the cursor again, by other letters.
    if (rowHash !== undefined && after > 0 && (await room.store.rowHashes(stream, [after]))[0] !== rowHash) {
      room.onBehind();
      throw new SnugError("rolled-back", `row ${after} is another one here`);
    }
    connection.subscribe(stream, after);
    return { head };
  },

  async "stream-cursor"({ room, principal }, { stream, incarnation, seq }) {
    mustOwn(room, principal, stream);
    mustBeCurrent(room, incarnation);
    room.connections.delivered(await room.store.moveCursor(principal.device, stream, seq));
    return {};
  },

  async "delivery-read"({ room, principal }, { ids }) {
    return { delivered: [...(await room.store.delivered(principal.account, ids))] };
  },

  async "invite-create"({ room, principal }, { hash, uses, lifetime }) {
    mustBeFull(principal);
    room.restoring.mustTakeChanges();
    const ruling = room.log.member(principal.account)?.role === "admin";
    const mostUses = ruling ? limits.adminInviteUses : limits.inviteUses;
    if (uses > mostUses) {
      throw new SnugError("policy", `one invite of yours lets at most ${mostUses} people in`);
    }
    const created = room.now();
    const invite = { hash, usesLeft: uses, created, expires: created + lifetime };
    await room.store.addInvite(
      { ...invite, account: principal.account },
      ruling ? limits.adminInvites : limits.invites,
    );
    return invite;
  },

  async "invite-list"({ room, principal }) {
    mustBeFull(principal);
    return { invites: [...(await room.store.invites(principal.account, room.now()))] };
  },

  async "invite-revoke"({ room, principal }, { hash }) {
    mustBeFull(principal);
    await room.store.removeInvite(principal.account, hash);
    return {};
  },

  async "block-set"({ room, principal }, { account, blocked }) {
    mustBeFull(principal);
    if (account === principal.account) throw new SnugError("policy", "nobody blocks themselves");
    if (!room.log.directory.accounts.has(account)) {
      throw new SnugError("not-found", "nobody here has this account");
    }
    await (blocked
      ? room.blocks.add(principal.account, account)
      : room.blocks.remove(principal.account, account));
    return {};
  },

  async "block-list"({ room, principal }) {
    mustBeFull(principal);
    return { accounts: room.blocks.of(principal.account) };
  },

  async "token-create"({ room, principal }) {
    mustBeFull(principal);
    const { secret, expires } = await room.passes.createToken(principal);
    return { token: secret, expires };
  },

  async "grant-create"({ room, principal }, { title }) {
    mustBeFull(principal);
    const { base } = await room.titles.detail(title);
    const { secret, expires } = await room.passes.createGrant(principal, title);
    return { path: `${base.replace("/m/me/", `/m/${secret}/`)}master.m3u8`, expires };
  },

  async "restore-statements"({ room, connection }, body) {
    return restoreStatements(room, connection.brought, body);
  },

  async "restore-compare"({ room, principal }, { stream, seqs }) {
    mustOwn(room, principal, stream);
    room.restoring.mustBeRestored();
    const hashes = [...(await room.store.rowHashes(stream, seqs))];
    return { head: (await room.store.head(stream)) ?? 0, hashes };
  },

  async "restore-rows"({ room, principal }, { stream, rows }) {
    mustOwn(room, principal, stream);
    room.restoring.mustBeRestored();
    for (const row of rows) {
      if (row.stream !== stream) throw new SnugError("conflict", `row ${row.seq} is of another stream`);
      if (!room.log.directory.accounts.get(row.account)?.devices.has(row.device)) {
        throw new SnugError("conflict", `row ${row.seq} is from nobody in the directory`);
      }
    }
    const head = await room.store.restoreRows(stream, rows);
    // The owner's other devices that had less.
    for (const row of rows) room.connections.appended(principal.account, row);
    return { head };
  },

  async "restore-done"({ room, principal }, { counters, recovery = null }) {
    if (recovery) mustBeOwnKeys(room, principal, recovery);
    await room.restoring.done(principal, counters, recovery);
    return { counters: [...(await room.store.counters(principal.device))] };
  },

  async "sign-out"({ room, principal }) {
    await room.store.endPasses(principal.device);
    return {};
  },
};

/** Also for whoever has not signed in: a checkpoint of this server's own log proves what is brought (D20). */
export async function restoreStatements(
  { log, restoring, now }: Room,
  brought: BroughtStatements,
  body: RequestOf<"restore-statements">,
): Promise<ResponseOf<"restore-statements">> {
  restoring.mustBeRestored();
  return { size: await brought.take(log, { ...body, now: now() }) };
}

const nothing = { rows: 0, bytes: 0, senderRows: 0, senderBytes: 0 } as const;

/** Why somebody's letters are not taken; null when they are. */
function refusalOf({ log, blocks }: Room, owner: AccountId, sender: AccountId): string | null {
  if (!log.member(owner)) return "the recipient is no longer on this server";
  return blocks.has(owner, sender) ? "the recipient does not take letters from you" : null;
}

/** What the server has already is answered (D5); nothing else fits. */
async function refuse(room: Room, row: NewRow, why: string): Promise<Appended> {
  try {
    return await room.store.append(row, nothing);
  } catch (cause) {
    if (!(cause instanceof SnugError) || cause.code !== "quota") throw cause;
    throw new SnugError("policy", why, { cause });
  }
}

/** A send-only device writes letters and nothing else. */
function mustBeFull(principal: Principal): void {
  if (principal.rights !== "full") throw new SnugError("forbidden", "this device may only send");
}

/** Nobody can read them here: what they say of themselves is what can be looked at. */
function mustBeOwnKeys(room: Room, principal: Principal, recovery: Uint8Array): void {
  mustBeFull(principal);
  const { server, account } = decodeWrappedKeys(recovery);
  if (server !== room.log.directory.server || account !== principal.account) {
    throw new SnugError("forbidden", "wrapped keys of another account");
  }
}

/** Another's stream and none at all are the same to who asks. */
function mustOwn(room: Room, principal: Principal, stream: StreamId): void {
  if (room.log.ownerOf(stream) !== principal.account || principal.rights !== "full") {
    throw new SnugError("not-found", "there is no such stream");
  }
}

function mustBeCurrent(room: Room, incarnation: string): void {
  if (incarnation !== room.store.incarnation) {
    throw new SnugError("incarnation-changed", "this server was restored from a backup");
  }
}
