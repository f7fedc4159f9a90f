import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";
import { inboxOf } from "@snug/crypto/identity";
import type { AccountId } from "@snug/protocol";

test("I30: an inbox's id is the first half of a hash over its label and the account", async () => {
  const account = "A".repeat(43) as AccountId;
  // CBOR by hand: an array of two texts, of 12 and 43 bytes.
  const bytes = Buffer.concat([
    Buffer.from([0x82, 0x6c]),
    Buffer.from("snug/1 inbox"),
    Buffer.from([0x78, 43]),
    Buffer.from(account),
  ]);
  const expected = hash("sha256", bytes, "buffer").subarray(0, 16).toString("base64url");
  assert.equal(await inboxOf(account), expected);
});
