import assert from "node:assert/strict";
import { test } from "node:test";
import {
  AccountId,
  decodeInviteLink,
  encodeCbor,
  encodeInviteLink,
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
  assert.deepEqual(decodeInviteLink(link.slice(link.indexOf("#") + 1)), invite);
  const url = new URL(link);
  assert.deepEqual([url.origin, url.pathname, url.search], ["https://snug.example:10000", "/join", ""]);
  assert(link.length < 1_600, `${link.length} characters still make a QR code`);
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

test("E8: other versions, addresses, secrets, members, spellings and sizes are refused", () => {
  const bends: object[] = [
    { version: 2 },
    { addresses: [] },
    { addresses: ["javascript:alert(1)"] },
    { addresses: ["https://a/b"] },
    { addresses: ["https://a b"] },
    { secret: new Uint8Array(15) },
    { logKey: { kty: "OKP", crv: "Ed25519", x: "short" } },
    { inviter: "nobody" },
    { checkpoint: "x".repeat(1_025) },
    { more: 1 },
  ];
  const linkOf = (value: unknown) => `https://a/join#${toBase64url(encodeCbor(value))}`;
  assert.deepEqual(decodeInviteLink(linkOf(invite)), invite);
  for (const bend of bends) {
    assert.throws(() => decodeInviteLink(linkOf({ ...invite, ...bend })), refused, JSON.stringify(bend));
  }
  assert.throws(() => decodeInviteLink(`https://a/join#${"A".repeat(4_097)}`), refused);
  const [head, ...rest] = encodeCbor(invite);
  const longer = new Uint8Array([0xb8, (head ?? 0) & 31, ...rest]);
  assert.throws(() => decodeInviteLink(`#${toBase64url(longer)}`), refused);
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
    { numRuns: 500 },
  );
});
