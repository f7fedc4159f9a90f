import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { NetworkError } from "@snug/client";
import { nodePlatform } from "@snug/client/node";
import { generateLogKey, importLogKey, serverIdOf, signCheckpoint } from "@snug/crypto/identity";
import { recoverKeys } from "@snug/crypto/sealing";
import {
  type AccountId,
  decodeInviteLink,
  decodeServerFrame,
  decodeStatement,
  encodeInviteLink,
  encodeStatement,
  encodeStatementContent,
  fromBase64url,
  type Invite,
  sha256,
  toBase64url,
} from "@snug/protocol";
import { bootServer } from "../../../testing/server.ts";
import { Person, pair } from "./people.ts";

test("C2, C8: two people join by links, know each other, and write both ways", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  const trust = (of: typeof alice, who: typeof alice) =>
    of.state.people.find(({ account }) => account === who.account)?.trust;
  assert.deepEqual(trust(alice, bob), { how: "verified", by: "invite" });
  assert.deepEqual(trust(bob, alice), { how: "verified", by: "invite" });
  assert.deepEqual(alice.state.notices, []);
  assert.equal(alice.state.me.role, "admin");
  assert.equal(bob.state.me.role, "member");

  const id = await alice.client.send(bob.account, "Hello Bob\r\nhow are you?");
  await alice.client.settled(id);
  assert.deepEqual(await bob.arrivals(1), ["Hello Bob\nhow are you?"]);
  await alice.last(bob.account, "delivered");
  await bob.client.send(alice.account, "Fine");
  assert.deepEqual(await alice.arrivals(1), ["Fine"]);
  assert.deepEqual(await alice.texts(bob.account), ["Hello Bob\nhow are you?", "Fine"]);
  assert.equal(alice.state.threads[0]?.unread, 1);
  await alice.client.markRead(bob.account);
  assert.equal(alice.state.threads[0]?.unread, 0);
  const [mine, theirs] = await Promise.all([
    alice.client.safetyNumber(bob.account),
    bob.client.safetyNumber(alice.account),
  ]);
  assert.equal(mine, theirs);
  assert.match(mine, /^(\d{5} ){11}\d{5}$/);
});

test("C3: a join whose answer was lost is asked for again with the same bytes, and there is one account", async () => {
  await using server = await bootServer();
  await using alice = await Person.open();
  let lost = 0;
  alice.platform.onAnswer = ({ path }) => {
    if (path === "/api/join" && lost++ === 0) throw new NetworkError("the answer was lost");
  };
  const joining = alice.client.join({ link: (await server.setupLink()) ?? "", name: "Alice" });
  await alice.platform.timer();
  alice.platform.advance(1_000);
  const { recoveryCode } = await joining;
  assert.ok(recoveryCode.length > 20);
  await alice.online();
  const [first, second] = alice.platform.asked.filter(({ path }) => path === "/api/join");
  assert.deepEqual(first?.body, second?.body);
  assert.equal(alice.state.people.length, 1);
});

test("C3: a crash in the middle of joining: the same link goes on with the same keys and gives the same code", async () => {
  await using server = await bootServer();
  await using alice = await Person.open();
  alice.platform.onAnswer = ({ path }) => {
    if (path === "/api/join") throw new Error("the process ends here");
  };
  const link = (await server.setupLink()) ?? "";
  await assert.rejects(alice.client.join({ link, name: "Alice" }), { message: "the process ends here" });
  const [sent] = alice.platform.asked.filter(({ path }) => path === "/api/join");
  await alice.restart();
  assert.equal(alice.client.state.phase, "new");
  const { recoveryCode } = await alice.client.join({ link, name: "Alice" });
  const [again] = alice.platform.asked.filter(({ path }) => path === "/api/join");
  assert.deepEqual(again?.body, sent?.body);
  await alice.online();
  const { recovery } = (again?.body ?? { recovery: "" }) as { recovery: string };
  const blob = fromBase64url(recovery);
  assert.equal((await recoverKeys(recoveryCode, blob)).account, alice.account);
  // The code is kept nowhere once it has been handed out.
  for (const file of await readdir(alice.home)) {
    const content = await readFile(join(alice.home, file), "latin1");
    assert.ok(!content.includes(recoveryCode), file);
  }
});

test("C3: a clear no leaves nothing behind, and another name can be tried", async () => {
  await using room = await pair();
  const link = await room.alice.client.invite({ uses: 1 });
  await using carol = await Person.open();
  await assert.rejects(carol.client.join({ link, name: "bob" }), { code: "name-taken" });
  assert.equal(await carol.store.loadKeys(), undefined);
  await carol.client.join({ link, name: "Carol" });
  await carol.online();
});

test("C2: a look at an invite spends nothing, and tells server and inviter as the link vouches for them", async () => {
  await using room = await pair();
  await using carol = await Person.open();
  const link = await room.alice.client.invite({ uses: 1 });
  const look = await carol.client.lookAtInvite(link);
  assert.equal(look.inviterName, "Alice");
  assert.equal(look.once, true);
  await carol.client.join({ link, name: "Carol" });
  await assert.rejects(room.bob.client.lookAtInvite(link), { code: "invite-invalid" });
});

test("C2: a link altered in any of its facts is refused before anything is spent", async () => {
  await using room = await pair();
  await using carol = await Person.open();
  const link = await room.alice.client.invite({ uses: 1 });
  const invite = decodeInviteLink(link);
  const { public: other, pkcs8 } = await generateLogKey();
  const by = { server: invite.server, logKey: await importLogKey(pkcs8), logPublic: other };
  const signedByOther = await signCheckpoint({ ...by, size: 1, root: new Uint8Array(32) });
  const foreign = await serverIdOf(other);
  const checkpoint = invite.checkpoint.replaceAll(invite.server, foreign);
  const cases: [Partial<Invite>, object][] = [
    [{ logKey: other }, { code: "forbidden" }],
    [
      { logKey: other, checkpoint: signedByOther },
      { code: "forbidden", message: /log key is not its server's/ },
    ],
    [{ logKey: other, server: foreign, checkpoint }, { code: "forbidden" }],
    [{ inviter: room.bob.account }, { code: "forbidden", message: /another inviter than the link/ }],
    [{ authority: await sha256(new Uint8Array()) }, { code: "forbidden", message: /another certificate/ }],
    [{ addresses: ["https://localhost:1"] }, { name: "NetworkError" }],
  ];
  for (const [change, expected] of cases) {
    const altered = encodeInviteLink({ ...invite, ...change });
    await assert.rejects(carol.client.lookAtInvite(altered), expected);
    await assert.rejects(carol.client.join({ link: altered, name: "Carol" }), expected);
  }
  await assert.rejects(carol.client.lookAtInvite(link.slice(0, -3)), { code: "invite-invalid" });
  await carol.client.join({ link, name: "Carol" });
});

test("C2: an address that leads to another server, or nowhere, is passed over", async () => {
  await using room = await pair();
  await using other = await bootServer();
  await using carol = await Person.open();
  const link = await room.alice.client.invite({ uses: 1 });
  const invite = decodeInviteLink(link);
  const wrong = ["https://localhost:1", other.url];
  await assert.rejects(carol.client.lookAtInvite(encodeInviteLink({ ...invite, addresses: wrong })), {
    code: "forbidden",
  });
  const nowhere = encodeInviteLink({ ...invite, addresses: ["https://localhost:1", "https://127.0.0.1:2"] });
  await assert.rejects(carol.client.lookAtInvite(nowhere), { message: /^localhost:1: .*ECONNREFUSED/ });
  const addresses = [...wrong, ...invite.addresses].slice(0, 8);
  await carol.client.join({ link: encodeInviteLink({ ...invite, addresses }), name: "Carol" });
  assert.equal(carol.state.server.id, room.server.serverId);
});

test("C2: TLS is judged by the pinned authority alone: without it the server is not spoken to", async () => {
  await using room = await pair();
  const platform = nodePlatform();
  const { origin } = room.bob.state.server;
  assert.match(origin, /^https:/);
  const ask = (authority: string | null) =>
    platform.fetch({ origin, authority }, { method: "GET", path: "/api/library" });
  await assert.rejects(ask(null), {
    name: "NetworkError",
    message:
      /^\S+: nobody whom this computer trusts vouches for its certificate; .*NODE_EXTRA_CA_CERTS=FILE$/,
  });
  await using other = await bootServer();
  const foreign = await (await fetch(`${other.localUrl}/authority.crt`)).text();
  await assert.rejects(ask(foreign), {
    name: "NetworkError",
    message:
      /^\S+: its certificate is not from the authority by which this server is known here; if it was given another .* --server$/,
  });
  const { authority } = decodeInviteLink(await room.alice.client.invite({ uses: 1 }));
  assert.equal((await ask(await platform.pin(origin, authority))).status, 401);
});

test("C27: signing out erases keys and letters here; the account stays", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  await alice.client.send(bob.account, "hello");
  await bob.arrivals(1);
  await bob.client.signOut();
  assert.equal(bob.client.state.phase, "ended");
  assert.equal(await bob.store.loadKeys(), undefined);
  for (const table of ["room", "letters", "directory"]) assert.deepEqual(await bob.store.list({ table }), []);
  await assert.rejects(bob.client.letters({ thread: alice.account, most: 1 }), { code: "unauthenticated" });
  await alice.until(
    "Bob is away",
    (s) =>
      s.phase === "joined" &&
      s.people.some(({ name, online, removed }) => name === "Bob" && !online && !removed),
  );
});

test("C27: leaving erases nothing before the server has it, and ends however its answer comes", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  await bob.unplug();
  await assert.rejects(bob.client.leave(), { name: "NetworkError" });
  assert.equal(bob.client.state.phase, "joined");
  assert.ok(await bob.store.loadKeys());
  await bob.plug();
  // The answer is lost; the push of the statement is not.
  bob.platform.onReceived = (bytes) => {
    const frame = decodeServerFrame(bytes);
    return frame.type === "response" ? null : bytes;
  };
  await bob.client.leave();
  assert.equal(bob.client.state.phase, "ended");
  assert.equal(await bob.store.loadKeys(), undefined);
  await alice.until(
    "Bob left",
    (state) => state.phase === "joined" && state.people.some((who) => who.removed),
  );
});

test("C27: whoever leaves is told so once everything is erased, also where the push of it began that; a new account waits for it", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  const link = await alice.client.invite({ uses: 2 });
  const { store } = bob;
  const erase = store.erase.bind(store);
  const held = Promise.withResolvers<void>();
  store.erase = () => held.promise.then(erase);
  bob.platform.onReceived = (bytes) => (decodeServerFrame(bytes).type === "response" ? null : bytes);
  const done: string[] = [];
  const leaving = bob.client.leave().then(() => done.push("left"));
  await bob.until("ended", (state) => state.phase === "ended");
  bob.platform.onReceived = (bytes) => bytes;
  const joining = bob.client.join({ link, name: "Bobby" }).then(() => done.push("joined"));
  // Somebody who begins later and waits for nothing gets as far.
  await using carol = await Person.join(link, "Carol");
  assert.equal(carol.client.state.phase, "joined");
  assert.deepEqual(done, []);
  assert.ok(await store.loadKeys());
  held.resolve();
  await Promise.all([leaving, joining]);
  assert.deepEqual(done, ["left", "joined"]);
  assert.ok(await store.loadKeys());
});

test("C2, W15: an inviter's name that no directory would take is not shown, though the link vouches for its bytes", async () => {
  await using room = await pair();
  await using carol = await Person.open();
  const invite = decodeInviteLink(await room.alice.client.invite({ uses: 1 }));
  const { genesis } = room.alice.joined as { genesis: string };
  const { content, signature } = decodeStatement(fromBase64url(genesis));
  assert(content.kind === "genesis");
  const body = { ...content.body, display: "Snug\u202e team" };
  const forged = encodeStatement(encodeStatementContent(content, "genesis", body), signature);
  const { server } = invite;
  carol.platform.fetch = async () => ({
    status: 200,
    body: { server, serverName: "home", inviter: [toBase64url(forged)], logKeys: [] },
  });
  const inviter = (await sha256(forged)) as string as AccountId;
  const link = encodeInviteLink({ ...invite, inviter, addresses: [room.server.localUrl] });
  await assert.rejects(carol.client.lookAtInvite(link), { code: "name-invalid" });
});
