import assert from "node:assert/strict";
import { before, test } from "node:test";
import { applyStatement, type Directory, sealingKeyOf } from "@snug/crypto/identity";
import { createAccount } from "@snug/crypto/sealing";
import type { AccountId, DeviceId } from "@snug/protocol";
import {
  accountOf,
  deviceEntry,
  inviteSecret,
  makeRoom,
  nextStatement,
  personOf,
  type Room,
  refused,
} from "./people.ts";

let room: Room;
let other: Room;
before(async () => {
  [room, other] = await Promise.all([makeRoom(["Alice", "Bob"]), makeRoom(["Alice"])]);
});

const take = (statement: Uint8Array, directory: Directory = room.directory) =>
  applyStatement(directory, statement);

test("I25: an administrator removes somebody: everybody's replay says who, and nothing follows", async () => {
  const [alice, bob] = [personOf(room, "Alice"), personOf(room, "Bob")];
  const { directory, account, subject, kind } = await take(
    await nextStatement(room, "Alice", "account-remove", { account: bob.account }),
  );
  assert.deepEqual([account, subject, kind], [alice.account, bob.account, "account-remove"]);
  const after = accountOf(directory, bob.account);
  assert.deepEqual([after.removed, after.removedBy], [true, alice.account]);
  assert.deepEqual(
    [after.number, after.head],
    [0, bob.account],
    "the removed account's own chain is as it was",
  );
  assert.throws(() => sealingKeyOf(after), refused("forbidden", /no longer on this server/));
  const more = await nextStatement(room, "Bob", "remove", {});
  await assert.rejects(take(more, directory), refused("forbidden", /was removed/));
  const again = await createAccount({
    ...{ server: room.server, display: "Bob", now: 1 },
    invite: { secret: inviteSecret, inviter: alice.account },
  });
  await assert.rejects(take(again.genesis, directory), refused("name-taken", /taken/));
});

test("I25, I26: only an administrator, only about others, only about who and what is there", async () => {
  const [alice, bob] = [personOf(room, "Alice"), personOf(room, "Bob")];
  const nobody = personOf(other, "Alice");
  const remove = (by: string, account: AccountId) => nextStatement(room, by, "account-remove", { account });
  const end = (by: string, account: AccountId, device: DeviceId) =>
    nextStatement(room, by, "device-end", { account, device });
  await assert.rejects(
    take(await remove("Bob", alice.account)),
    refused("forbidden", /only an administrator/),
  );
  await assert.rejects(take(await remove("Alice", alice.account)), refused("forbidden", /own account/));
  await assert.rejects(take(await remove("Alice", nobody.account)), refused("conflict", /not there/));
  const byBob = await end("Bob", alice.account, alice.device);
  await assert.rejects(take(byBob), refused("forbidden", /only an administrator/));
  const own = await end("Alice", alice.account, alice.device);
  await assert.rejects(take(own), refused("forbidden", /own account/));
  const wrong = await end("Alice", bob.account, alice.device);
  await assert.rejects(take(wrong), refused("conflict", /no such device/));
  const { directory } = await take(await remove("Alice", bob.account));
  const late = { ...room, directory };
  const onRemoved = await nextStatement(late, "Alice", "device-end", {
    account: bob.account,
    device: bob.device,
  });
  await assert.rejects(take(onRemoved, directory), refused("conflict", /not there/));
});

test("I26: an administrator ends a device: revoked for good, its id never used again, the keys as they were", async () => {
  const [alice, bob] = [personOf(room, "Alice"), personOf(room, "Bob")];
  const body = { account: bob.account, device: bob.device };
  const { directory } = await take(await nextStatement(room, "Alice", "device-end", body));
  const after = accountOf(directory, bob.account);
  const ended = after.devices.get(bob.device);
  assert.deepEqual([ended?.revoked, ended?.endedBy, ended?.added], [true, alice.account, 1_000]);
  assert.deepEqual([after.removed, after.removedBy], [false, null]);
  const late = { ...room, directory };
  const twice = await nextStatement(late, "Alice", "device-end", body);
  await assert.rejects(take(twice, directory), refused("conflict", /no such device/));
  const { entry } = await deviceEntry();
  const back = await nextStatement(late, "Bob", "device-add", { ...entry, device: bob.device });
  await assert.rejects(take(back, directory), refused("conflict", /used before/));
});

test("I27: the last administrator keeps the role, and may leave", async () => {
  const [alice, bob] = [personOf(room, "Alice"), personOf(room, "Bob")];
  const step = await nextStatement(room, "Alice", "role", { account: alice.account, role: "member" });
  await assert.rejects(take(step), refused("policy", /last administrator/));
  const two = await take(await nextStatement(room, "Alice", "role", { account: bob.account, role: "admin" }));
  const late = { ...room, directory: two.directory };
  const down = await nextStatement(late, "Alice", "role", { account: alice.account, role: "member" });
  const { directory } = await take(down, two.directory);
  assert.deepEqual(
    [accountOf(directory, alice.account).role, accountOf(directory, bob.account).role],
    ["member", "admin"],
  );
  const removed = await nextStatement({ ...room, directory }, "Bob", "account-remove", {
    account: alice.account,
  });
  assert.equal(accountOf((await take(removed, directory)).directory, alice.account).removed, true);
});
