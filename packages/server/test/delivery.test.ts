import assert from "node:assert/strict";
import { test } from "node:test";
import { bootServer } from "../../../testing/server.ts";
import { joinRaw, letterTo } from "../../../testing/wire.ts";

test("D1: a letter is accepted, delivered live, and its sender is told when it has arrived", async () => {
  await using server = await bootServer();
  const alice = await joinRaw(server, "alice");
  const bob = await joinRaw(server, "bob");
  await using fromAlice = await alice.connect();
  await using toBob = await bob.connect();
  const { incarnation, inbox } = bob;
  assert.deepEqual(await toBob.request("stream-read", { stream: inbox, incarnation, after: 0 }), { head: 0 });
  const letter = letterTo(inbox, 1);
  const accepted = await fromAlice.request("submit", letter);
  assert.equal(accepted.seq, 1);
  const { rows } = await toBob.next("rows");
  assert.deepEqual(
    rows.map(({ seq, id, account }) => ({ seq, id, account })),
    [{ seq: 1, id: letter.id, account: alice.account }],
  );
  await toBob.request("stream-cursor", { stream: inbox, incarnation, seq: 1 });
  assert.deepEqual(await fromAlice.next("delivered"), { ids: [letter.id] });
});
