import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import {
  appendLeaf,
  applyStatements,
  type Directory,
  emptyDirectory,
  generateLogKey,
  importLogKey,
  rootOf,
  signCheckpoint,
  signLogKeyChange,
} from "@snug/crypto/identity";
import { sealLetter } from "@snug/crypto/sealing";
import {
  type DirectoryEntry,
  decodeCbor,
  decodeInviteLink,
  Ed25519Public,
  encodeEvent,
  encodeInviteLink,
  MessageId,
  randomId,
  type StreamId,
  sha256,
  textContent,
} from "@snug/protocol";
import { requestLogKeyRotation } from "@snug/server";
import { type Pair, Person, pair } from "./people.ts";

const news =
  "The server has renewed the key that signs its directory; the key before vouches for it. There is nothing to do.";
const texts = (person: Person): string[] =>
  person.state.notices.map(({ level, text }) => `${level}: ${text}`);

async function told(...people: Person[]): Promise<void> {
  for (const person of people)
    await person.until("the new key", () => texts(person).includes(`quiet: ${news}`));
}

test("C36 I28: a connected client, one that was away, letters from before and after, and the next restart all follow a new log key", async () => {
  await using room = await pair();
  const { alice, bob, server } = room;
  // Sealed before the change with a checkpoint by the first key, delivered after it.
  await bob.unplug();
  await alice.client.settled(await alice.client.send(bob.account, "by the first key"));
  await alice.unplug();
  await alice.client.send(bob.account, "sealed by the first, sent by the second");
  const second = await requestLogKeyRotation(server.data);
  await alice.plug();
  await told(alice);
  await alice.client.settled(await alice.client.send(bob.account, "by the second key"));
  await bob.plug();
  assert.deepEqual(await bob.arrivals(3), [
    "by the first key",
    "sealed by the first, sent by the second",
    "by the second key",
  ]);
  await told(bob);
  const third = await requestLogKeyRotation(server.data);
  assert.notEqual(third.x, second.x);
  await bob.client.settled(await bob.client.send(alice.account, "by the third key"));
  await alice.arrivals(1);
  for (const person of [alice, bob]) {
    await person.restart();
    await person.online();
    assert.equal(
      person.state.notices.every(({ level }) => level === "quiet"),
      true,
    );
  }
  assert.equal(decodeInviteLink(await alice.client.invite({ uses: 1 })).logKey.x, third.x);
});

test("C2 C36 I28: links made before and after a change let somebody in, verified; the server's id stays", async () => {
  await using room = await pair();
  const { alice, bob, server } = room;
  const before = await alice.client.invite({ uses: 1 });
  await requestLogKeyRotation(server.data);
  await told(alice, bob);
  const between = await alice.client.invite({ uses: 1 });
  await requestLogKeyRotation(server.data);
  await using carol = await Person.join(before, "Carol");
  await using dave = await Person.join(between, "Dave");
  for (const person of [carol, dave]) {
    assert.equal(person.state.server.id, server.serverId);
    assert.deepEqual(texts(person), [], "what was before one's own time is no news");
    const inviter = person.state.people.find(({ account }) => account === alice.account);
    assert.deepEqual(inviter?.trust, { how: "verified", by: "invite" });
    await person.client.settled(await person.client.send(alice.account, "here"));
  }
  await alice.arrivals(2);
  await carol.restart();
  await carol.online();
});

test("C2 I28: a link whose key the server can't lead to from its id is refused before anything is spent", async () => {
  await using room = await pair();
  const { alice, bob, server } = room;
  await requestLogKeyRotation(server.data);
  await told(alice, bob);
  const link = await alice.client.invite({ uses: 1 });
  await using carol = await Person.open();
  const fake = await forged(room);
  // A key appointed by the first one, in a history that this server does not show.
  const altered = encodeInviteLink({
    ...decodeInviteLink(link),
    logKey: fake.public,
    checkpoint: fake.checkpoint,
  });
  const expected = { code: "forbidden", message: /log key is not its server's/ };
  await assert.rejects(carol.client.join({ link: altered, name: "Carol" }), expected);
  await carol.client.join({ link, name: "Carol" });
});

/** Another log key than the server's, with a checkpoint of its own. */
async function forged({ server }: Pair): Promise<{ public: Ed25519Public; checkpoint: string }> {
  const { pkcs8, public: logPublic } = await generateLogKey();
  const by = { server: server.serverId, logKey: await importLogKey(pkcs8), logPublic };
  return {
    public: logPublic,
    checkpoint: await signCheckpoint({ ...by, size: 3, root: new Uint8Array(32) }),
  };
}

/** The first log key, as whoever reads the data folder has it. */
async function firstKey({ server }: Pair): Promise<{ private: CryptoKey; public: Ed25519Public }> {
  const keys = join(server.data, "keys");
  return {
    private: await importLogKey(await readFile(join(keys, "log.key"))),
    public: Ed25519Public.parse(JSON.parse(await readFile(join(keys, "log.pub"), "utf8"))),
  };
}

/** A push of a change from the first log key to a new one, signed by `signer`, in a history of one person's own. */
async function pushOfChange(
  { server }: Pair,
  shown: Person,
  by: { readonly first: Ed25519Public; readonly signer: CryptoKey },
): Promise<Uint8Array> {
  const directory = await replay(shown, server);
  const { pkcs8, public: next } = await generateLogKey();
  const change = { server: server.serverId, number: 1, previous: by.first, next, time: 0 };
  const statement = await signLogKeyChange(change, by.signer);
  const tree = await appendLeaf(directory.tree, await sha256(statement));
  const checkpoint = await signCheckpoint({
    ...{ server: server.serverId, logKey: await importLogKey(pkcs8), logPublic: next },
    ...{ size: tree.size, root: await rootOf(tree), appointment: statement },
  });
  const entries: DirectoryEntry[] = [{ statement, inbox: null }];
  return encodeEvent("directory", { from: directory.size, entries, checkpoint });
}

async function replay(person: Person, server: Pair["server"]): Promise<Directory> {
  const kept = await person.store.list({ table: "directory" });
  const statements = kept.map(({ value }) => (decodeCbor(value) as DirectoryEntry).statement);
  return (await applyStatements(emptyDirectory(server.serverId), statements)).directory;
}

/** Keeps pushes of the directory from a person; resolves with the entries of the first. */
function keepOut(person: Person): Promise<readonly DirectoryEntry[]> {
  return new Promise((resolve) => {
    person.platform.onReceived = (bytes) => {
      const frame = decodeCbor(bytes) as { name?: string; body: { entries: readonly DirectoryEntry[] } };
      if (frame.name !== "directory") return bytes;
      resolve(frame.body.entries);
      return null;
    };
  });
}

async function stopped(person: Person): Promise<{ code: string; why: string }> {
  await person.until("stopped", () => person.state.connection.is === "stopped");
  const { connection } = person.state;
  assert.ok(connection.is === "stopped");
  return { code: connection.code, why: connection.why };
}

test("C36 I29: two different changes of the log key are two histories, found by talking", async () => {
  await using room = await pair();
  const { alice, bob, server } = room;
  const first = await firstKey(room);
  void keepOut(alice);
  alice.platform.inject(await pushOfChange(room, alice, { first: first.public, signer: first.private }));
  await told(alice);
  await requestLogKeyRotation(server.data);
  await told(bob);
  await alice.client.send(bob.account, "what do you see?");
  const expected = { code: "two-histories", why: "the server has given Alice another log key than us" };
  assert.deepEqual(await stopped(bob), expected);
  await bob.until("told", () => texts(bob).some((text) => text.startsWith("loud")));
  await bob.restart();
  assert.deepEqual(await stopped(bob), expected);
});

test("C6 C36 I28: a change that the key before did not sign is refused, and nothing of it is kept", async () => {
  await using room = await pair();
  const { alice } = room;
  const { public: first } = await firstKey(room);
  const thief = await importLogKey((await generateLogKey()).pkcs8);
  alice.platform.inject(await pushOfChange(room, alice, { first, signer: thief }));
  const { code, why } = await stopped(alice);
  assert.equal(code, "directory");
  assert.match(why, /a log key change that the key before did not sign/);
  assert.equal((await alice.store.list({ table: "directory" })).length, 2);
});

test("C6 C36 I28: behind a change the key before signs nothing more", async () => {
  await using room = await pair();
  const { alice, server } = room;
  const first = await firstKey(room);
  const before = await replay(alice, server);
  const pushed = keepOut(alice);
  await requestLogKeyRotation(server.data);
  const entries = [...(await pushed)];
  const { directory } = await applyStatements(
    before,
    entries.map(({ statement }) => statement),
  );
  const checkpoint = await signCheckpoint({
    ...{ server: server.serverId, logKey: first.private, logPublic: first.public },
    ...{ size: directory.size, root: await rootOf(directory.tree) },
  });
  alice.platform.inject(encodeEvent("directory", { from: before.size, entries, checkpoint }));
  const { code, why } = await stopped(alice);
  assert.equal(code, "directory");
  assert.match(why, /pinned log key did not sign/);
});

test("C19 C36 I29: a letter with a checkpoint by a log key of nobody is refused in words, and the next one is read", async () => {
  await using room = await pair();
  const { alice, bob, server } = room;
  await requestLogKeyRotation(server.data);
  await told(alice, bob);
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
    ...{ server: server.serverId, id, counter: 1, time: 0, copyOf: null },
    checkpoint: (await forged(room)).checkpoint,
    content: textContent("believe me"),
  });
  const [position] = await bob.store.list({ table: "position" });
  const { stream } = decodeCbor(position?.value ?? new Uint8Array()) as { stream: StreamId };
  await alice.platform.ask("submit", {
    ...{ stream, kind: "letter", class: "durable", id, counter: 1, sealed, expires: null },
  });
  await bob.until("refused", () => texts(bob).some((text) => text.startsWith("loud")));
  assert.match(texts(bob).join("\n"), /not signed by the log key that this server has shown us/);
  await alice.restart();
  await alice.online();
  await alice.client.send(bob.account, "the next");
  assert.deepEqual(await bob.arrivals(1), ["the next"]);
});
