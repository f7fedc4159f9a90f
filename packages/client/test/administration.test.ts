import assert from "node:assert/strict";
import { test } from "node:test";
import { NetworkError } from "@snug/client";
import type { AccountId } from "@snug/protocol";
import { Person, pair } from "./people.ts";

const texts = (person: Person): string[] =>
  person.state.notices.map(({ level, text }) => `${level}: ${text}`);
const isRemoved = (by: Person, who: AccountId): boolean =>
  by.state.people.find(({ account }) => account === who)?.removed === true;

/** Alice rules, Bob and Carol came by her; Carol is there to see what happens to Bob. */
async function three() {
  await using started = new AsyncDisposableStack();
  const room = started.use(await pair());
  const carol = started.use(await Person.join(await room.alice.client.invite({ uses: 1 }), "Carol"));
  await room.bob.until("Carol", () => room.bob.state.people.length === 3);
  await room.alice.until("Carol", () => room.alice.state.people.length === 3);
  const all = started.move();
  const { server, alice, bob } = room;
  return { server, alice, bob, carol, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

test("C35 I25: who is removed stops in clear words and keeps what they have; everybody else hears who did it; letters to them are held", async () => {
  await using room = await three();
  const { alice, bob, carol } = room;
  await carol.client.settled(await carol.client.send(bob.account, "before"));
  await bob.arrivals(1);
  await alice.client.removeAccount(bob.account);
  assert.equal(isRemoved(alice, bob.account), true);
  assert.deepEqual(texts(alice), [], "what one did oneself is no news");

  await bob.until("stopped", () => bob.state.connection.is === "stopped");
  const { connection } = bob.state;
  assert.ok(connection.is === "stopped");
  assert.equal(connection.code, "unauthenticated");
  const words = /Alice, an administrator, has removed your account from this server/;
  assert.match(connection.why, words);
  await bob.until("told", () => bob.state.notices.length > 0);
  assert.match(
    texts(bob).join("\n"),
    /^loud: Connecting to the server has been stopped: Alice, an administrator/,
  );
  assert.equal(bob.state.notices.length, 1);
  assert.deepEqual(await bob.texts(carol.account), ["before"]);
  await assert.rejects(bob.client.settled(await bob.client.send(carol.account, "after")), {
    code: "forbidden",
    message: words,
  });
  await bob.restart();
  assert.ok(bob.state.connection.is === "stopped" && words.test(bob.state.connection.why));
  assert.deepEqual(await bob.texts(carol.account), ["before", "after"]);
  assert.equal(bob.state.notices.length, 1, "and it is said once");

  await carol.until("removed", () => isRemoved(carol, bob.account));
  assert.deepEqual(texts(carol), ["quiet: Alice removed Bob from this server"]);
  const seen = carol.state.people.find(({ account }) => account === bob.account);
  assert.equal(seen?.removedBy, alice.account);
  const late = await carol.client.send(bob.account, "too late");
  await assert.rejects(carol.client.settled(late), { code: "policy", message: /no longer on this server/ });
  await carol.last(bob.account, "held");
});

test("C35: somebody who was away when they were removed is not let in, in words that fit; the others read it later", async () => {
  await using room = await three();
  const { alice, bob, carol } = room;
  await bob.unplug();
  await carol.unplug();
  await alice.client.removeAccount(bob.account);
  bob.platform.plug();
  await bob.until("stopped", () => bob.state.connection.is === "stopped");
  const { connection } = bob.state;
  assert.ok(connection.is === "stopped");
  assert.match(connection.why, /does not let this device in any more.*ended or its account removed/);
  await carol.plug();
  assert.deepEqual(texts(carol), ["quiet: Alice removed Bob from this server"]);
});

test("C35 I26: a device ended by an administrator stops in clear words; the account is there, and its letters wait", async () => {
  await using room = await three();
  const { alice, bob, carol } = room;
  const [device] = await alice.client.devices(bob.account);
  assert.ok(device);
  assert.deepEqual(
    [device.device, device.rights, device.ends, device.endedBy],
    [bob.state.me.device, "full", null, null],
  );
  await alice.client.endDevice(bob.account, device.device);
  assert.equal((await alice.client.devices(bob.account))[0]?.endedBy, alice.account);
  await bob.until("stopped", () => bob.state.connection.is === "stopped");
  assert.ok(bob.state.connection.is === "stopped");
  assert.match(bob.state.connection.why, /Alice, an administrator, has ended this device/);
  await carol.until("told", () => carol.state.notices.length > 0);
  assert.deepEqual(texts(carol), ["quiet: Alice ended a device of Bob"]);
  assert.equal(isRemoved(carol, bob.account), false);
  await carol.client.settled(await carol.client.send(bob.account, "for your next device"));
  await assert.rejects(alice.client.endDevice(bob.account, device.device), { code: "conflict" });
});

test("C35: a role is news for everybody; only an administrator does any of this, and not while offline", async () => {
  await using room = await three();
  const { alice, bob, carol } = room;
  const forbidden = { code: "forbidden", message: /only an administrator/ };
  await assert.rejects(bob.client.removeAccount(carol.account), forbidden);
  await assert.rejects(bob.client.endDevice(carol.account, carol.state.me.device), forbidden);
  await assert.rejects(bob.client.setRole(bob.account, "admin"), forbidden);
  await assert.rejects(alice.client.removeAccount(alice.account), { code: "forbidden" });
  await assert.rejects(alice.client.setRole(alice.account, "member"), { code: "policy" });
  await alice.client.setRole(bob.account, "admin");
  await bob.until("a role", () => bob.state.me.role === "admin");
  await carol.until("told", () => carol.state.notices.length > 0);
  assert.deepEqual(texts(bob), ["quiet: Alice made you an administrator of this server"]);
  assert.deepEqual(texts(carol), ["quiet: Alice made Bob an administrator of this server"]);
  await bob.client.setRole(alice.account, "member");
  await alice.until("a role", () => alice.state.me.role === "member");
  await alice.unplug();
  await bob.unplug();
  await assert.rejects(bob.client.removeAccount(carol.account), (error) => error instanceof NetworkError);
});
