import assert from "node:assert/strict";
import { test } from "node:test";
import { sha256 } from "@snug/protocol";
import { sha256Bytes as byNode } from "../src/node/sha256.ts";
import { sha256Bytes as byWebCrypto } from "../src/sha256.ts";

test("SHA-256 is one and the same by Node and by WebCrypto (FIPS 180-4)", async () => {
  const abc = new TextEncoder().encode("abc");
  const known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  assert.equal((await byNode(abc)).toHex(), known);
  assert.equal(await sha256(abc), "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
  for (const length of [0, 1, 55, 56, 64, 65, 16_384]) {
    const bytes = crypto.getRandomValues(new Uint8Array(length + 1)).subarray(1);
    assert.deepEqual(await byNode(bytes), await byWebCrypto(bytes));
  }
});
