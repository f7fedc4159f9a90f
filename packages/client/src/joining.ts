import { admitOf, firstLogKey, normalizeName, openCheckpoint } from "@snug/crypto/identity";
import { createAccount } from "@snug/crypto/sealing";
import {
  decodeInviteLink,
  decodeStatement,
  type Ed25519Public,
  fromBase64url,
  type Invite,
  type ResponseOf,
  SnugError,
  sha256,
  toBase64url,
} from "@snug/protocol";
import { type InviteLook, NetworkError } from "./api.ts";
import { callHttp } from "./http.ts";
import type { Address, Platform } from "./platform.ts";
import { firstPosition, type PendingJoin, put, type Records, type Room } from "./records.ts";
import type { Store } from "./store.ts";

/** An unclear join is tried again at once this often; after that the person decides (the keys stay). */
const joinTries = 5;
const joinPause = 1_000;

/** An invite that was looked at: the server answers for it, and its inviter is who the link says. */
export interface Looked extends InviteLook {
  readonly invite: Invite;
  readonly address: Address;
  /** The server's first log key. */
  readonly logKey: Ed25519Public;
}

/**
 * Decodes the link, reaches the server by the first of its addresses that answers, and checks what it says against the
 * link. Spends nothing. Throws SnugError `invite-invalid`, `forbidden`; NetworkError.
 */
export async function lookAtInvite(platform: Platform, link: string): Promise<Looked> {
  const invite = decodeInviteLink(link);
  await openCheckpoint(invite.checkpoint, { server: invite.server, logPublic: invite.logKey });
  const admit = toBase64url(await admitOf(invite.secret));
  const { address, look } = await firstAnswer(platform, invite, admit);
  return {
    invite,
    address,
    logKey: await linkedLogKey(invite, look),
    serverName: look.serverName,
    inviterName: await inviterName(invite, look),
    once: invite.once,
  };
}

/**
 * An address may lead to another server, `localhost` above all: the next one is tried. At last the worst is told, and of
 * unreachable ones the best address: the name, before a number of one network.
 */
async function firstAnswer(
  platform: Platform,
  invite: Invite,
  admit: string,
): Promise<{ address: Address; look: ResponseOf<"invite-look"> }> {
  let worst: unknown;
  for (const origin of platform.origin ? [platform.origin] : invite.addresses) {
    try {
      const authority = await platform.pin(origin, invite.authority);
      const address = { origin, authority };
      const look = await callHttp({ platform, address }, "invite-look", { admit });
      if (look.server === invite.server) return { address, look };
      throw new SnugError("forbidden", "another server answers at the link's address");
    } catch (error) {
      const wrongPlace = error instanceof SnugError && error.code === "forbidden";
      if (!wrongPlace && !(error instanceof NetworkError)) throw error;
      if (wrongPlace || worst === undefined) worst = error;
    }
  }
  throw worst ?? new NetworkError("the link names no address");
}

/** The server's id is the hash of its first log key, which must have led to the link's (I28). */
function linkedLogKey(invite: Invite, look: ResponseOf<"invite-look">): Promise<Ed25519Public> {
  const leaves = look.logKeys.map(fromBase64url);
  return firstLogKey({ server: invite.server, linkKey: invite.logKey, leaves });
}

/** The inviter's genesis must hash to the account id in the link: its keys can't have been exchanged on the way. */
async function inviterName(invite: Invite, look: ResponseOf<"invite-look">): Promise<string | null> {
  if (invite.inviter === null) return null;
  const [genesis] = look.inviter;
  const bytes = fromBase64url(genesis ?? "");
  if ((await sha256(bytes)) !== (invite.inviter as string)) {
    throw new SnugError("forbidden", "the server names another inviter than the link");
  }
  const { content } = decodeStatement(bytes);
  if (content.kind !== "genesis")
    throw new SnugError("forbidden", "the inviter's first statement is no genesis");
  // The link's hash vouches for the bytes, whoever made them: a name that no directory takes is none to be shown.
  if (normalizeName(content.body.display).display !== content.body.display) {
    throw new SnugError("forbidden", "the inviter's name is not in its normal form");
  }
  return content.body.display;
}

/**
 * Joins by a link. The keys and all that is sent are durable before the first request; whatever happens to it, the
 * same bytes are sent again, by this call or by one after a crash (C3). Throws SnugError; NetworkError when the outcome
 * is still unclear.
 */
export async function join(
  of: { readonly platform: Platform; readonly store: Store; readonly records: Records },
  link: string,
  name: string,
): Promise<{ readonly recoveryCode: string }> {
  const { platform, store, records } = of;
  const admit = toBase64url(await admitOf(decodeInviteLink(link).secret));
  const before = await records.get("join", "join");
  const pending =
    before?.admit === admit ? before : await prepare(platform, store, records, { link, name, admit });
  const answer = await askToJoin(platform, pending).catch(async (error: unknown) => {
    // A clear no: nothing was made, the keys are of no use.
    if (error instanceof SnugError) await store.erase();
    throw error;
  });
  if (answer.account !== pending.room.account) {
    throw new SnugError("forbidden", "the server says that another account has joined");
  }
  const { room, inviter, once, checkpoint, recovery } = pending;
  await records.commit([
    put("room", "room", room),
    put("recovery", "wrapped", { bytes: recovery }),
    put("position", "inbox", firstPosition(answer)),
    put("made", room.account, { kind: "genesis" }),
    put("checkpoint", "claimed", { text: checkpoint, size: 0 }),
    put("join", "join", null),
    ...(inviter && once
      ? [put("people", inviter, { trust: { how: "verified", by: "invite" }, notice: null })]
      : []),
  ]);
  // The recovery code was kept for the case of a crash; from here on it is in its owner's hands alone.
  await store.scrub();
  return { recoveryCode: pending.recoveryCode };
}

async function prepare(
  platform: Platform,
  store: Store,
  records: Records,
  of: { readonly link: string; readonly name: string; readonly admit: string },
): Promise<PendingJoin> {
  const { invite, address, serverName, logKey } = await lookAtInvite(platform, of.link);
  const { server, inviter, secret, once, checkpoint, authority } = invite;
  const made = await createAccount({
    server,
    display: of.name,
    invite: inviter && { secret, inviter },
    now: platform.now(),
  });
  const room: Room = {
    server,
    serverName,
    logKey,
    origin: address.origin,
    authority: address.authority,
    addresses: invite.addresses,
    authorityHash: authority,
    account: made.account,
    device: made.device,
    name: of.name,
  };
  const { genesis, recovery, recoveryCode } = made;
  const pending = { room, admit: of.admit, genesis, recovery, recoveryCode, inviter, once, checkpoint };
  await store.saveKeys(made.keys, made.exportable);
  await records.commit([put("join", "join", pending)]);
  return pending;
}

async function askToJoin(platform: Platform, pending: PendingJoin): Promise<ResponseOf<"join">> {
  const request = {
    admit: pending.admit,
    genesis: toBase64url(pending.genesis),
    recovery: toBase64url(pending.recovery),
  };
  for (let tried = 1; ; tried++) {
    try {
      return await callHttp({ platform, address: pending.room }, "join", request);
    } catch (error) {
      const unclear =
        error instanceof NetworkError ||
        (error instanceof SnugError && ["unavailable", "internal", "too-many"].includes(error.code));
      if (!unclear) throw error;
      if (tried === joinTries) throw error instanceof NetworkError ? error : new NetworkError(error.message);
      await new Promise<void>((resolve) => platform.after(joinPause * 2 ** (tried - 1), resolve));
    }
  }
}
