import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import {
  admitHash,
  admitOf,
  applyStatement,
  emptyDirectory,
  nextHead,
  openCheckpoint,
  rootOf,
} from "@snug/crypto/identity";
import { createAccount, signStatement } from "@snug/crypto/sealing";
import {
  decodeInviteLink,
  decodeStatement,
  type Hash,
  LibraryView,
  limits,
  operations,
  type StatementBody,
  type StatementKind,
  toBase64url,
} from "@snug/protocol";
import { type BootedServer, bootServer } from "../../../testing/server.ts";
import { addDevice } from "../../../testing/statements.ts";
import {
  inviteRaw,
  joinByInvite,
  joinRaw,
  letterTo,
  post,
  postJoin,
  type RawPerson,
  sees,
  signInRaw,
  type Wire,
} from "../../../testing/wire.ts";
import { requestSetupLink, StartError } from "../src/index.ts";
import { refused } from "./refused.ts";

const lookPath = operations["invite-look"].transport.path;

/** The whole directory as the wire's owner replays it. */
async function replay(wire: Wire, server: BootedServer) {
  const { entries, checkpoint, size } = await wire.request("directory-read", { from: 0 });
  let directory = emptyDirectory(server.serverId);
  for (const { statement } of entries) ({ directory } = await applyStatement(directory, statement));
  return { directory, checkpoint, size };
}

/** A statement of a person about themselves, signed by their signing key. */
async function state<K extends StatementKind>(
  of: { readonly wire: Wire; readonly server: BootedServer; readonly person: RawPerson },
  kind: K,
  body: StatementBody<K>,
): Promise<Uint8Array<ArrayBuffer>> {
  const { directory } = await replay(of.wire, of.server);
  const { account, created } = of.person;
  const keyId = directory.accounts.get(account)?.signingKeyId;
  assert.ok(keyId);
  const head = nextHead(directory, account, Date.now());
  return signStatement({ key: created.keys.signing, keyId, head, kind, body });
}

test("P19 P23: the setup link lets one administrator in, once; nobody else comes in without an invite", async () => {
  await using server = await bootServer();
  const link = await server.setupLink();
  assert.ok(link?.startsWith(`${server.localUrl}/join#`));
  const { secret, once, inviter, server: serverId } = decodeInviteLink(String(link));
  assert.deepEqual([once, inviter, serverId], [true, null, server.serverId]);
  const alice = await joinByInvite(server, "alice", { secret, inviter: null });
  await using wire = await alice.connect();
  assert.equal(wire.signedIn.role, "admin");
  assert.equal(await server.setupLink(), null);
  await refused({ code: "invite-invalid" }, joinByInvite(server, "mallory", { secret, inviter: null }));
  await assert.rejects(
    requestSetupLink(server.data),
    (error) => error instanceof StartError && /administrator/.test(error.message),
  );
});

test("P23: a new setup link voids the former, from this process or another, and so does a restart", async () => {
  await using server = await bootServer();
  const look = async (link: string | null, to: BootedServer = server): Promise<unknown> => {
    const admit = toBase64url(await admitOf(decodeInviteLink(String(link)).secret));
    return post(to, lookPath, { admit });
  };
  const first = await server.setupLink();
  await look(first);
  const second = await requestSetupLink(server.data);
  await refused({ code: "invite-invalid" }, look(first));
  await look(second);
  await server.close();
  await assert.rejects(
    requestSetupLink(server.data),
    (error) => error instanceof StartError && /no server/.test(error.message),
  );
  await using again = await bootServer(server.options);
  await refused({ code: "invite-invalid" }, look(second, again));
});

test("P19: looking at an invite spends nothing and shows the inviter; joining spends it", async () => {
  await using server = await bootServer();
  const alice = await joinRaw(server, "alice");
  await using wire = await alice.connect();
  const { secret } = await inviteRaw(wire, alice.account);
  const admit = toBase64url(await admitOf(secret));
  for (let times = 0; times < 2; times++) {
    const seen = operations["invite-look"].response.parse(await post(server, lookPath, { admit }));
    assert.deepEqual(seen.inviter, [toBase64url(alice.created.genesis)]);
  }
  await joinByInvite(server, "bob", { secret, inviter: alice.account });
  await refused({ code: "invite-invalid" }, post(server, lookPath, { admit }));
  await refused({ code: "invite-invalid" }, joinByInvite(server, "eve", { secret, inviter: alice.account }));
});

test("P19: an invite for two is for two at once too, and a revoked one for nobody", async () => {
  await using server = await bootServer();
  const alice = await joinRaw(server, "alice");
  await using wire = await alice.connect();
  const invite = await inviteRaw(wire, alice.account, 2);
  const names = ["bob", "carol", "dave"];
  const joined = await Promise.allSettled(names.map((name) => joinByInvite(server, name, invite)));
  assert.equal(joined.filter(({ status }) => status === "fulfilled").length, 2);
  const revoked = await inviteRaw(wire, alice.account);
  const hash = await admitHash(await admitOf(revoked.secret));
  const listed = async (): Promise<boolean> =>
    (await wire.request("invite-list", {})).invites.some((view) => view.hash === hash);
  assert.equal(await listed(), true);
  await wire.request("invite-revoke", { hash });
  await refused({ code: "not-found" }, wire.request("invite-revoke", { hash }));
  assert.equal(await listed(), false);
  await refused({ code: "invite-invalid" }, joinByInvite(server, "erin", revoked));
});

test("R8 P19: an answer that got lost is asked for again; a name once taken stays taken", async () => {
  await using server = await bootServer();
  const alice = await joinRaw(server, "alice");
  await using wire = await alice.connect();
  const invite = await inviteRaw(wire, alice.account);
  const created = await createAccount({
    server: server.serverId,
    display: "Bob",
    invite: { secret: invite.secret, inviter: alice.account },
    now: Date.now(),
  });
  const first = await postJoin(server, invite.secret, created);
  assert.deepEqual(await postJoin(server, invite.secret, created), first);
  await refused({ code: "name-taken" }, joinByInvite(server, "BOB", await inviteRaw(wire, alice.account)));
  // The refused join spent nothing; the first invite is the one that joinRaw keeps.
  assert.deepEqual(
    (await wire.request("invite-list", {})).invites.map(({ usesLeft }) => usesLeft),
    [100, 1],
  );
});

test("P19: a genesis that names another inviter, or is damaged, is refused and spends nothing", async () => {
  await using server = await bootServer();
  const alice = await joinRaw(server, "alice");
  const bob = await joinRaw(server, "bob");
  await using wire = await alice.connect();
  const { secret } = await inviteRaw(wire, alice.account);
  await refused({ code: "policy" }, joinByInvite(server, "carol", { secret, inviter: bob.account }));
  const invite = { secret, inviter: alice.account };
  const created = await createAccount({ server: server.serverId, display: "carol", invite, now: 1 });
  const damaged = created.genesis.slice();
  damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
  await refused({ code: "forbidden" }, postJoin(server, secret, { ...created, genesis: damaged }));
  await refused(
    { code: "malformed" },
    postJoin(server, secret, { ...created, genesis: created.genesis.slice(0, 40) }),
  );
  assert.equal((await joinByInvite(server, "carol", invite)).inbox.length, 22);
});

test("P14: every statement is pushed with a checkpoint that covers it; the log replays to its root", async () => {
  await using server = await bootServer();
  const { logKey: logPublic } = decodeInviteLink((await server.setupLink()) ?? "");
  const alice = await joinRaw(server, "alice");
  await using wire = await alice.connect();
  const bob = await joinRaw(server, "bob");
  const pushed = await wire.next("directory");
  assert.deepEqual([pushed.from, pushed.entries.map(({ inbox }) => inbox)], [1, [bob.inbox]]);
  const { directory, checkpoint, size } = await replay(wire, server);
  assert.equal(checkpoint, pushed.checkpoint);
  assert.equal(size, 2);
  const opened = await openCheckpoint(checkpoint, { server: server.serverId, logPublic });
  assert.deepEqual([opened.size, opened.root], [2, await rootOf(directory.tree)]);
});

test("R5 R6 P13: presence is counted by account, begins with sign-in and ends at once with the close; who comes is told of all", async () => {
  await using server = await bootServer();
  const [alice, bob] = [await joinRaw(server, "alice"), await joinRaw(server, "bob")];
  const bobsOther = await addDevice(server, bob);
  await using wire = await alice.connect();
  await sees(wire, alice, true);
  assert.equal(wire.shows(1), false);
  const fromBob = await bob.connect();
  await sees(fromBob, alice, true);
  await sees(fromBob, bob, true);
  await sees(wire, bob, true);
  await using second = await signInRaw(server, bobsOther);
  await sees(second, bob, true);
  // R5: no QUIT, no close frame: the connection just breaks.
  fromBob.socket.terminate();
  await fromBob.closed;
  assert.equal((await wire.request("directory-read", { from: 0 })).size, 3);
  assert.equal(wire.shows(1), true);
  second.socket.terminate();
  await sees(wire, bob, false);
});

test("P22: leaving ends connections, tokens and invites at once; letters to who left are refused", async () => {
  await using server = await bootServer();
  const [alice, bob] = [await joinRaw(server, "alice"), await joinRaw(server, "bob")];
  await using wire = await alice.connect();
  await using fromBob = await bob.connect();
  const { token } = await fromBob.request("token-create", {});
  const library = (): Promise<Response> =>
    fetch(`${server.localUrl}/api/library`, { headers: { authorization: `Bearer ${token}` } });
  assert.deepEqual(LibraryView.parse(await (await library()).json()).titles, []);
  const invite = await inviteRaw(fromBob, bob.account);
  const statement = await state({ wire: fromBob, server, person: bob }, "remove", {});
  assert.equal(decodeStatement(statement).content.kind, "remove");
  assert.deepEqual(await fromBob.request("statement-append", { statement }), { index: 2 });
  assert.equal(await fromBob.closed, 4403);
  assert.equal((await library()).status, 401);
  await refused({ code: "unauthenticated" }, bob.connect());
  await refused({ code: "invite-invalid" }, joinByInvite(server, "eve", invite));
  await refused({ code: "policy" }, wire.request("submit", letterTo(bob.inbox, 1)));
});

test("P14: a statement of another account, or one that does not follow, is refused", async () => {
  await using server = await bootServer();
  const [alice, bob] = [await joinRaw(server, "alice"), await joinRaw(server, "bob")];
  await using wire = await alice.connect();
  await using fromBob = await bob.connect();
  const statement = await state({ wire: fromBob, server, person: bob }, "remove", {});
  await refused({ code: "forbidden" }, wire.request("statement-append", { statement }));
  await fromBob.request("statement-append", { statement });
  await refused({ code: "forbidden" }, wire.request("statement-append", { statement }));
});

test("P20: a token becomes a session cookie named after the server; signing out ends both", async () => {
  await using server = await bootServer();
  const alice = await joinRaw(server, "alice");
  await using wire = await alice.connect();
  const { token } = await wire.request("token-create", {});
  const made = await fetch(`${server.localUrl}/api/session`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
  });
  const setCookie = made.headers.get("set-cookie") ?? "";
  const form = new RegExp(
    `^(__Host-snug-${server.serverId}=[A-Za-z0-9_-]{43}); Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=\\d+$`,
  );
  const cookie = form.exec(setCookie)?.[1] ?? "";
  assert.match(setCookie, form);
  const library = async (headers: Record<string, string>): Promise<number> =>
    (await fetch(`${server.localUrl}/api/library`, { headers })).status;
  assert.equal(await library({ cookie: `other=1; ${cookie}` }), 200);
  assert.equal(await library({ cookie: cookie.replace("__Host-snug-", "__Host-snug-x") }), 401);
  // A token is no cookie's value, and a cookie's value no token.
  assert.equal(await library({ cookie: cookie.replace(/=.*/, `=${token}`) }), 401);
  assert.equal(await library({ authorization: `Bearer ${cookie.split("=")[1]}` }), 401);
  await wire.request("sign-out", {});
  assert.equal(await wire.closed, 4403);
  assert.equal(await library({ cookie }), 401);
  assert.equal(await library({ authorization: `Bearer ${token}` }), 401);
});

test("P34 invites, inviteUses, adminInvites, adminInviteUses: how many may be invited is bounded, by role", async (context) => {
  await using server = await bootServer();
  const [admin, member] = [await joinRaw(server, "admin"), await joinRaw(server, "member")];
  await using fromAdmin = await admin.connect();
  await using fromMember = await member.connect();
  let now = Date.now();
  context.mock.method(Date, "now", () => now);
  const bounds = [
    { wire: fromMember, uses: limits.inviteUses, open: limits.invites, made: 0 },
    // One is open already: by which everybody here has joined.
    { wire: fromAdmin, uses: limits.adminInviteUses, open: limits.adminInvites, made: 1 },
  ];
  for (const { wire, uses, open, made } of bounds) {
    const invite = (many: number) =>
      wire.request("invite-create", {
        hash: toBase64url(randomBytes(32)) as Hash,
        uses: many,
        lifetime: 60_000,
      });
    await refused({ code: uses === limits.inviteUses ? "policy" : "malformed" }, invite(uses + 1));
    for (let count = made; count < open; count++) {
      now += 10;
      assert.equal((await invite(uses)).usesLeft, uses);
    }
    await refused({ code: "quota" }, invite(1));
    const { invites } = await wire.request("invite-list", {});
    assert.equal(invites.length, open);
    const [, oldest] = invites;
    assert.ok(oldest);
    await wire.request("invite-revoke", { hash: oldest.hash });
    assert.equal((await invite(1)).usesLeft, 1);
    // An invite that has ended is none that is open.
    now += 120_000;
    assert.ok((await wire.request("invite-list", {})).invites.length <= 1);
    assert.equal((await invite(1)).usesLeft, 1);
  }
});

test("P34 accounts: a server that is full takes nobody more, and the invite is not spent", async () => {
  await using small = await bootServer({ accounts: 2 });
  const alice = await joinRaw(small, "alice");
  await using wire = await alice.connect();
  const invite = await inviteRaw(wire, alice.account, 2);
  const bob = await joinByInvite(small, "bob", invite);
  await refused({ code: "quota" }, joinByInvite(small, "carol", invite));
  // Who is there already is answered, also now.
  assert.equal((await postJoin(small, invite.secret, bob.created)).account, bob.account);
  const left = (await wire.request("invite-list", {})).invites.map(({ usesLeft }) => usesLeft);
  assert.deepEqual(left, [100, 1]);
});
