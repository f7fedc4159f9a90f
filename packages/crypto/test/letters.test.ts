import assert from "node:assert/strict";
import { before, test } from "node:test";
import { applyStatement, type Directory, normalizeName } from "@snug/crypto/identity";
import { openLetter, sealLetter } from "@snug/crypto/sealing";
import {
  type AccountId,
  DeviceId,
  type LetterPayload,
  letterBuckets,
  limits,
  MessageId,
  randomId,
  SnugError,
  textContent,
  toBase64url,
} from "@snug/protocol";
import fc from "fast-check";
import { CompactEncrypt, CompactSign, compactDecrypt, FlattenedEncrypt } from "jose";
import { oaepKey } from "../src/identity/keys.ts";
import type { LetterRow } from "../src/sealing/letters.ts";
import {
  accountOf,
  deviceEntry,
  letterBetween,
  makeRoom,
  nextStatement,
  openerOf,
  personOf,
  type Room,
  refused,
  rotationBody,
} from "./people.ts";

let room: Room;
before(async () => {
  room = await makeRoom(["Alice", "Bob", "Carol"]);
});

const ascii = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytesOf = (text: string) => new TextEncoder().encode(text);
const openAs = (name: string, sealed: Uint8Array, row: LetterRow, directory: Directory = room.directory) =>
  openLetter(sealed, { ...openerOf(room, name), directory, row });

type Bend = {
  readonly payload?: Record<string, unknown>;
  readonly bytes?: (payload: Uint8Array) => Uint8Array;
  readonly sign?: Record<string, unknown>;
  readonly seal?: Record<string, unknown>;
  readonly signer?: CryptoKey;
  readonly signed?: (jws: string) => string;
};

function pad(json: string): Uint8Array {
  const bytes = bytesOf(json);
  const padded = new Uint8Array(letterBuckets.find((bucket) => bucket >= bytes.length) ?? 0).fill(0x20);
  padded.set(bytes);
  return padded;
}

/** A letter from Alice to Bob made by hand with jose, with something bent. */
async function bent(bend: Bend) {
  const { letter, row } = letterBetween(room, "Alice", "Bob", "hello");
  const { from, to } = letter;
  const payload = {
    version: 1,
    server: letter.server,
    from: { account: from.account, device: from.device },
    to: { account: to.account, key: to.keyId },
    copyOf: null,
    id: letter.id,
    counter: letter.counter,
    time: letter.time,
    checkpoint: "",
    content: letter.content,
    ...bend.payload,
  };
  const padded = pad(JSON.stringify(payload));
  const jws = await new CompactSign(bend.bytes ? bend.bytes(padded) : padded)
    .setProtectedHeader({ alg: "EdDSA", kid: from.deviceKeyId, typ: "snug-letter-signed", ...bend.sign })
    .sign(bend.signer ?? from.key);
  const header = { alg: "RSA-OAEP-256", enc: "A256GCM", kid: to.keyId, typ: "snug-letter", ...bend.seal };
  const jwe = await new CompactEncrypt(bytesOf(bend.signed ? bend.signed(jws) : jws))
    .setProtectedHeader(header)
    .encrypt(await oaepKey(to.key));
  return { sealed: bytesOf(jwe), row };
}

async function refusedBent(bend: Bend, check: (error: unknown) => boolean): Promise<void> {
  const { sealed, row } = await bent(bend);
  await assert.rejects(openAs("Bob", sealed, row), check);
}

test("L1: a letter made by hand with jose opens: the bent ones below fail for what is bent", async () => {
  const { sealed, row } = await bent({});
  const opened = await openAs("Bob", sealed, row);
  assert.deepEqual(opened.content, textContent("hello"));
});

test("L6: a letter brings everything that was sealed", async () => {
  const { letter, row } = letterBetween(room, "Alice", "Bob", "Grüße 🌻\n\tzwei Zeilen");
  const opened = await openAs("Bob", await sealLetter({ ...letter, checkpoint: "the newest" }), row);
  assert.deepEqual(opened, {
    from: personOf(room, "Alice").account,
    device: personOf(room, "Alice").device,
    id: row.id,
    counter: 1,
    time: 4_000,
    checkpoint: "the newest",
    content: textContent("Grüße 🌻\n\tzwei Zeilen"),
    copyOf: null,
    senderEnd: null,
  });
});

test("L6: any text of the rules comes back as it was", async () => {
  const character = fc.oneof(
    fc.constantFrom("\t", "\n", '"', "\\", " ", "\u2028", "𝄞"),
    fc.string({ minLength: 1 }),
  );
  const text = fc
    .array(character, { minLength: 1, maxLength: 200 })
    .map((parts) => [...parts.join("")].filter((c) => /[\t\n]|\P{C}/u.test(c)).join("") || "x");
  await fc.assert(
    fc.asyncProperty(text, async (written) => {
      const { row, seal } = letterBetween(room, "Alice", "Bob", written);
      const opened = await openAs("Bob", await seal(), row);
      assert.equal(opened.content.parts[0]?.text, written);
    }),
    { seed: 20_261_122, numRuns: 30 },
  );
});

test("L4: nobody else opens a letter, and the sender doesn't either", async () => {
  const { row, seal } = letterBetween(room, "Alice", "Bob", "for Bob");
  const sealed = await seal();
  for (const name of ["Carol", "Alice"]) {
    await assert.rejects(
      openAs(name, sealed, row),
      refused("forbidden", /a key that this device doesn't hold/),
    );
  }
});

test("L4: a letter sealed to one key and naming another is not opened", async () => {
  const { letter, row } = letterBetween(room, "Alice", "Bob", "hello");
  const { to } = letterBetween(room, "Alice", "Carol", "hello").letter;
  const sealed = await sealLetter({ ...letter, to: { ...to, keyId: letter.to.keyId } });
  await assert.rejects(openAs("Bob", sealed, row), refused("forbidden", /doesn't open/));
});

test("L1: a letter cut at any byte is refused", async () => {
  const { row, seal } = letterBetween(room, "Alice", "Bob", "whole or not at all");
  const sealed = await seal();
  for (let length = 0; length < sealed.length; length++) {
    await assert.rejects(openAs("Bob", sealed.subarray(0, length), row), SnugError, `${length} bytes`);
  }
  await assert.rejects(openAs("Bob", bytesOf(`${ascii(sealed)}A`), row), SnugError);
  await assert.rejects(openAs("Bob", bytesOf(`${ascii(sealed)}.`), row), refused("malformed", /6 parts/));
});

test("L1: a letter with any character changed is refused", async () => {
  const { row, seal } = letterBetween(room, "Alice", "Bob", "not a letter of it");
  const sealed = await seal();
  await fc.assert(
    fc.asyncProperty(fc.nat(sealed.length - 1), fc.integer({ min: 0, max: 255 }), async (at, byte) => {
      fc.pre(sealed[at] !== byte);
      const changed = sealed.slice();
      changed[at] = byte;
      await assert.rejects(openAs("Bob", changed, row), SnugError);
    }),
    { seed: 20_261_122, numRuns: 200 },
  );
});

test("L1: bytes that are no letter are refused, whatever they are", async () => {
  const { row } = letterBetween(room, "Alice", "Bob", "x");
  const part = fc.string({ unit: fc.constantFrom(..."AQgw-_.e0{}"), maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 300 }), part.map(bytesOf)), async (bytes) => {
      await assert.rejects(openAs("Bob", bytes, row), SnugError);
    }),
    { seed: 20_261_122, numRuns: 200 },
  );
});

test("L1: a letter with stray bits at the end of a part, or padding, is refused: it has one spelling", async () => {
  const { row, seal } = letterBetween(room, "Alice", "Bob", "once");
  const sealed = ascii(await seal());
  const last = sealed.at(-1) ?? "";
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const stray = sealed.slice(0, -1) + alphabet.charAt(alphabet.indexOf(last) + 1);
  for (const other of [stray, `${sealed}==`]) {
    await assert.rejects(openAs("Bob", bytesOf(other), row), refused("malformed", /not base64url/));
  }
});

test("L1: a letter behind a byte order mark, or with any byte that is not ASCII, is refused", async () => {
  const { row, seal } = letterBetween(room, "Alice", "Bob", "plain");
  const sealed = await seal();
  for (const other of [new Uint8Array([0xef, 0xbb, 0xbf, ...sealed]), new Uint8Array([...sealed, 0x80])]) {
    await assert.rejects(openAs("Bob", other, row), refused("malformed", /not ASCII/));
  }
});

test("L1: above 248 KiB nothing is looked at", async () => {
  const { row } = letterBetween(room, "Alice", "Bob", "x");
  const large = new Uint8Array(limits.sealed + 1).fill(0x41);
  await assert.rejects(openAs("Bob", large, row), refused("too-large", /253953 bytes/));
});

test("L2: a seal with another alg, enc or typ is refused", async () => {
  const check = (member: string) => refused("malformed", new RegExp(`the seal's header has .* as ${member}`));
  await refusedBent({ seal: { enc: "A128GCM" } }, check("enc"));
  await refusedBent({ seal: { enc: "A256CBC-HS512" } }, check("enc"));
  await refusedBent({ seal: { typ: "JWT" } }, check("typ"));
  await refusedBent({ seal: { typ: "snug-letter-signed" } }, check("typ"));
  const { sealed, row } = await bent({});
  const [, ...rest] = ascii(sealed).split(".");
  const { letter } = letterBetween(room, "Alice", "Bob", "x");
  for (const alg of ["RSA-OAEP", "RSA1_5", "dir", "none", "RSA-OAEP-512"]) {
    const header = { alg, enc: "A256GCM", kid: letter.to.keyId, typ: "snug-letter" };
    const renamed = [toBase64url(bytesOf(JSON.stringify(header))), ...rest].join(".");
    await assert.rejects(openAs("Bob", bytesOf(renamed), row), check("alg"));
  }
});

test("L2: a seal with a header more, less, twice, or not an object is refused", async () => {
  for (const more of [{ cty: "JWT" }, { jku: "https://x.invalid" }, { apu: "AA" }]) {
    await refusedBent({ seal: more }, refused("malformed", /other members than kid, alg, enc, typ/));
  }
  const { sealed, row } = await bent({});
  const [first = "", ...rest] = ascii(sealed).split(".");
  const header = ascii(Uint8Array.fromBase64(first, { alphabet: "base64url" }));
  const others = [
    header.replace(/,"typ":"[^"]*"/, ""),
    header.replace('"alg":', '"alg":"none","alg":'),
    header.replace("{", '{"__proto__":{},'),
    header.replace("{", "{ "),
    `[${header}]`,
    '"text"',
    "null",
    "",
  ];
  for (const other of others) {
    const renamed = [toBase64url(bytesOf(other)), ...rest].join(".");
    await assert.rejects(openAs("Bob", bytesOf(renamed), row), refused("malformed", /header/), other);
  }
});

test("L2: a JSON-form JWE, and unprotected headers with it, are refused", async () => {
  const { letter, row } = letterBetween(room, "Alice", "Bob", "x");
  const flattened = await new FlattenedEncrypt(bytesOf("x"))
    .setProtectedHeader({ alg: "RSA-OAEP-256", enc: "A256GCM", kid: letter.to.keyId, typ: "snug-letter" })
    .encrypt(await oaepKey(letter.to.key));
  const sealed = bytesOf(JSON.stringify(flattened));
  await assert.rejects(openAs("Bob", sealed, row), refused("malformed", /1 parts/));
});

test("L3: a signature with another alg, typ, key id, or a header more is refused", async () => {
  await refusedBent(
    { sign: { alg: "Ed25519" } },
    refused("malformed", /signature's header has "Ed25519" as alg/),
  );
  await refusedBent({ sign: { typ: "JWT" } }, refused("malformed", /signature's header has "JWT" as typ/));
  await refusedBent({ sign: { cty: "x" } }, refused("malformed", /other members than kid, alg, typ/));
  await refusedBent({ sign: { b64: true, crit: ["b64"] } }, refused("malformed", /other members/));
  const carols = accountOf(room.directory, personOf(room, "Carol").account).signingKeyId;
  await refusedBent({ sign: { kid: carols } }, refused("forbidden", /another key than its sender's/));
  const none = toBase64url(bytesOf(JSON.stringify({ alg: "none", kid: carols, typ: "snug-letter-signed" })));
  await refusedBent(
    { signed: (jws) => `${none}.${jws.split(".")[1]}.` },
    refused("malformed", /has "none" as alg/),
  );
});

test("L5: a letter signed by somebody else, or not signed over its own payload, is refused", async () => {
  const carol = personOf(room, "Carol");
  await refusedBent({ signer: carol.keys.device }, refused("forbidden", /signature is wrong/));
  const { sealed: second } = await bent({ payload: { counter: 2 } });
  const inner = ascii(
    (await compactDecrypt(second, personOf(room, "Bob").keys.encryption[0]?.key ?? fail())).plaintext,
  );
  await refusedBent(
    { signed: (jws) => [jws.split(".")[0], inner.split(".")[1], jws.split(".")[2]].join(".") },
    refused("forbidden", /signature is wrong/),
  );
});

function fail(): never {
  throw new Error("a key is missing");
}

test("L5: a row that says another sender than the letter's is refused: no forged names", async () => {
  const { row, seal } = letterBetween(room, "Alice", "Bob", "from Alice");
  const sealed = await seal();
  const carol = personOf(room, "Carol");
  const forged = { ...row, account: carol.account, device: carol.device };
  await assert.rejects(openAs("Bob", sealed, forged), refused("forbidden", /another key than its sender's/));
});

test("L5: a letter by a device that the directory doesn't have says so, since the directory may be old", async () => {
  const { row, seal } = letterBetween(room, "Alice", "Bob", "x");
  const sealed = await seal();
  await assert.rejects(
    openAs("Bob", sealed, { ...row, device: randomId(DeviceId) }),
    refused("not-found", /doesn't have/),
  );
  const stranger = { ...row, account: toBase64url(new Uint8Array(32)) as AccountId };
  await assert.rejects(openAs("Bob", sealed, stranger), refused("not-found", /doesn't have/));
});

test("L6: a payload that is not exactly of its form is refused", async () => {
  const check = refused("malformed", /not of its form/);
  const content = textContent("hello");
  for (const payload of [
    { extra: 1 },
    { version: "1" },
    { version: 0 },
    { copyOf: undefined },
    { id: undefined },
    { id: "short" },
    { counter: 0 },
    { counter: 1.5 },
    { time: -1 },
    { time: Date.UTC(10_000) },
    { time: Number.MAX_SAFE_INTEGER },
    { content: { ...content, topic: "\ufeff" } },
    { checkpoint: "x".repeat(1025) },
    { from: { account: personOf(room, "Alice").account } },
    { content: { ...content, more: null } },
    { content: { ...content, parts: [] } },
    { content: { ...content, parts: [...content.parts, ...content.parts] } },
    { content: { ...content, parts: [{ type: "text/html", text: "<b>" }] } },
  ]) {
    await refusedBent({ payload }, check);
  }
  const prototype = (bytes: Uint8Array) =>
    pad(ascii(bytes).trimEnd().replace("{", '{"__proto__":{"more":1},'));
  await refusedBent({ bytes: prototype }, check);
  await refusedBent({ payload: { version: 2, extra: 1 } }, refused("upgrade", /version 2/));
});

test("L6: a payload that is not JSON in UTF-8 is refused", async () => {
  const check = refused("malformed", /not JSON in UTF-8/);
  await refusedBent({ bytes: () => new Uint8Array(1024) }, check);
  await refusedBent({ bytes: (bytes) => bytes.with(20, 0xff) as Uint8Array }, check);
  await refusedBent({ bytes: (bytes) => bytesOf(`\ufeff${ascii(bytes).slice(0, -3)}`) }, check);
  await refusedBent({ bytes: (bytes) => bytes.with(1023, 0x7d) as Uint8Array }, check);
});

test("L7: payloads have the size of a bucket, so that short texts look alike; any other size is refused", async () => {
  const sizes = new Set<number>();
  for (const text of ["a", "b".repeat(80), "c".repeat(200)]) {
    sizes.add((await letterBetween(room, "Alice", "Bob", text).seal()).length);
  }
  assert.equal(sizes.size, 1);
  await refusedBent(
    { bytes: (bytes) => bytes.slice(0, 1023) },
    refused("malformed", /not padded to a bucket/),
  );
  await refusedBent(
    { bytes: (bytes) => new Uint8Array([...bytes, 0x20]) },
    refused("malformed", /1025 bytes is not padded/),
  );
});

test("L8: id, counter, sender, recipient and server inside the seal are those outside", async () => {
  const { account, device } = personOf(room, "Carol");
  const alice = personOf(room, "Alice");
  const { keyId } = letterBetween(room, "Bob", "Carol", "x").letter.to;
  const bobs = letterBetween(room, "Carol", "Bob", "x").letter.to;
  const table: [Partial<Record<keyof LetterPayload, unknown>>, RegExp][] = [
    [{ id: randomId(MessageId) }, /another id/],
    [{ counter: 2 }, /another counter/],
    [{ from: { account, device } }, /another sender/],
    [{ from: { account: alice.account, device } }, /another sender/],
    [{ from: { account, device: alice.device } }, /another sender/],
    [{ to: { account, key: keyId } }, /somebody else/],
    [{ to: { account, key: bobs.keyId } }, /somebody else/],
    [{ to: { account: bobs.account, key: keyId } }, /somebody else/],
    [{ server: account }, /another server/],
  ];
  for (const [payload, why] of table) await refusedBent({ payload }, refused("forbidden", why));
});

test("L8: a letter handed on by its recipient to somebody else is refused there", async () => {
  const { row, seal } = letterBetween(room, "Alice", "Bob", "between us");
  const keys = personOf(room, "Bob").keys.encryption[0]?.key ?? fail();
  const { plaintext } = await compactDecrypt(await seal(), keys);
  const { to } = letterBetween(room, "Alice", "Carol", "x").letter;
  const forwarded = await new CompactEncrypt(plaintext)
    .setProtectedHeader({ alg: "RSA-OAEP-256", enc: "A256GCM", kid: to.keyId, typ: "snug-letter" })
    .encrypt(await oaepKey(to.key));
  await assert.rejects(
    openAs("Carol", bytesOf(forwarded), row),
    refused("forbidden", /written to somebody else/),
  );
});

test("L9: what was sent before its sender's end is opened and marked; what may not have been, or knows of the end, is refused", async () => {
  const { account, device } = personOf(room, "Alice");
  // Alice rules: leaving and ending a device of her own are statements of her chain, removing Bob one about another.
  const after = async (kind: "device-revoke" | "remove", directory = room.directory) => {
    const body = kind === "remove" ? {} : { device };
    const statement = await nextStatement({ ...room, directory }, "Alice", kind, body);
    return (await applyStatement(directory, statement)).directory;
  };
  const { size } = room.directory;
  const ended = await after("device-revoke");
  const left = await after("remove");
  const removal = await nextStatement(room, "Alice", "account-remove", {
    account: personOf(room, "Bob").account,
  });
  const removed = (await applyStatement(room.directory, removal)).directory;
  const fromAlice = letterBetween(room, "Alice", "Bob", "x");
  const fromBob = letterBetween(room, "Bob", "Carol", "y");
  const known = (leaves: number) => `snug/${room.server}\n${leaves}\n${"A".repeat(43)}=\n\n— someone x\n`;
  const cases = [
    ["device", ended, fromAlice, "Bob"],
    ["left", left, fromAlice, "Bob"],
    // The first end counts.
    ["device", await after("remove", ended), fromAlice, "Bob"],
    ["removed", removed, fromBob, "Carol"],
  ] as const;
  for (const [how, directory, { letter, row }, reader] of cases) {
    const open = async (checkpoint: string, mayPrecede: (leaves: number) => boolean) =>
      openLetter(await sealLetter({ ...letter, checkpoint }), {
        ...openerOf(room, reader),
        directory,
        row,
        mayPrecede,
      });
    const asked: number[] = [];
    const opened = await open(known(size), (leaves) => asked.push(leaves) > 0);
    assert.equal(opened.senderEnd, how);
    assert.deepEqual(asked, [size], "asked of the first end only");
    assert.equal((await open("", () => true)).senderEnd, how);
    await assert.rejects(
      open("", () => false),
      refused("forbidden", /before it was sent/),
    );
    await assert.rejects(
      open(known(size + 1), () => true),
      refused("forbidden", /before it was sent/),
    );
  }
  const opened = await openAs("Bob", await fromAlice.seal(), fromAlice.row);
  assert.equal(opened.senderEnd, null);
  assert.deepEqual(accountOf(ended, account).devices.get(device)?.endedAt, size);
});

test("L9: a device whose time ended writes nothing more, by either clock", async () => {
  const { entry } = await deviceEntry(10_000);
  const pair = await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
  const raw = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  const key = { ...entry.key, x: toBase64url(raw) };
  const { directory } = await applyStatement(
    room.directory,
    await nextStatement(room, "Alice", "device-add", { ...entry, key }),
  );
  const deviceKeyId = accountOf(directory, personOf(room, "Alice").account).devices.get(entry.device)?.keyId;
  assert(deviceKeyId);
  const { letter, row } = letterBetween(room, "Alice", "Bob", "lent");
  const from = { account: letter.from.account, device: entry.device, key: pair.privateKey, deviceKeyId };
  const open = async (time: number, accepted: number) =>
    openAs(
      "Bob",
      await sealLetter({ ...letter, from, time }),
      { ...row, device: entry.device, accepted },
      directory,
    );
  await open(9_999, 9_999);
  await assert.rejects(open(10_000, 5_000), refused("forbidden", /time had ended/));
  await assert.rejects(open(5_000, 10_000), refused("forbidden", /time had ended/));
});

test("L10: 64 KiB of text are taken, one byte more is not, by sender nor by reader", async () => {
  for (const text of ["x".repeat(65_536), '"'.repeat(65_536), "\n".repeat(65_536), "🌻".repeat(16_384)]) {
    const { row, seal } = letterBetween(room, "Alice", "Bob", text);
    const sealed = await seal();
    assert(sealed.length <= limits.sealed);
    assert.equal((await openAs("Bob", sealed, row)).content.parts[0]?.text, text);
  }
  const { seal } = letterBetween(room, "Alice", "Bob", "x".repeat(65_537));
  await assert.rejects(seal(), refused("too-large", /65537 bytes, at most 65536/));
  await refusedBent(
    { payload: { content: textContent("x".repeat(65_537)) } },
    refused("too-large", /65537 bytes/),
  );
});

test("L10: an empty text, control characters, and half a surrogate pair are refused on both sides", async () => {
  for (const [text, why] of [
    ["", /empty/],
    ["\u001b[2J", /control characters/],
    ["a\r\n", /control characters/],
    ["\u0085", /control characters/],
    ["\ud83c", /surrogate/],
  ] as const) {
    await assert.rejects(letterBetween(room, "Alice", "Bob", text).seal(), refused("malformed", why));
    await refusedBent({ payload: { content: textContent(text) } }, refused("malformed", why));
  }
});

test("L11: a copy sealed to oneself says whom the letter went to, under the same id", async () => {
  const { letter, row } = letterBetween(room, "Alice", "Alice", "to Bob");
  const bob = personOf(room, "Bob").account;
  const opened = await openAs("Alice", await sealLetter({ ...letter, copyOf: bob }), row);
  assert.deepEqual([opened.copyOf, opened.id, opened.from], [bob, row.id, personOf(room, "Alice").account]);
});

test("L11: a copy to somebody else, or of a letter to oneself, is neither sealed nor opened", async () => {
  const carol = personOf(room, "Carol").account;
  const { letter } = letterBetween(room, "Alice", "Bob", "x");
  await assert.rejects(sealLetter({ ...letter, copyOf: carol }), refused("malformed", /copy/));
  await refusedBent({ payload: { copyOf: carol } }, refused("malformed", /copy/));
  const own = letterBetween(room, "Alice", "Alice", "x").letter;
  await assert.rejects(sealLetter({ ...own, copyOf: own.from.account }), refused("malformed", /copy/));
});

test("L12: a replayed letter has the same sender and id; the same id with other bytes is another letter's", async () => {
  const { letter, row } = letterBetween(room, "Alice", "Bob", "once");
  const sealed = await sealLetter(letter);
  const [first, again] = [await openAs("Bob", sealed, row), await openAs("Bob", sealed, row)];
  assert.deepEqual([first.from, first.id], [again.from, again.id]);
  const other = await openAs("Bob", await sealLetter({ ...letter, content: textContent("twice") }), row);
  assert.deepEqual([other.from, other.id], [first.from, first.id]);
  assert.notEqual(other.content.parts[0]?.text, first.content.parts[0]?.text);
});

test("L13: a clock that is hours off, or years, changes nothing", async () => {
  const { letter, row } = letterBetween(room, "Alice", "Bob", "late");
  for (const time of [0, Date.now() + 7 * 3_600_000, Date.UTC(9999, 11, 31)]) {
    assert.equal((await openAs("Bob", await sealLetter({ ...letter, time }), row)).time, time);
  }
});

test("L14: after a rotation letters go to the new key, and those under the old one still open", async () => {
  const before = letterBetween(room, "Alice", "Bob", "before");
  const old = await before.seal();
  const body = await rotationBody();
  const { directory } = await applyStatement(
    room.directory,
    await nextStatement(room, "Bob", "rotate", body),
  );
  const { letter } = letterBetween({ ...room, directory }, "Alice", "Bob", "after");
  assert.deepEqual(letter.to.key, body.encryption[0]);
  assert.notEqual(letter.to.keyId, before.letter.to.keyId);
  assert.equal((await openAs("Bob", old, before.row, directory)).content.parts[0]?.text, "before");
});

test("L15: a letter to oneself is a letter; an unknown name is in no directory", async () => {
  const { row, seal } = letterBetween(room, "Bob", "Bob", "remember");
  const opened = await openAs("Bob", await seal(), row);
  assert.deepEqual([opened.content.parts[0]?.text, opened.copyOf], ["remember", null]);
  assert.equal(room.directory.names.get(normalizeName("Nobody").name), undefined);
});
