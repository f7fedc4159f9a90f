import assert from "node:assert/strict";
import { test } from "node:test";
import {
  AccountId,
  DeviceId,
  fromBase64url,
  Hash,
  Id128,
  Id256,
  randomId,
  sha256,
  toBase64url,
} from "@snug/protocol";
import fc from "fast-check";

const alphabet = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"];

test("E2: base64url is that of RFC 4648, without padding", () => {
  const table: [string, string][] = [
    ["", ""],
    ["f", "Zg"],
    ["fo", "Zm8"],
    ["foo", "Zm9v"],
    ["foob", "Zm9vYg"],
    ["fooba", "Zm9vYmE"],
    ["foobar", "Zm9vYmFy"],
  ];
  for (const [text, encoded] of table) {
    assert.equal(toBase64url(new TextEncoder().encode(text)), encoded);
    assert.equal(new TextDecoder().decode(fromBase64url(encoded)), text);
  }
  assert.equal(toBase64url(new Uint8Array([0xfb, 0xff])), "-_8");
});

test("E2: padding, white space, the other alphabet and impossible lengths are refused", () => {
  for (const text of ["Zg==", "Z g", "Zg\n", "+/8", "Z", "Zm9vY", "Zü"]) {
    assert.throws(() => fromBase64url(text), SyntaxError, text);
  }
});

test("E1: an id has one spelling: of the last character's stray bits none is set", () => {
  for (const [schema, bytes] of [
    [Id128, 16],
    [Id256, 32],
  ] as const) {
    const id = toBase64url(new Uint8Array(bytes).fill(0xa5));
    const spellings = alphabet.map((last) => id.slice(0, -1) + last);
    const taken = spellings.filter((spelling) => schema.safeParse(spelling).success);
    const same = taken.filter((spelling) =>
      fromBase64url(spelling).every((byte, at) => at === bytes - 1 || byte === 0xa5),
    );
    assert.equal(taken.length, bytes === 16 ? 4 : 16);
    assert.equal(new Set(same.map((spelling) => fromBase64url(spelling).toHex())).size, taken.length);
    for (const spelling of taken) assert.equal(toBase64url(fromBase64url(spelling)), spelling);
  }
});

test("E1: ids of other lengths, or with other characters, are none", () => {
  const id = randomId(DeviceId);
  for (const other of [id.slice(1), `${id}A`, `${id}\n`, ` ${id}`, id.replace(/^./, "+"), "", `${id}==`]) {
    assert.equal(DeviceId.safeParse(other).success, false, other);
  }
  assert.equal(AccountId.safeParse(id).success, false);
});

test("E1: every 16 or 32 bytes are an id", async () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      (a, b) => {
        assert.deepEqual(fromBase64url(Id128.parse(toBase64url(a))), a);
        assert.deepEqual(fromBase64url(Id256.parse(toBase64url(b))), b);
      },
    ),
    { seed: 20_261_122 },
  );
  // FIPS 180-4, "abc"
  const hash = Hash.parse(await sha256(new TextEncoder().encode("abc")));
  assert.equal(
    fromBase64url(hash).toHex(),
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  );
});

test("E1: random ids are 128 bits and differ", () => {
  const ids = new Set(Array.from({ length: 1_000 }, () => randomId(DeviceId)));
  assert.equal(ids.size, 1_000);
});
