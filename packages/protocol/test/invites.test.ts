import assert from "node:assert/strict";
import { test } from "node:test";
import {
  AccountId,
  decodeDeterministicCbor,
  decodeInviteLink,
  encodeCbor,
  encodeInviteLink,
  fromBase64url,
  Hash,
  type Invite,
  ServerId,
  toBase64url,
} from "@snug/protocol";
import fc from "fast-check";

const id = (byte: number) => toBase64url(new Uint8Array(32).fill(byte));
const invite: Invite = {
  version: 1,
  addresses: ["https://snug.example:10000", "https://[::1]:10000"],
  server: ServerId.parse(id(1)),
  logKey: { kty: "OKP", crv: "Ed25519", x: id(2) },
  authority: Hash.parse(id(3)),
  checkpoint: `snug/${id(1)}\n3\n${"A".repeat(43)}=\n\n— snug/${id(1)} ${"A".repeat(91)}=\n`,
  inviter: AccountId.parse(id(4)),
  secret: new Uint8Array(16).fill(5),
  once: true,
};
const refused = { name: "SnugError", code: "invite-invalid", message: /not a whole Snug link/ };

test("E8: a link says what its invite says; everything but the address is behind the #", () => {
  const link = encodeInviteLink(invite);
  assert.deepEqual(decodeInviteLink(link), invite);
  assert.deepEqual(decodeInviteLink(`  ${link}\n`), invite);
  assert.deepEqual(decodeInviteLink(link.replace(/.{70}/g, "$&\r\n ")), invite, "broken over lines");
  const mangled = [
    `<${link}>`,
    `“${link}”.`,
    `> ${link.replace(/.{60}/g, "$&\n> ")}\n`,
    `\u2068${link.replace(/.{50}/g, "$&\u200b\u00ad")}\u2069 `,
    `(${link.split("#")[1]})`.slice(1),
  ];
  for (const text of mangled) assert.deepEqual(decodeInviteLink(text), invite, `W18: ${text}`);
  assert.deepEqual(decodeInviteLink(link.slice(link.indexOf("#") + 1)), invite);
  const url = new URL(link);
  assert.deepEqual([url.origin, url.pathname, url.search], ["https://snug.example:10000", "/join", ""]);
  assert(link.length < 500, `${link.length} characters still make a QR code`);
});

test("E8: a setup link may name http://localhost, no inviter and no authority", () => {
  const setup = { ...invite, addresses: ["http://localhost:10000"], inviter: null, authority: null };
  assert.deepEqual(decodeInviteLink(encodeInviteLink(setup)), setup);
});

test("E8: a link cut anywhere, or with a character more, is refused in words", () => {
  const link = encodeInviteLink(invite);
  for (let length = 0; length < link.length; length++) {
    assert.throws(() => decodeInviteLink(link.slice(0, length)), refused, `${length}`);
  }
  assert.throws(() => decodeInviteLink(`${link}A`), refused);
  assert.throws(() => decodeInviteLink(`${link}#`), refused);
});

test("E8: other versions, addresses, sizes of parts, spellings and lengths are refused", () => {
  const whole = decodeDeterministicCbor(fromBase64url(encodeInviteLink(invite).split("#")[1] ?? ""));
  assert(Array.isArray(whole));
  const linkOf = (value: unknown) => `https://a/join#${toBase64url(encodeCbor(value))}`;
  assert.deepEqual(decodeInviteLink(linkOf(whole)), invite);
  const bends: [at: number, value: unknown][] = [
    [0, 2],
    [1, []],
    [1, ["javascript:alert(1)"]],
    [1, ["https://a/b"]],
    [1, ["http://snug.example"]],
    [1, ["http://localhost.example"]],
    [1, ["https://a b"]],
    [2, new Uint8Array(31)],
    [3, new Uint8Array(33)],
    [4, "nobody"],
    [5, [-1, new Uint8Array(32), new Uint8Array(68)]],
    [5, [1, new Uint8Array(32), new Uint8Array(67)]],
    [6, "nobody"],
    [7, new Uint8Array(15)],
    [8, 1],
    [9, "more"],
  ];
  for (const [at, value] of bends) {
    const bent = [...whole];
    bent[at] = value;
    assert.throws(() => decodeInviteLink(linkOf(bent)), refused, `part ${at}`);
  }
  assert.throws(() => decodeInviteLink(`https://a/join#${"A".repeat(4_097)}`), refused);
  const [head, ...rest] = encodeCbor(whole);
  const longer = new Uint8Array([0x98, (head ?? 0) & 31, ...rest]);
  assert.throws(() => decodeInviteLink(`#${toBase64url(longer)}`), refused);
});

test("E8: an invite carries a checkpoint of its own server, or is not made", () => {
  const foreign = invite.checkpoint.replaceAll(`snug/${id(1)}`, `snug/${id(7)}`);
  for (const checkpoint of [foreign, "", invite.checkpoint.slice(1), `${invite.checkpoint}\n`]) {
    assert.throws(() => encodeInviteLink({ ...invite, checkpoint }), RangeError);
  }
});

test("E8: any text is a link or refused", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.base64String().map((text) => `https://a/join#${text}`),
      ),
      (text) => {
        assert.throws(() => decodeInviteLink(text), refused);
      },
    ),
    { seed: 20_261_122, numRuns: 500 },
  );
});
