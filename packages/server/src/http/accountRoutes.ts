import { admitHash } from "@snug/crypto/identity";
import {
  fromBase64url,
  type OperationName,
  operations,
  type RequestOf,
  type ResponseOf,
  type ServerId,
  SnugError,
  toBase64url,
} from "@snug/protocol";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Holder } from "../passes.ts";
import type { Room } from "../room.ts";
import type { Invite } from "../store/store.ts";

const invalid = (): SnugError =>
  new SnugError("invite-invalid", "this invite is not valid, no longer, or used up; ask for a new one");

/** Looking at an invite, joining, and the browser's session. */
export function accountRoutes(app: FastifyInstance, room: Room): void {
  const check = (name: OperationName, { visit }: FastifyRequest): void => {
    if (visit.network !== null) room.rates.check(name, visit.network);
  };
  app.post(pathOf("invite-look"), async (request) => {
    check("invite-look", request);
    return lookAtInvite(room, bodyOf("invite-look", request));
  });
  app.post(pathOf("join"), async (request) => {
    check("join", request);
    return join(room, bodyOf("join", request));
  });
  app.post(pathOf("session-create"), async (request, reply): Promise<ResponseOf<"session-create">> => {
    check("session-create", request);
    const token = bearerOf(request);
    const session = token === undefined ? undefined : await room.passes.createSession(token);
    if (!session) throw new SnugError("unauthenticated", "sign in first");
    const { secret, expires } = session;
    const seconds = Math.floor((expires - room.now()) / 1000);
    const name = cookieName(room.log.directory.server);
    reply.header(
      "set-cookie",
      `${name}=${secret}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=${seconds}`,
    );
    return { expires };
  });
}

/** Whose request this is, by bearer token or session cookie; undefined when nobody's. */
export async function holderOf(room: Room, request: FastifyRequest): Promise<Holder | undefined> {
  if (request.headers.authorization !== undefined) {
    const token = bearerOf(request);
    return token === undefined ? undefined : room.passes.holderOf(token, "token");
  }
  const name = cookieName(room.log.directory.server);
  for (const cookie of (request.headers.cookie ?? "").split(/; */)) {
    const [key, value] = cookie.split("=");
    if (key === name && value !== undefined) return room.passes.holderOf(value, "session");
  }
  return undefined;
}

function bearerOf(request: FastifyRequest): string | undefined {
  return /^Bearer ([A-Za-z0-9_-]{43})$/.exec(request.headers.authorization ?? "")?.[1];
}

/** Cookies ignore ports: two servers on one host must not take each other's. */
function cookieName(server: ServerId): string {
  return `__Host-snug-${server}`;
}

function pathOf(name: "invite-look" | "join" | "session-create"): string {
  return operations[name].transport.path;
}

function bodyOf<N extends OperationName>(name: N, request: FastifyRequest): RequestOf<N> {
  const parsed = operations[name].request.safeParse(request.body);
  if (!parsed.success) throw new SnugError("malformed", `${name}: the request is not of its form`);
  return parsed.data as RequestOf<N>;
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  try {
    return fromBase64url(text);
  } catch (cause) {
    throw new SnugError("malformed", "not base64url", { cause });
  }
}

/** The invite that an admit value opens now. Looked up by its hash, so that time tells nothing of the value. */
async function findInvite(room: Room, admit: string): Promise<Invite> {
  const invite = await room.store.invite(await admitHash(bytesOf(admit)));
  if (!invite || invite.usesLeft === 0) throw invalid();
  // One that was made in the future is no better than one that has ended: the clock was put back (P42).
  const left = invite.expires - room.now();
  if (left <= 0 || left > 2 * (invite.expires - invite.created)) throw invalid();
  const usable =
    invite.account === null ? !room.log.hasAdmin() : room.log.member(invite.account) !== undefined;
  if (!usable) throw invalid();
  return invite;
}

async function lookAtInvite(
  room: Room,
  { admit }: RequestOf<"invite-look">,
): Promise<ResponseOf<"invite-look">> {
  const { account } = await findInvite(room, admit);
  const { server } = room.log.directory;
  const inviter = account === null ? [] : await room.store.statementsOf(account);
  const logKeys = room.log.directory.logKeys.map(({ leaf }) => toBase64url(leaf));
  return { server, serverName: room.facts.serverName, inviter: inviter.map(toBase64url), logKeys };
}

async function join(room: Room, body: RequestOf<"join">): Promise<ResponseOf<"join">> {
  const genesis = bytesOf(body.genesis);
  const { incarnation } = room.store;
  // An answer that got lost is asked for again with the same bytes: the account is there, the invite spent.
  const known = await room.log.find(genesis);
  if (known) return { ...known, incarnation };
  room.restoring.mustTakeChanges();
  const { hash, account: inviter } = await findInvite(room, body.admit);
  const { accounts } = room.log.directory;
  if (accounts.size >= room.mostAccounts) {
    throw new SnugError(
      "quota",
      `this server takes no more than ${room.mostAccounts} accounts, and has them; ask its administrator`,
    );
  }
  const recovery = bytesOf(body.recovery);
  const joined = await room.log.join({ genesis, recovery, invite: hash, inviter, now: room.now() });
  return { ...joined, incarnation };
}
