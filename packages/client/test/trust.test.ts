import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import {
  appendLeaf,
  applyStatements,
  emptyDirectory,
  importLogKey,
  nextHead,
  rootOf,
  signCheckpoint,
} from "@snug/crypto/identity";
import { createAccount, recoverKeys, sealLetter, signStatement } from "@snug/crypto/sealing";
import {
  type DirectoryEntry,
  decodeCbor,
  decodeInviteLink,
  decodeRequest,
  decodeServerFrame,
  Ed25519Public,
  encodeEvent,
  fromBase64url,
  MessageId,
  type RsaPublic,
  randomId,
  type StatementBody,
  type StatementKind,
  type StreamId,
  textContent,
} from "@snug/protocol";
import { type Pair, Person, pair } from "./people.ts";

type Kept = { statement: Uint8Array<ArrayBuffer>; inbox: null };

/** The directory as a person's store holds it. */
async function replay(person: Person, server: Pair["server"]) {
  const kept = await person.store.list({ table: "directory" });
  const statements = kept.map(({ value }) => (decodeCbor(value) as Kept).statement);
  return (await applyStatements(emptyDirectory(server.serverId), statements)).directory;
}

/** A new RSA-3072 public key, for a rotation. */
async function rsa(name: "RSA-PSS" | "RSA-OAEP"): Promise<RsaPublic> {
  const algorithm = { name, modulusLength: 3072, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256" };
  const usages: KeyUsage[] = name === "RSA-PSS" ? ["sign", "verify"] : ["encrypt", "decrypt"];
  const pair = (await crypto.subtle.generateKey(algorithm, true, usages)) as CryptoKeyPair;
  const { n } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  return { kty: "RSA", n: n ?? "", e: "AQAB" };
}

// Making RSA keys takes long; no test minds that another account has the same.
const renewed = Promise.all([rsa("RSA-PSS"), rsa("RSA-OAEP")]).then(([signing, key]) => ({
  signing,
  encryption: [key],
}));

/** Appends a statement to a person's account as if another program of theirs had: their client did not make it. */
async function append<K extends StatementKind>(
  of: { person: Person; server: Pair["server"]; by: "signing" | "recovery" },
  kind: K,
  body: StatementBody<K>,
): Promise<void> {
  const { person, server, by } = of;
  const directory = await replay(person, server);
  const account = directory.accounts.get(person.account);
  const keys = await person.store.loadKeys();
  assert.ok(account && keys);
  const signer =
    by === "signing"
      ? { key: keys.signing, keyId: account.signingKeyId }
      : { key: await recoveryKey(person), keyId: account.recoveryKeyId };
  const head = nextHead(directory, account.id, 0);
  const statement = await signStatement({ ...signer, head, kind, body });
  await person.platform.ask("statement-append", { statement });
}

async function recoveryKey(person: Person): Promise<CryptoKey> {
  const { recovery } = person.joined as { recovery: string };
  return (await recoverKeys(person.recoveryCode, fromBase64url(recovery))).recoveryKey.key;
}

const trustOf = (of: Person, who: Person) =>
  of.state.people.find(({ account }) => account === who.account)?.trust;

test("C15 I21: keys changed by the signing key alone: loud notice, nothing is sent until they are accepted", async () => {
  await using room = await pair();
  const { alice, bob, server } = room;
  const before = await alice.client.safetyNumber(bob.account);
  await append({ person: bob, server, by: "signing" }, "rotate", await renewed);
  await alice.until("key changed", () => trustOf(alice, bob)?.how === "key-changed");
  // I21: or comparing it would find nothing wrong with a thief's keys.
  assert.notEqual(await alice.client.safetyNumber(bob.account), before);
  assert.equal(alice.state.notices[0]?.level, "loud");
  assert.match(alice.state.notices[0]?.text ?? "", /keys of Bob have changed/);
  const id = await alice.client.send(bob.account, "secret");
  await assert.rejects(alice.client.settled(id), { code: "policy", message: /keys of Bob have changed/ });
  await alice.last(bob.account, "held");
  assert.equal(bob.arrived.length, 0);
  await alice.restart();
  await alice.online();
  assert.equal(trustOf(alice, bob)?.how, "key-changed");
  await alice.last(bob.account, "held");
  await alice.client.acceptNewKeys(bob.account);
  await alice.last(bob.account, "accepted");
  assert.deepEqual(trustOf(alice, bob), { how: "unverified" });
  await alice.client.setVerified(bob.account, true);
  assert.deepEqual(trustOf(alice, bob), { how: "verified", by: "safety-number" });

  // C16: Bob's own client did not make it.
  assert.match(bob.state.notices[0]?.text ?? "", /about your own account .* rotate/);
  assert.equal(bob.state.notices[0]?.level, "loud");
});

test("C15: keys renewed by the recovery code keep verification, with a quiet word, and letters go on", async () => {
  await using room = await pair();
  const { alice, bob, server } = room;
  await append({ person: bob, server, by: "recovery" }, "rotate", await renewed);
  const shown = () => alice.state.people.find(({ account }) => account === bob.account);
  await alice.until("notice", () => shown()?.notice !== null);
  assert.equal(shown()?.notice, "renewed their keys with the recovery code");
  assert.deepEqual(shown()?.trust, { how: "verified", by: "invite" });
  assert.deepEqual(alice.state.notices, []);
  await alice.client.settled(await alice.client.send(bob.account, "go on"));
});

test("C12: what was sealed to a key that was replaced meanwhile is sealed anew under the same id", async () => {
  await using room = await pair();
  const { alice, bob, server } = room;
  await alice.unplug();
  const id = await alice.client.send(bob.account, "to the old key");
  const sealedFor = async () => {
    const [kept] = await alice.store.list({ table: "outbox" });
    return decodeCbor(kept?.value ?? new Uint8Array()) as {
      id: string;
      sealed: { keyId: string; counter: number };
    };
  };
  const before = await sealedFor();
  await append({ person: bob, server, by: "signing" }, "rotate", await renewed);
  await alice.plug();
  await alice.last(bob.account, "held");
  // What has been delivered waits no more.
  await bob.unplug();
  await alice.client.acceptNewKeys(bob.account);
  await alice.last(bob.account, "accepted");
  const after = await sealedFor();
  assert.equal(after.id, id);
  assert.equal(after.sealed.counter, before.sealed.counter);
  assert.notEqual(after.sealed.keyId, before.sealed.keyId);
});

test("C11: a letter that the server has as it was sealed before its recipient's keys changed is accepted", async () => {
  await using room = await pair();
  const { alice, bob, server } = room;
  const submitted = new Set<number>();
  alice.platform.onSent = (frame) => {
    const request = decodeRequest(frame);
    if ("name" in request && request.name === "submit") submitted.add(request.number);
    return frame;
  };
  const lost = new Promise<void>((resolve) => {
    alice.platform.onReceived = (bytes) => {
      const frame = decodeServerFrame(bytes);
      if (frame.type !== "response" || !submitted.has(frame.number)) return bytes;
      resolve();
      return null;
    };
  });
  const id = await alice.client.send(bob.account, "just before");
  await lost;
  await alice.unplug();
  alice.platform.onReceived = (bytes) => bytes;
  await append({ person: bob, server, by: "recovery" }, "rotate", await renewed);
  await alice.plug();
  await alice.client.settled(id);
  assert.deepEqual(await bob.arrivals(1), ["just before"]);
  await alice.last(bob.account, "delivered");
});

test("C15: nothing is sealed to an account that was removed", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  const gone = bob.account;
  await bob.client.leave();
  assert.equal(bob.client.state.phase, "ended");
  assert.deepEqual(await bob.store.list({ table: "room" }), []);
  await alice.until("removed", (s) => s.phase === "joined" && s.people.some(({ removed }) => removed));
  const id = await alice.client.send(gone, "too late");
  await assert.rejects(alice.client.settled(id), { code: "policy", message: /no longer on this server/ });
});

/** What a server that holds the log key shows one person alone: its own account, "invited" by her. */
async function forge(room: Pair, shown: Person) {
  const { server } = room;
  const keys = join(server.data, "keys");
  const logPublic = Ed25519Public.parse(JSON.parse(await readFile(join(keys, "log.pub"), "utf8")));
  const logKey = await importLogKey(await readFile(join(keys, "log.key")));
  const directory = await replay(shown, server);
  const secret = new Uint8Array(16);
  const inviter = shown.account;
  const { genesis, account } = await createAccount({
    server: server.serverId,
    display: "Mallory",
    invite: { secret, inviter },
    now: 0,
  });
  const tree = await appendLeaf(directory.tree, account as string as Parameters<typeof appendLeaf>[1]);
  const checkpoint = await signCheckpoint({
    ...{ server: server.serverId, logKey, logPublic },
    size: tree.size,
    root: await rootOf(tree),
  });
  const entries: DirectoryEntry[] = [{ statement: genesis, inbox: null }];
  return encodeEvent("directory", { from: directory.size, entries, checkpoint });
}

test("C22: a genesis that claims an invite it doesn't prove is a loud notice, and nothing is sent until a person decides", async () => {
  await using room = await pair();
  const { alice } = room;
  alice.platform.inject(await forge(room, alice));
  await alice.until(
    "Mallory",
    (s) => s.phase === "joined" && s.people.length === 3 && s.notices.length === 1,
  );
  assert.match(alice.state.notices[0]?.text ?? "", /Mallory claims to have joined by an invite of yours/);
  const mallory = alice.state.people.find(({ name }) => name === "Mallory");
  assert.equal(mallory?.trust.how, "unproven");
  const id = await alice.client.send(mallory.account, "for Mallory?");
  await assert.rejects(alice.client.settled(id), { code: "policy", message: /without its proof/ });
  await alice.client.acceptNewKeys(mallory.account);
  await alice.until(
    "accepted",
    (s) =>
      s.phase === "joined" &&
      s.people.some(({ name, trust }) => name === "Mallory" && trust.how === "unverified"),
  );
});

test("C7: who is shown fewer statements than the writer of a letter stops and says so", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  alice.platform.inject(await forge(room, alice));
  await alice.until("Mallory", (s) => s.phase === "joined" && s.people.length === 3);
  await alice.client.send(bob.account, "what do you see?");
  await bob.until("stopped", (s) => s.phase === "joined" && s.connection.is === "stopped");
  const { connection } = bob.state;
  assert.equal(connection.is === "stopped" && connection.code, "rolled-back");
  assert.equal(
    connection.is === "stopped" && connection.why,
    "Alice was shown 3 statements, the server shows us fewer",
  );
});

test("C7: two histories of one size are found by talking, and stay found after a restart", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  const forged = await forge(room, alice);
  // From now on Alice sees the forged directory, Bob the real one, in which somebody else joins.
  alice.platform.onReceived = (bytes) => {
    const frame = decodeCbor(bytes) as { type: string; name?: string };
    return frame.name === "directory" ? null : bytes;
  };
  const link = await alice.client.invite({ uses: 1 });
  await using carol = await Person.join(link, "Carol");
  await bob.until("Carol", (s) => s.phase === "joined" && s.people.length === 3);
  assert.equal(carol.state.people.length, 3);
  alice.platform.inject(forged);
  await alice.until("Mallory", (s) => s.phase === "joined" && s.people.length === 3);
  await alice.client.send(bob.account, "what do you see?");
  await bob.until(
    "stopped",
    (s) => s.phase === "joined" && s.connection.is === "stopped" && s.notices.length > 0,
  );
  const code = () => bob.state.connection.is === "stopped" && bob.state.connection.code;
  assert.equal(code(), "two-histories");
  assert.match(bob.state.notices[0]?.text ?? "", /shows Alice another directory than us/);
  await bob.restart();
  assert.equal(code(), "two-histories");
  const id = await bob.client.send(alice.account, "nothing leaves");
  await assert.rejects(bob.client.settled(id), { code: "forbidden", message: /another directory/ });
});

test("C7: a letter without a checkpoint, as a script writes it, is read", async () => {
  await using room = await pair();
  const { alice, bob, server } = room;
  const directory = await replay(alice, server);
  const keys = await alice.store.loadKeys();
  const { account, device } = alice.state.me;
  const deviceKeyId = directory.accounts.get(account)?.devices.get(device)?.keyId;
  const to = directory.accounts.get(bob.account)?.encryption.at(-1);
  assert.ok(keys && deviceKeyId && to);
  const id = randomId(MessageId);
  const sealed = await sealLetter({
    from: { account, device, key: keys.device, deviceKeyId },
    to: { account: bob.account, ...to },
    ...{ server: server.serverId, id, counter: 1, time: 0, checkpoint: "", copyOf: null },
    content: textContent("by the book"),
  });
  const [position] = await bob.store.list({ table: "position" });
  const { stream } = decodeCbor(position?.value ?? new Uint8Array()) as { stream: StreamId };
  await alice.platform.ask("submit", {
    ...{ stream, kind: "letter", class: "durable", id, counter: 1, sealed, expires: null },
  });
  assert.deepEqual(await bob.arrivals(1), ["by the book"]);
});

test("C22: a one-use invite verifies both, a counted one neither", async () => {
  await using room = await pair();
  const { alice } = room;
  const link = await alice.client.invite({ uses: 2 });
  assert.equal(decodeInviteLink(link).once, false);
  await using carol = await Person.join(link, "Carol");
  await alice.until("Carol", (s) => s.phase === "joined" && s.people.length === 3);
  assert.deepEqual(trustOf(alice, carol), { how: "unverified" });
  assert.deepEqual(trustOf(carol, alice), { how: "unverified" });
  assert.deepEqual(alice.state.notices, []);
  assert.deepEqual(
    (await alice.client.invites()).map(({ usesLeft }) => usesLeft),
    [1],
  );
});
