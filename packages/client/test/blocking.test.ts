import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { SnugError } from "@snug/protocol";
import { patience } from "../../../testing/patience.ts";
import { startAgain } from "../../../testing/server.ts";
import { Person, pair, waitingAt } from "./people.ts";

const isBlocked = (of: Person, whom: Person): boolean =>
  of.state.people.find(({ account }) => account === whom.account)?.blocked === true;

test("C39 D30: who is blocked is told so, own letters are held, and unblocking sends everything", async () => {
  await using of = await pair();
  const { alice, bob } = of;
  await alice.client.setBlocked(bob.account, true);
  assert.ok(isBlocked(alice, bob));
  assert.ok(!isBlocked(bob, alice));
  const refusedLetter = await bob.client.send(alice.account, "let me in");
  await assert.rejects(bob.client.settled(refusedLetter), (error) => {
    assert.ok(error instanceof SnugError && error.code === "policy");
    assert.equal(error.message, "the recipient does not take letters from you");
    return true;
  });
  await bob.last(alice.account, "held");
  const heldLetter = await alice.client.send(bob.account, "not now");
  await alice.last(bob.account, "held");
  await assert.rejects(
    alice.client.settled(heldLetter),
    (error) => error instanceof SnugError && /you have blocked Bob/.test(error.message),
  );
  await alice.restart();
  await alice.online();
  assert.ok(isBlocked(alice, bob), "a block outlives a restart");
  await alice.client.setBlocked(bob.account, false);
  assert.deepEqual(await bob.arrivals(1), ["not now"]);
  // Bob's device offers its letter again by itself.
  bob.platform.advance(30_000);
  assert.deepEqual(await alice.arrivals(1), ["let me in"]);
  await bob.client.settled(refusedLetter);
});

test("C39: what a server delivers of somebody who is blocked all the same is dropped without a word", async () => {
  await using of = await pair();
  const { alice, bob, server } = of;
  await alice.client.setBlocked(bob.account, true);
  // The server forgets: as if it had never heard of it.
  const forget = () => {
    const database = new DatabaseSync(join(server.data, "snug.db"), { timeout: patience });
    database.exec("DELETE FROM blocks");
    database.close();
  };
  forget();
  await alice.client.close();
  await server.close();
  const again = await startAgain(server);
  try {
    await bob.until("offline", () => bob.state.connection.is === "offline");
    bob.platform.advance(60_000);
    await bob.online();
    const id = await bob.client.send(alice.account, "still here");
    await bob.client.settled(id);
    await alice.restart();
    await alice.online();
    assert.deepEqual(alice.arrived, []);
    assert.deepEqual(alice.state.threads, []);
    assert.deepEqual(alice.state.notices, []);
    // The server was told again, and keeps its word from now on.
    const next = await bob.client.send(alice.account, "and still");
    await assert.rejects(bob.client.settled(next), (error) => error instanceof SnugError);
    await alice.client.setBlocked(bob.account, false);
    bob.platform.advance(30_000);
    assert.deepEqual(await alice.arrivals(1), ["and still"]);
  } finally {
    await alice.client.close();
    await bob.client.close();
    await again.close();
  }
});

test("C39: a letter that is being opened while its sender is blocked is dropped too", async () => {
  await using of = await pair();
  const { alice, bob } = of;
  const opens = Promise.withResolvers<void>();
  const blocked = Promise.withResolvers<void>();
  await alice.restart((store) =>
    waitingAt(store, async (table) => {
      if (table !== "received") return;
      opens.resolve();
      await blocked.promise;
    }),
  );
  await alice.online();
  const id = await bob.client.send(alice.account, "too late");
  await bob.client.settled(id);
  await opens.promise;
  await alice.client.setBlocked(bob.account, true);
  blocked.resolve();
  await bob.last(alice.account, "delivered");
  assert.deepEqual(alice.arrived, []);
  assert.deepEqual(await alice.texts(bob.account), []);
});

test("C39: a block that the server knows and this device does not is taken on, and said", async () => {
  await using of = await pair();
  const { alice, bob } = of;
  await alice.platform.ask("block-set", { account: bob.account, blocked: true });
  await alice.unplug();
  await alice.plug();
  assert.ok(isBlocked(alice, bob));
  const [notice] = alice.state.notices;
  assert.match(notice?.text ?? "", /The server says that you have blocked Bob/);
  assert.equal(notice?.level, "quiet");
});

test("C45: an own open link can be told again by the device that made it, also after a restart, and still verifies", async () => {
  await using of = await pair();
  const { alice } = of;
  await alice.client.invite({ uses: 1 });
  await alice.client.invite({ uses: 3 });
  await alice.restart();
  await alice.online();
  const [once, counted] = await alice.client.invites();
  assert.deepEqual([once?.kept?.once, counted?.kept?.once], [true, false]);
  await using carol = await Person.join(once?.kept?.link ?? "", "Carol");
  await alice.until("Carol", (state) => state.phase === "joined" && state.people.length === 3);
  const trust = alice.state.people.find(({ account }) => account === carol.account)?.trust;
  assert.deepEqual(trust, { how: "verified", by: "invite" });
  assert.equal((await alice.client.invites()).length, 1);
  await alice.store.commit([{ table: "invites", key: counted?.hash ?? "", value: null }]);
  await alice.restart();
  await alice.online();
  assert.deepEqual((await alice.client.invites())[0]?.kept, null, "as on a device that did not make it");
});

test("C38: an invite's secret is forgotten when it is revoked, refused, used up or has ended, and not before", async () => {
  await using of = await pair();
  const { alice } = of;
  const kept = async (): Promise<number> => (await alice.store.list({ table: "invites" })).length;
  assert.equal(await kept(), 0, "Bob's was for one, and is used up");
  await alice.client.invite({ uses: 3, hours: 1 });
  const [invite] = await alice.client.invites();
  assert.ok(invite);
  assert.deepEqual([invite.usesLeft, invite.expires - invite.created], [3, 3_600_000]);
  assert.equal(await kept(), 1);
  await alice.client.revokeInvite(invite.hash);
  assert.deepEqual([await alice.client.invites(), await kept()], [[], 0]);
  // Once more is no error: it is as revoked as it was.
  await alice.client.revokeInvite(invite.hash);
  await assert.rejects(alice.client.invite({ uses: 101 }), (error) => error instanceof SnugError);
  assert.equal(await kept(), 0, "refused");
  await alice.client.invite({ uses: 1, hours: 1 });
  // This device's clock alone does not end an invite.
  alice.platform.advance(2 * 3_600_000);
  await alice.unplug();
  await alice.plug();
  assert.equal(await kept(), 1);
});
