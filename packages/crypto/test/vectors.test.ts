import assert from "node:assert/strict";
import { test } from "node:test";
import { type Ed25519Public, type Label, type RsaPublic, toBase64url } from "@snug/protocol";
import { derive } from "../src/identity/derive.ts";
import { ed25519PublicOf, keyIdOf, verifyEd25519 } from "../src/identity/keys.ts";
import { appendData, emptyTree, rootOf } from "../src/identity/merkle.ts";
import { noteKeyHash, openNote } from "../src/identity/notes.ts";
import { ed25519FromSeed } from "../src/sealing/recovery.ts";

const hex = (text: string) => Uint8Array.fromHex(text) as Uint8Array<ArrayBuffer>;
const utf8 = (text: string) => new TextEncoder().encode(text) as Uint8Array<ArrayBuffer>;

test("I3: the key id of the RSA key of RFC 7638 §3.1 is the thumbprint printed there", async () => {
  const n =
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3ok" +
    "njhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu" +
    "6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8a" +
    "wapJzKnqDKgw";
  const key: RsaPublic = { kty: "RSA", n, e: "AQAB" };
  assert.equal(await keyIdOf(key), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
});

test("I3: the key id of the Ed25519 key of RFC 8037 A.2 is the thumbprint of A.3", async () => {
  const key: Ed25519Public = ed25519PublicOf("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
  assert.equal(await keyIdOf(key), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
});

test("I16: the roots of the eight-leaf tree of certificate-transparency (RFC 6962)", async () => {
  const leaves = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
  ];
  const roots = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
  ];
  let tree = emptyTree();
  assert.equal((await rootOf(tree)).toHex(), roots[0]);
  for (const [at, leaf] of leaves.entries()) {
    tree = await appendData(tree, hex(leaf));
    assert.equal((await rootOf(tree)).toHex(), roots[at + 1], `${at + 1} leaves`);
  }
});

test("I17: key hashes of signed notes are those of sum.golang.org and of Go's documentation", async () => {
  const golang = "Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
  const neumann = "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
  const hashOf = async (name: string, key: string) => {
    const raw = Uint8Array.fromBase64(key).subarray(1);
    return (await noteKeyHash({ name, public: ed25519PublicOf(toBase64url(raw)) })).toHex();
  };
  assert.equal(await hashOf("sum.golang.org", golang), "033de0ae");
  assert.equal(await hashOf("PeterNeumann", neumann), "c74f20a3");
});

test("I17: the signed note of Go's documentation opens, and not with a letter changed", async () => {
  const raw = Uint8Array.fromBase64("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").subarray(1);
  const by = { name: "PeterNeumann", public: ed25519PublicOf(toBase64url(raw)) };
  const body =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
  const note =
    `${body}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBw` +
    "JnAM=\n";
  assert.equal(await openNote(note, by), body);
  await assert.rejects(openNote(note.replace("answer", "Answer"), by), { code: "forbidden" });
});

test("I5: HKDF without salt gives the output of RFC 5869 A.3", async () => {
  const okm = await derive(new Uint8Array(22).fill(0x0b), "" as Label);
  assert.equal(okm.toHex(), "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
});

test("I5: an Ed25519 key from a seed is that of RFC 8032 §7.1, tests 1 and 2", async () => {
  const seed = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
  const { public: key, key: secret } = await ed25519FromSeed(seed);
  assert.equal(toBase64url(hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")), key.x);
  const signature = new Uint8Array(await crypto.subtle.sign("Ed25519", secret, utf8("")));
  assert.equal(
    signature.toHex(),
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe2465" +
      "5141438e7a100b",
  );
  const second = ed25519PublicOf(
    toBase64url(hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")),
  );
  const signed = hex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb0" +
      "0d291612bb0c00",
  );
  assert.equal(await verifyEd25519(second, hex("72"), signed), true);
  assert.equal(await verifyEd25519(second, hex("73"), signed), false);
});
