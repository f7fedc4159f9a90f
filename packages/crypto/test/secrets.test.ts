import assert from "node:assert/strict";
import { before, test } from "node:test";
import { admitHash, admitOf, keyIdOf, safetyNumber, verifySignIn } from "@snug/crypto/identity";
import {
  checkInviteBinding,
  importAccountKeys,
  parseRecoveryCode,
  recoverKeys,
  signSignIn,
} from "@snug/crypto/sealing";
import {
  DeviceId,
  decodeCbor,
  encodeCbor,
  Incarnation,
  limits,
  randomId,
  sha256,
  signInBytes,
} from "@snug/protocol";
import fc from "fast-check";
import { wrapForRecovery } from "../src/sealing/recovery.ts";
import { formatRecoveryCode } from "../src/sealing/recoveryCode.ts";
import { accountOf, inviteSecret, makeRoom, personOf, type Room, refused } from "./people.ts";

// Fixed values below were computed by a second implementation, in Python.
let room: Room;
before(async () => {
  room = await makeRoom(["Alice", "Bob"]);
});

test("I5: a recovery code is 28 symbols in groups of four, and means its 128 bits, however it is typed", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 16, maxLength: 16 }), async (secret) => {
      const code = await formatRecoveryCode(secret);
      assert.match(code, /^(?:[0-9A-HJKMNP-TV-Z]{4}-){6}[0-9A-HJKMNP-TV-Z]{4}$/);
      const typed = code.toLowerCase().replaceAll("-", " ").replaceAll("0", "o").replaceAll("1", "l");
      assert.deepEqual(await parseRecoveryCode(code), secret);
      assert.deepEqual(await parseRecoveryCode(` ${typed}\n`), secret);
    }),
    { seed: 20_261_122, numRuns: 100 },
  );
});

test("I5: the recovery code of a secret does not change from version to version", async () => {
  const secret = Uint8Array.fromHex("000102030405060708090a0b0c0d0e0f");
  assert.equal(await formatRecoveryCode(secret), "000G-40R4-0M30-E209-185G-R38E-1WD5");
});

test("I5: a code cut, lengthened, or with a character that none has is refused in words", async () => {
  const code = personOf(room, "Alice").recoveryCode;
  await assert.rejects(
    parseRecoveryCode(code.slice(0, -1)),
    refused("malformed", /27 characters instead of 28/),
  );
  await assert.rejects(parseRecoveryCode(`${code}0`), refused("malformed", /29 characters/));
  await assert.rejects(
    parseRecoveryCode(code.replace(/^./, "U")),
    refused("malformed", /"U", which no recovery/),
  );
  await assert.rejects(parseRecoveryCode(""), refused("malformed", /0 characters/));
});

test("I5: of codes with one character mistyped or two swapped, nearly all are noticed at once", async () => {
  const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  const code = personOf(room, "Alice").recoveryCode.replaceAll("-", "");
  let mistyped = 0;
  let noticed = 0;
  for (let at = 0; at < code.length; at++) {
    for (const other of alphabet) {
      if (other === code[at]) continue;
      mistyped++;
      const secret = await parseRecoveryCode(code.slice(0, at) + other + code.slice(at + 1)).catch(
        () => null,
      );
      if (secret === null) noticed++;
    }
  }
  assert.equal(mistyped, 28 * 31);
  assert(noticed >= mistyped - 4, `${mistyped - noticed} of ${mistyped} passed`);
});

test("I6: the code brings back the same keys, and the recovery key that stands in the genesis", async () => {
  const alice = personOf(room, "Alice");
  const recovered = await recoverKeys(alice.recoveryCode, alice.recovery);
  assert.deepEqual([recovered.account, recovered.server], [alice.account, room.server]);
  assert.deepEqual(recovered.signing, alice.exportable.signing);
  assert.deepEqual(recovered.encryption, alice.exportable.encryption);
  assert.deepEqual(recovered.recoveryKey.public, accountOf(room.directory, alice.account).recovery);
  assert.equal(recovered.recoveryKey.key.extractable, false);
});

test("I6: as many keys as an account may keep are wrapped within the bound, and come back", async () => {
  const { recoveryCode, exportable, account } = personOf(room, "Alice");
  const [key] = exportable.encryption;
  assert(key);
  const keys = { ...exportable, encryption: new Array<typeof key>(limits.encryptionKeys).fill(key) };
  const secret = await parseRecoveryCode(recoveryCode);
  const blob = await wrapForRecovery(secret, { server: room.server, account, keys });
  // Keys differ by a few bytes in length.
  assert(blob.length + 8 * limits.encryptionKeys <= limits.recoveryBlob, `${blob.length} bytes`);
  assert.equal((await recoverKeys(recoveryCode, blob)).encryption.length, limits.encryptionKeys);
});

test("I6: the device's key is not among the wrapped keys", () => {
  const { recovery, exportable } = personOf(room, "Alice");
  assert(!recovery.toHex().includes(exportable.device.toHex().slice(32)));
  assert(recovery.length > 1_500 && recovery.length < 5_000);
});

test("I6: another code, or wrapped keys changed, cut, or moved to another account, open nothing", async () => {
  const [alice, bob] = [personOf(room, "Alice"), personOf(room, "Bob")];
  const check = refused("forbidden", /does not open/);
  await assert.rejects(recoverKeys(bob.recoveryCode, alice.recovery), check);
  const parts = decodeCbor(alice.recovery);
  assert(Array.isArray(parts));
  await assert.rejects(recoverKeys(alice.recoveryCode, encodeCbor(parts.with(2, bob.account))), check);
  const newer = encodeCbor(parts.with(0, 2));
  await assert.rejects(recoverKeys(alice.recoveryCode, newer), refused("malformed", /not wrapped keys/));
  for (let length = 0; length < alice.recovery.length; length += 37) {
    const cut = alice.recovery.subarray(0, length);
    await assert.rejects(recoverKeys(alice.recoveryCode, cut), refused("malformed", /./));
  }
  const changed = alice.recovery.with(1_000, (alice.recovery[1_000] ?? 0) ^ 1);
  await assert.rejects(recoverKeys(alice.recoveryCode, changed), check);
});

test("I7: keys in use can't be read out; their exported bytes make the same keys again", async () => {
  const { keys, exportable } = personOf(room, "Alice");
  for (const key of [keys.signing, keys.device, ...keys.encryption.map(({ key }) => key)]) {
    assert.equal(key.extractable, false);
    await assert.rejects(crypto.subtle.exportKey("pkcs8", key), { name: "InvalidAccessError" });
  }
  const again = await importAccountKeys(exportable);
  assert.equal(again.encryption[0]?.keyId, keys.encryption[0]?.keyId);
  const bytes = new Uint8Array([1, 2, 3]);
  const signature = await signSignIn({ key: again.device, bytes });
  assert.deepEqual(signature, await signSignIn({ key: keys.device, bytes }));
});

test("I4: an account's RSA keys have 3072 bits and the exponent 65537, and differ", () => {
  const { signing, encryption, signingKeyId } = accountOf(room.directory, personOf(room, "Alice").account);
  assert.deepEqual([signing.n.length, signing.e, encryption[0]?.key.n.length], [512, "AQAB", 512]);
  assert.notEqual(signingKeyId, encryption[0]?.keyId);
  const { modulusLength } = personOf(room, "Alice").keys.signing.algorithm as RsaKeyAlgorithm;
  assert.equal(modulusLength, 3072);
});

test("I21: the safety number is 60 digits, the same on both sides, and another with any other key", async () => {
  const side = (name: string) => accountOf(room.directory, personOf(room, name).account);
  const [alice, bob] = [side("Alice"), side("Bob")];
  const number = await safetyNumber(alice, bob);
  assert.match(number, /^(?:\d{5} ){11}\d{5}$/);
  assert.equal(await safetyNumber(bob, alice), number);
  for (const key of ["recoveryKeyId", "signingKeyId"] as const) {
    assert.notEqual(await safetyNumber(alice, { ...bob, [key]: alice[key] }), number, key);
    assert.notEqual(await safetyNumber({ ...alice, [key]: bob[key] }, bob), number, key);
  }
});

test("I21: the safety number of two parties does not change from version to version", async () => {
  const party = (id: string, recovery: string, signing: string) =>
    ({
      id: id.repeat(43),
      recoveryKeyId: recovery.repeat(43),
      signingKeyId: signing.repeat(43),
    }) as unknown as Parameters<typeof safetyNumber>[0];
  assert.equal(
    await safetyNumber(party("A", "E", "Q"), party("I", "M", "U")),
    "94798 59345 87454 54447 15584 90635 55865 67923 22302 23231 51856 52536",
  );
});

test("I22: a device's sign-in is verified over server, incarnation, nonce and device", async () => {
  const { device, keys, account } = personOf(room, "Alice");
  const key = accountOf(room.directory, account).devices.get(device)?.key;
  assert(key);
  const of = {
    server: room.server,
    incarnation: randomId(Incarnation),
    nonce: crypto.getRandomValues(new Uint8Array(32)),
    device,
  };
  const signature = await signSignIn({ key: keys.device, bytes: signInBytes(of) });
  assert.equal(await verifySignIn({ key, bytes: signInBytes(of), signature }), true);
  for (const other of [
    { ...of, incarnation: randomId(Incarnation) },
    { ...of, nonce: new Uint8Array(32) },
    { ...of, device: randomId(DeviceId) },
    { ...of, server: (await sha256(new Uint8Array())) as string as typeof of.server },
  ]) {
    assert.equal(await verifySignIn({ key, bytes: signInBytes(other), signature }), false);
  }
  assert.equal(await verifySignIn({ key, bytes: signInBytes(of), signature: signature.slice(1) }), false);
});

test("I23: from an invite's secret the server learns a value that says nothing of the binding", async () => {
  const secret = new Uint8Array(16);
  const admit = await admitOf(secret);
  assert.equal(admit.length, 32);
  assert.equal(await admitHash(admit), await sha256(admit));
  assert.equal(admit.toHex(), "5bfc01e91e3c1c4da4325a79afc5f5f99e6fe15ec82d0832de53d1f44a4fc665");
});

test("I23: the binding proves the joiner's keys to the inviter, and to nobody else", async () => {
  const [alice, bob] = [personOf(room, "Alice"), personOf(room, "Bob")];
  const { genesis } = accountOf(room.directory, bob.account);
  const of = { secret: inviteSecret, genesis, inviter: alice.account, server: room.server };
  assert.equal(await checkInviteBinding(of), true);
  assert.equal(await checkInviteBinding({ ...of, secret: new Uint8Array(16) }), false);
  assert.equal(await checkInviteBinding({ ...of, inviter: bob.account }), false);
  const elsewhere = (await sha256(new Uint8Array())) as string as typeof room.server;
  assert.equal(await checkInviteBinding({ ...of, server: elsewhere }), false);
  assert.equal(await checkInviteBinding({ ...of, genesis: { ...genesis, invite: null } }), false);
  assert(genesis.invite);
  const claimed = { ...genesis, invite: { ...genesis.invite, inviter: bob.account } };
  assert.equal(await checkInviteBinding({ ...of, genesis: claimed }), false);
  assert.equal(await checkInviteBinding({ ...of, genesis: claimed, inviter: bob.account }), false);
});

test("I23: a server that swaps any key of the joiner breaks the binding", async () => {
  const [alice, bob] = [personOf(room, "Alice"), personOf(room, "Bob")];
  const { genesis } = accountOf(room.directory, bob.account);
  const hers = accountOf(room.directory, alice.account).genesis;
  const of = { secret: inviteSecret, inviter: alice.account, server: room.server };
  for (const member of ["signing", "encryption", "recovery", "device"] as const) {
    const swapped = { ...genesis, [member]: hers[member] };
    assert.equal(await checkInviteBinding({ ...of, genesis: swapped }), false, member);
  }
});

test("I3: key ids of the directory are thumbprints of its keys", async () => {
  const alice = accountOf(room.directory, personOf(room, "Alice").account);
  assert.equal(await keyIdOf(alice.signing), alice.signingKeyId);
  assert.equal(await keyIdOf(alice.recovery), alice.recoveryKeyId);
  for (const { key, keyId } of alice.devices.values()) assert.equal(await keyIdOf(key), keyId);
});
