import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { AccountId, limits, toBase64url } from "@snug/protocol";
import { bootServer } from "../../../testing/server.ts";
import { joinRaw, letterTo } from "../../../testing/wire.ts";
import { refused } from "./refused.ts";

const no = { code: "policy", message: "the recipient does not take letters from you" } as const;

test("D30: who is blocked is told so before anything is stored, uses up no counter, and is heard again once unblocked", async () => {
  await using server = await bootServer();
  const [alice, bob, carol] = [
    await joinRaw(server, "alice"),
    await joinRaw(server, "bob"),
    await joinRaw(server, "carol"),
  ];
  await using fromAlice = await alice.connect();
  await using fromBob = await bob.connect();
  await using fromCarol = await carol.connect();
  const before = letterTo(alice.inbox, 1);
  const accepted = await fromBob.request("submit", before);
  await fromAlice.request("block-set", { account: bob.account, blocked: true });
  await fromAlice.request("block-set", { account: bob.account, blocked: true });
  assert.deepEqual(await fromAlice.request("block-list", {}), { accounts: [bob.account] });
  assert.deepEqual(await fromBob.request("block-list", {}), { accounts: [] });
  await refused(no, fromBob.request("submit", letterTo(alice.inbox, 2)));
  // What was accepted before stays accepted, and its repeat learns so (D5).
  assert.deepEqual(await fromBob.request("submit", before), accepted);
  // Nobody else is meant, nor the other direction.
  assert.equal((await fromCarol.request("submit", letterTo(alice.inbox, 1))).seq, 2);
  assert.equal((await fromAlice.request("submit", letterTo(bob.inbox, 1))).seq, 1);
  await fromAlice.request("block-set", { account: bob.account, blocked: false });
  assert.equal((await fromBob.request("submit", letterTo(alice.inbox, 2))).seq, 3);
});

test("D30 P33 blocks: nobody blocks themselves or who is not there; above the limit it is a quota", async () => {
  await using server = await bootServer();
  const alice = await joinRaw(server, "alice");
  const bob = await joinRaw(server, "bob");
  await using wire = await alice.connect();
  const block = (account: AccountId) => wire.request("block-set", { account, blocked: true });
  await refused({ code: "policy" }, block(alice.account));
  const stranger = AccountId.parse(toBase64url(new Uint8Array(32).fill(9)));
  await refused({ code: "not-found" }, block(stranger));
  await server.close();
  // A thousand people are too many to make keys for.
  const database = new DatabaseSync(join(server.data, "snug.db"));
  const insert = database.prepare("INSERT INTO blocks VALUES (?, ?)");
  for (let count = 0; count < limits.blocks; count++) {
    insert.run(alice.account, toBase64url(crypto.getRandomValues(new Uint8Array(32))));
  }
  database.close();
  await using again = await bootServer(server.options);
  await using full = await alice.connect(again);
  await refused({ code: "quota" }, full.request("block-set", { account: bob.account, blocked: true }));
  assert.equal((await full.request("block-list", {})).accounts.length, limits.blocks);
});

test("D30 P24: a data folder of before there were blocks starts, and a block outlives a restart", async () => {
  await using first = await bootServer();
  const [alice, bob] = [await joinRaw(first, "alice"), await joinRaw(first, "bob")];
  await first.close();
  const older = new DatabaseSync(join(first.data, "snug.db"));
  older.exec("DROP TABLE blocks; PRAGMA user_version=1");
  older.close();
  await using second = await bootServer(first.options);
  {
    await using wire = await alice.connect(second);
    await wire.request("block-set", { account: bob.account, blocked: true });
  }
  await second.close();
  await using third = await bootServer(first.options);
  await using wire = await bob.connect(third);
  await refused(no, wire.request("submit", letterTo(alice.inbox, 1)));
});
