import assert from "node:assert/strict";
import { before, test } from "node:test";
import {
  applyStatement,
  applyStatements,
  type Directory,
  emptyDirectory,
  sealingKeyOf,
  unsafeReplay,
} from "@snug/crypto/identity";
import { createAccount, recoverKeys, signStatement } from "@snug/crypto/sealing";
import {
  decodeStatement,
  encodeCbor,
  encodeStatement,
  type GenesisBody,
  Hash,
  labels,
  SnugError,
} from "@snug/protocol";
import fc from "fast-check";
import { ed25519FromSeed } from "../src/sealing/recovery.ts";
import {
  accountOf,
  deviceEntry,
  forgeStatement,
  inviteSecret,
  makeRoom,
  membersOf,
  nextStatement,
  personOf,
  type Room,
  refused,
  rotationBody,
} from "./people.ts";

let room: Room;
let other: Room;
let rotation: Awaited<ReturnType<typeof rotationBody>>;
before(async () => {
  [room, other, rotation] = await Promise.all([
    makeRoom(["Alice", "Bob"]),
    makeRoom(["Alice"]),
    rotationBody(),
  ]);
});

const otherHash = Hash.parse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
const take = (statement: Uint8Array, directory: Directory = room.directory) =>
  applyStatement(directory, statement);
const genesisOf = (name: string): GenesisBody =>
  accountOf(room.directory, personOf(room, name).account).genesis;

/** Alice's genesis body with some members changed, signed by her key. */
async function bentGenesis(change: Partial<GenesisBody>, head: readonly unknown[] = [null, 0, null]) {
  const { keys, account } = personOf(room, "Alice");
  const { signingKeyId } = accountOf(room.directory, account);
  const body = { ...genesisOf("Alice"), ...change };
  const members = [labels.statement, 1, room.server, ...head, "genesis", 1, body, signingKeyId];
  return forgeStatement(keys.signing, members);
}

async function recoveryKeyOf(name: string) {
  const { recoveryCode, recovery } = personOf(room, name);
  const { recoveryKey } = await recoverKeys(recoveryCode, recovery);
  return recoveryKey.key;
}

test("I2: an account's id is the hash of its genesis, and the directory shows its keys", () => {
  const bob = accountOf(room.directory, personOf(room, "Bob").account);
  assert.equal(room.directory.names.get("bob"), bob.id);
  assert.equal(room.directory.devices.get(personOf(room, "Bob").device), bob.id);
  assert.deepEqual([bob.display, bob.name, bob.number, bob.head], ["Bob", "bob", 0, bob.id]);
  assert.equal(sealingKeyOf(bob).keyId, personOf(room, "Bob").keys.encryption[0]?.keyId);
  assert.deepEqual([bob.removed, bob.newer], [false, false]);
});

test("I15: who came by the setup link is the administrator, who came by an invite is not", () => {
  assert.equal(accountOf(room.directory, personOf(room, "Alice").account).role, "admin");
  assert.equal(accountOf(room.directory, personOf(room, "Bob").account).role, "member");
});

test("I15: nobody founds an account without an invite while there is an administrator", async () => {
  const eve = await createAccount({ server: room.server, display: "Eve", invite: null, now: 1 });
  await assert.rejects(take(eve.genesis), refused("forbidden", /there is an administrator/));
  const { directory } = await take(await nextStatement(room, "Alice", "remove", {}));
  const after = await take(eve.genesis, directory);
  assert.equal(accountOf(after.directory, eve.account).role, "admin");
});

test("I11: an account invited by nobody of this server is refused, and so is one invited by who left", async () => {
  const invite = { secret: inviteSecret, inviter: personOf(other, "Alice").account };
  const eve = await createAccount({ server: room.server, display: "Eve", invite, now: 1 });
  await assert.rejects(take(eve.genesis), refused("forbidden", /invited by nobody/));
  const byBob = { secret: inviteSecret, inviter: personOf(room, "Bob").account };
  const zoe = await createAccount({ server: room.server, display: "Zoe", invite: byBob, now: 1 });
  const { directory } = await take(await nextStatement(room, "Bob", "remove", {}));
  await assert.rejects(take(zoe.genesis, directory), refused("forbidden", /invited by nobody/));
});

test("I8: signed statements of every kind go through their encoding unchanged", async () => {
  const statement = await nextStatement(room, "Bob", "device-add", (await deviceEntry(9_000)).entry);
  const { content, signed, signature } = decodeStatement(statement);
  assert.equal(content.kind, "device-add");
  assert.deepEqual(encodeStatement(signed, signature), statement);
});

test("I8: a genesis cut at any byte, or with a byte more, is refused", async () => {
  const { genesis } = personOf(room, "Alice");
  for (let length = 0; length < genesis.length; length++) {
    assert.throws(() => decodeStatement(genesis.subarray(0, length)), refused("malformed", /./));
  }
  assert.throws(() => decodeStatement(new Uint8Array([...genesis, 0])), refused("malformed", /./));
});

test("I8: a statement in another spelling of CBOR is refused, though its signature is right", async () => {
  const { keys } = personOf(room, "Bob");
  const members = membersOf(room, "Bob", "remove", {});
  const longHead = (value: unknown) => {
    const bytes = encodeCbor(value);
    return new Uint8Array([0x98, (bytes[0] ?? 0) & 31, ...bytes.subarray(1)]);
  };
  await take(await forgeStatement(keys.signing, members));
  await assert.rejects(
    take(await forgeStatement(keys.signing, members, longHead)),
    refused("malformed", /CBOR/),
  );
});

test("I8: a changed byte anywhere in a statement is refused", async () => {
  const statement = await nextStatement(room, "Bob", "remove", {});
  await fc.assert(
    fc.asyncProperty(fc.nat(statement.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
      const bent = statement.slice();
      bent[at] = (bent[at] ?? 0) ^ flip;
      await assert.rejects(take(bent), SnugError);
    }),
    { seed: 20_261_122, numRuns: 150 },
  );
});

test("I9: a statement signed by another person's key is refused, whatever key id it names", async () => {
  const eve = personOf(room, "Alice");
  const members = membersOf(room, "Bob", "remove", {});
  await assert.rejects(
    take(await forgeStatement(eve.keys.signing, members)),
    refused("forbidden", /no key of its/),
  );
  const hers = accountOf(room.directory, eve.account).signingKeyId;
  await assert.rejects(
    take(await forgeStatement(eve.keys.signing, [...members.slice(0, 9), hers])),
    refused("forbidden", /no key of its/),
  );
});

test("I9: a device's key signs no statement", async () => {
  const { keys, device, account } = personOf(room, "Bob");
  const members = membersOf(room, "Bob", "remove", {});
  const deviceKeyId = accountOf(room.directory, account).devices.get(device)?.keyId;
  const forged = await forgeStatement(keys.device, [...members.slice(0, 9), deviceKeyId]);
  await assert.rejects(take(forged), refused("forbidden", /no key of its/));
});

test("I9: a statement in the recovery key's name that another key signed is refused", async () => {
  const { keys, account } = personOf(room, "Bob");
  const members = membersOf(room, "Bob", "remove", {});
  members[9] = accountOf(room.directory, account).recoveryKeyId;
  await assert.rejects(
    take(await forgeStatement(keys.device, members)),
    refused("forbidden", /no key of its/),
  );
});

test("I10: a statement with a wrong number or a wrong previous is refused", async () => {
  const { keys } = personOf(room, "Bob");
  const bend = async (at: number, value: unknown) => {
    const members = membersOf(room, "Bob", "remove", {});
    members[at] = value;
    return forgeStatement(keys.signing, members);
  };
  for (const number of [0, 2, 7]) {
    await assert.rejects(take(await bend(4, number)), refused("conflict", /does not follow/));
  }
  await assert.rejects(take(await bend(5, otherHash)), refused("conflict", /does not follow/));
  await assert.rejects(take(await bend(5, null)), refused("conflict", /does not follow/));
  await assert.rejects(take(await bend(3, otherHash)), refused("conflict", /the log does not have/));
  await assert.rejects(take(await bend(3, null)), refused("malformed", /of no account/));
});

test("I10: a statement is taken once; two that follow the same one exclude each other", async () => {
  const first = await nextStatement(room, "Bob", "device-add", (await deviceEntry()).entry);
  const second = await nextStatement(room, "Bob", "remove", {});
  const { directory } = await take(first);
  await assert.rejects(take(first, directory), refused("conflict", /does not follow/));
  await assert.rejects(take(second, directory), refused("conflict", /does not follow/));
});

test("I10: a statement made for another server is refused", async () => {
  await assert.rejects(take(personOf(other, "Alice").genesis), refused("forbidden", /another server/));
  const members = membersOf(room, "Bob", "remove", {});
  members[2] = other.server;
  const { keys } = personOf(room, "Bob");
  await assert.rejects(
    take(await forgeStatement(keys.signing, members)),
    refused("forbidden", /another server/),
  );
});

test("I11: a genesis with another's keys swapped in is refused, because its signature covers them", async () => {
  const bob = genesisOf("Bob");
  const swapped = { ...genesisOf("Alice"), signing: bob.signing };
  const { signingKeyId } = accountOf(room.directory, personOf(room, "Bob").account);
  const members = [labels.statement, 1, room.server, null, 0, null, "genesis", 1, swapped, signingKeyId];
  const forged = await forgeStatement(personOf(room, "Alice").keys.signing, members);
  await assert.rejects(take(forged, emptyDirectory(room.server)), refused("forbidden", /signature is wrong/));
  const named = [
    ...members.slice(0, 9),
    accountOf(room.directory, personOf(room, "Alice").account).signingKeyId,
  ];
  await assert.rejects(
    take(await forgeStatement(personOf(room, "Alice").keys.signing, named), emptyDirectory(room.server)),
    refused("forbidden", /own signing key/),
  );
});

test("I11: a genesis that follows something, or a second one, is refused", async () => {
  const empty = emptyDirectory(room.server);
  for (const head of [
    [null, 1, null],
    [null, 0, otherHash],
    [otherHash, 0, null],
  ]) {
    await assert.rejects(take(await bentGenesis({}, head), empty), refused("malformed", /claims to follow/));
  }
  await assert.rejects(take(personOf(room, "Bob").genesis), refused("name-taken", /"bob" is taken/));
});

test("I11: a genesis whose signing key is also an encryption key, or with one twice, is refused", async () => {
  const empty = emptyDirectory(room.server);
  const { signing, encryption } = genesisOf("Alice");
  await assert.rejects(
    take(await bentGenesis({ encryption: [signing] }), empty),
    refused("malformed", /used twice/),
  );
  await assert.rejects(
    take(await bentGenesis({ encryption: [...encryption, ...encryption] }), empty),
    refused("malformed", /used twice/),
  );
});

test("I4: RSA keys of other sizes, other exponents, or even moduli are refused", async () => {
  const empty = emptyDirectory(room.server);
  const [key] = genesisOf("Alice").encryption;
  assert(key);
  const small = `B${key.n.slice(1)}`; // top bit off: 3067 bits at most
  const even = `${key.n.slice(0, -1)}A`;
  await assert.rejects(
    take(await bentGenesis({ signing: { ...genesisOf("Alice").signing, n: small } }), empty),
    refused("malformed", /not of 3072 bits/),
  );
  for (const n of [small, even]) {
    await assert.rejects(
      take(await bentGenesis({ encryption: [{ ...key, n }] }), empty),
      refused("malformed", /not of 3072 bits/),
    );
  }
  for (const bent of [
    { ...key, n: key.n.slice(0, 342) },
    { ...key, n: `${key.n}AAAA` },
    { ...key, e: "Aw" as "AQAB" },
  ]) {
    await assert.rejects(
      take(await bentGenesis({ encryption: [bent] }), empty),
      refused("malformed", /wrong body/),
    );
  }
});

test("I20: a name is taken once, by its normal form, and stays taken when its account leaves", async () => {
  const invite = { secret: inviteSecret, inviter: personOf(room, "Alice").account };
  const double = await createAccount({ server: room.server, display: "ＢＯＢ", invite, now: 1 });
  await assert.rejects(take(double.genesis), refused("name-taken", /"bob" is taken/));
  const { directory } = await take(await nextStatement(room, "Bob", "remove", {}));
  assert.equal(accountOf(directory, personOf(room, "Bob").account).removed, true);
  await assert.rejects(take(double.genesis, directory), refused("name-taken", /"bob" is taken/));
});

test("I19: a genesis whose name is not the normal form of what it shows is refused", async () => {
  const empty = emptyDirectory(room.server);
  for (const change of [
    { name: "Alice" },
    { name: "alyce" },
    { display: " Alice" },
    { display: "Аlice", name: "аlice" },
  ]) {
    await assert.rejects(take(await bentGenesis(change), empty), refused("name-invalid", /./));
  }
});

test("I12: a device id is never used again, neither in another account nor after a revocation", async () => {
  const { entry } = await deviceEntry();
  const alices = { ...entry, device: personOf(room, "Alice").device };
  await assert.rejects(
    take(await nextStatement(room, "Bob", "device-add", alices)),
    refused("conflict", /used before/),
  );
  const added = await take(await nextStatement(room, "Bob", "device-add", entry));
  const then = { ...room, directory: added.directory };
  const revoked = await take(
    await nextStatement(then, "Bob", "device-revoke", { device: entry.device }),
    then.directory,
  );
  const last = { ...room, directory: revoked.directory };
  const bob = accountOf(last.directory, personOf(room, "Bob").account);
  assert.deepEqual([bob.devices.get(entry.device)?.revoked, bob.number], [true, 2]);
  for (const again of [entry, { ...(await deviceEntry()).entry, device: entry.device }]) {
    await assert.rejects(
      take(await nextStatement(last, "Bob", "device-add", again), last.directory),
      refused("conflict", /used before/),
    );
  }
  const sameKey = { ...(await deviceEntry()).entry, key: entry.key };
  await assert.rejects(
    take(await nextStatement(last, "Bob", "device-add", sameKey), last.directory),
    refused("conflict", /key of another device/),
  );
  await assert.rejects(
    take(await nextStatement(last, "Bob", "device-revoke", { device: entry.device }), last.directory),
    refused("conflict", /no such device/),
  );
});

test("I12: a genesis does not take another account's device id either", async () => {
  const invite = { secret: inviteSecret, inviter: personOf(room, "Alice").account };
  const eve = await createAccount({ server: room.server, display: "Eve", invite, now: 1 });
  const { directory } = await take(eve.genesis);
  const { genesis, signingKeyId } = accountOf(directory, eve.account);
  const body = { ...genesis, device: { ...genesis.device, device: personOf(room, "Bob").device } };
  const members = [labels.statement, 1, room.server, null, 0, null, "genesis", 1, body, signingKeyId];
  const forged = await forgeStatement(eve.keys.signing, members);
  await assert.rejects(take(forged), refused("conflict", /used before/));
});

test("I12: an account has at most 16 devices that are not revoked", async () => {
  let now = room;
  for (let devices = 1; devices < 16; devices++) {
    const statement = await nextStatement(now, "Bob", "device-add", (await deviceEntry()).entry);
    now = { ...room, directory: (await take(statement, now.directory)).directory };
  }
  const more = await nextStatement(now, "Bob", "device-add", (await deviceEntry()).entry);
  await assert.rejects(take(more, now.directory), refused("policy", /at most 16/));
  const { device } = personOf(room, "Bob");
  const fewer = await take(await nextStatement(now, "Bob", "device-revoke", { device }), now.directory);
  now = { ...room, directory: fewer.directory };
  await take(await nextStatement(now, "Bob", "device-add", (await deviceEntry()).entry), now.directory);
});

test("I13: a rotation says who signed it: the recovery key quietly, the signing key loudly", async () => {
  const bob = personOf(room, "Bob").account;
  const loud = await take(await nextStatement(room, "Bob", "rotate", rotation));
  const members = membersOf(room, "Bob", "rotate", rotation);
  members[9] = accountOf(room.directory, bob).recoveryKeyId;
  const quiet = await take(await forgeStatement(await recoveryKeyOf("Bob"), members));
  assert.deepEqual(accountOf(loud.directory, bob).history.at(-1), { kind: "rotate", signedBy: "signing" });
  assert.deepEqual(accountOf(quiet.directory, bob).history.at(-1), { kind: "rotate", signedBy: "recovery" });
  for (const { directory } of [loud, quiet]) {
    assert.deepEqual(sealingKeyOf(accountOf(directory, bob)).key, rotation.encryption[0]);
  }
});

test("I13: after a rotation the old signing key signs nothing more", async () => {
  const { directory } = await take(await nextStatement(room, "Bob", "rotate", rotation));
  const then = { ...room, directory };
  const { keys } = personOf(room, "Bob");
  const members = membersOf(then, "Bob", "remove", {});
  const old = accountOf(room.directory, personOf(room, "Bob").account).signingKeyId;
  for (const keyId of [old, members[9]]) {
    const forged = await forgeStatement(keys.signing, [...members.slice(0, 9), keyId]);
    await assert.rejects(take(forged, directory), refused("forbidden", /no key of its/));
  }
});

test("I13: a rotation renews both keys, a recovery change changes the key", async () => {
  const { signing, encryption, recovery } = genesisOf("Bob");
  for (const body of [
    { ...rotation, signing },
    { ...rotation, encryption },
  ]) {
    await assert.rejects(
      take(await nextStatement(room, "Bob", "rotate", body)),
      refused("malformed", /to renew/),
    );
  }
  await assert.rejects(
    take(await nextStatement(room, "Bob", "recovery-change", { recovery })),
    refused("malformed", /changes nothing/),
  );
  const fresh = (await ed25519FromSeed(new Uint8Array(32).fill(3))).public;
  const { directory } = await take(await nextStatement(room, "Bob", "recovery-change", { recovery: fresh }));
  const bob = accountOf(directory, personOf(room, "Bob").account);
  assert.deepEqual([bob.recovery, bob.history.at(-1)?.signedBy], [fresh, "signing"]);
  const then = { ...room, directory };
  const members = membersOf(then, "Bob", "remove", {});
  members[9] = accountOf(room.directory, bob.id).recoveryKeyId;
  await assert.rejects(
    take(await forgeStatement(await recoveryKeyOf("Bob"), members), directory),
    refused("forbidden", /no key of its/),
  );
});

test("I14: a kind from the future freezes its account, is hashed, and nothing is sealed to it", async () => {
  const { keys, account } = personOf(room, "Bob");
  const members = membersOf(room, "Bob", "succession", { of: "tomorrow" });
  const { directory, kind } = await take(await forgeStatement(keys.signing, members));
  const bob = accountOf(directory, account);
  assert.deepEqual([kind, bob.newer, bob.number, directory.size], ["succession", true, 1, 3]);
  assert.throws(() => sealingKeyOf(bob), refused("upgrade", /newer version/));
});

test("I14: a known kind of a version from the future freezes its account too", async () => {
  const members = membersOf(room, "Bob", "remove", { with: "more" });
  members[1] = 2;
  const { directory } = await take(await forgeStatement(personOf(room, "Bob").keys.signing, members));
  const bob = accountOf(directory, personOf(room, "Bob").account);
  assert.deepEqual([bob.newer, bob.removed], [true, false]);
});

test("I31: a replay that verifies no signature again makes the same directory, who signed each statement included", async () => {
  const bob = personOf(room, "Bob");
  const made = Object.values(room.people).map(({ genesis }) => genesis as Uint8Array);
  let now = room;
  const add = async (key: CryptoKey, kind: string, body: unknown, keyId?: string): Promise<void> => {
    const members = membersOf(now, "Bob", kind, body);
    if (keyId !== undefined) members[9] = keyId;
    const statement = await forgeStatement(key, members);
    now = { ...room, directory: (await take(statement, now.directory)).directory };
    made.push(statement);
  };
  const { signingKeyId, recoveryKeyId } = accountOf(room.directory, bob.account);
  const stranger = personOf(room, "Alice").keys.signing;
  await add(bob.keys.signing, "device-add", (await deviceEntry()).entry);
  await add(await recoveryKeyOf("Bob"), "device-revoke", { device: bob.device }, recoveryKeyId);
  await add(bob.keys.signing, "succession", {});
  // Chained though nobody of the account signed them: a known key's name does not make them its own (I14).
  await add(stranger, "remove", {}, accountOf(room.directory, personOf(room, "Alice").account).signingKeyId);
  await add(stranger, "remove", {}, signingKeyId);
  await add(bob.keys.signing, "device-add", (await deviceEntry()).entry);
  const replayed = await unsafeReplay(emptyDirectory(room.server), made);
  assert.deepEqual(replayed, await applyStatements(emptyDirectory(room.server), made));
  assert.deepEqual(
    accountOf(replayed.directory, bob.account).history.map(({ signedBy }) => signedBy),
    ["signing", "signing", "recovery", "signing", null, null, "signing"],
  );
  // Whatever else a statement must be, it must be here too.
  const [alice = new Uint8Array()] = made;
  await assert.rejects(
    unsafeReplay(emptyDirectory(other.server), made),
    refused("forbidden", /another server/),
  );
  await assert.rejects(unsafeReplay(replayed.directory, [alice]), refused("name-taken", /alice/));
});

test("I14: nobody else can freeze an account", async () => {
  const members = membersOf(room, "Bob", "succession", {});
  const forged = await forgeStatement(personOf(room, "Alice").keys.signing, members);
  await assert.rejects(take(forged), refused("forbidden", /no key of its/));
});

test("I14: behind a kind from the future a signer may be unknown: chained, not believed", async () => {
  const bob = personOf(room, "Bob");
  const members = membersOf(room, "Bob", "succession", {});
  const { directory } = await take(await forgeStatement(bob.keys.signing, members));
  const frozen = { ...room, directory };
  const strange = membersOf(frozen, "Bob", "remove", {});
  strange[9] = accountOf(room.directory, personOf(room, "Alice").account).signingKeyId;
  const chained = await take(await forgeStatement(personOf(room, "Alice").keys.signing, strange), directory);
  const after = accountOf(chained.directory, bob.account);
  assert.deepEqual(
    [after.removed, after.number, after.history.at(-1)],
    [false, 2, { kind: "remove", signedBy: null }],
  );
  strange[4] = 5;
  await assert.rejects(
    take(await forgeStatement(personOf(room, "Alice").keys.signing, strange), directory),
    refused("conflict", /does not follow/),
  );
  const known = await take(await nextStatement(frozen, "Bob", "remove", {}), directory);
  assert.equal(accountOf(known.directory, bob.account).removed, true);
});

test("I14: an account that begins with a version from the future asks for an update", async () => {
  const members = [labels.statement, 2, room.server, null, 0, null, "genesis", 1, {}, otherHash];
  const forged = await forgeStatement(personOf(room, "Bob").keys.signing, members);
  await assert.rejects(take(forged), refused("upgrade", /newer version/));
});

test("I15: an administrator gives and takes roles; a member can't; who left gets none", async () => {
  const alice = personOf(room, "Alice").account;
  const bob = personOf(room, "Bob").account;
  await assert.rejects(
    take(await nextStatement(room, "Bob", "role", { account: bob, role: "admin" })),
    refused("forbidden", /only an administrator/),
  );
  const given = await take(await nextStatement(room, "Alice", "role", { account: bob, role: "admin" }));
  assert.deepEqual([given.account, given.subject, given.kind], [alice, bob, "role"]);
  assert.equal(accountOf(given.directory, bob).role, "admin");
  assert.equal(accountOf(given.directory, bob).number, 0);
  const then = { ...room, directory: given.directory };
  const own = await take(
    await nextStatement(then, "Alice", "role", { account: alice, role: "member" }),
    then.directory,
  );
  assert.deepEqual(
    [accountOf(own.directory, alice).role, accountOf(own.directory, alice).number],
    ["member", 2],
  );
  const left = await take(await nextStatement(room, "Bob", "remove", {}));
  const without = { ...room, directory: left.directory };
  await assert.rejects(
    take(await nextStatement(without, "Alice", "role", { account: bob, role: "admin" }), without.directory),
    refused("conflict", /not there/),
  );
});

test("I15: nothing follows a removal", async () => {
  const { directory } = await take(await nextStatement(room, "Bob", "remove", {}));
  const then = { ...room, directory };
  await assert.rejects(
    take(await nextStatement(then, "Bob", "rotate", rotation), directory),
    refused("forbidden", /was removed/),
  );
  assert.throws(
    () => sealingKeyOf(accountOf(directory, personOf(room, "Bob").account)),
    refused("forbidden", /no longer on this server/),
  );
});

test("I10: a batch is applied whole or not at all, and the former directory stays as it was", async () => {
  const { directory } = room;
  const good = await nextStatement(room, "Bob", "remove", {});
  await assert.rejects(applyStatements(directory, [good, good]), refused("conflict", /does not follow/));
  const { directory: after, changes } = await applyStatements(directory, [good]);
  assert.equal(changes.length, 1);
  assert.deepEqual([directory.size, directory.tree.size, after.size, after.tree.size], [2, 2, 3, 3]);
  assert.equal(accountOf(directory, personOf(room, "Bob").account).removed, false);
});

test("I9: the recovery key may sign everything that the signing key may", async () => {
  const { account } = personOf(room, "Bob");
  const { recoveryKeyId } = accountOf(room.directory, account);
  const statement = await signStatement({
    key: await recoveryKeyOf("Bob"),
    keyId: recoveryKeyId,
    head: { server: room.server, account, number: 1, previous: Hash.parse(account), time: 5 },
    kind: "device-revoke",
    body: { device: personOf(room, "Bob").device },
  });
  const { directory } = await take(statement);
  assert.equal(accountOf(directory, account).devices.get(personOf(room, "Bob").device)?.revoked, true);
});
