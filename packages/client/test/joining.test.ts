import assert from "node:assert/strict";
import { test } from "node:test";
import { pair } from "./people.ts";

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
