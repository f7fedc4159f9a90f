import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  DeviceId,
  decodeCbor,
  encodeCbor,
  Incarnation,
  labels,
  randomId,
  ServerId,
  signInBytes,
  toBase64url,
} from "@snug/protocol";

const spec = readFileSync(new URL("../../../docs/spec/labels.md", import.meta.url), "utf8");

test("S1: the labels of the code are those of docs/spec/labels.md, each once, none within another", () => {
  const written = [...spec.matchAll(/^\| `(snug\/1 [^`]+)` \|/gm)].map(([, label]) => label);
  const used: string[] = Object.values(labels);
  assert.deepEqual(written.toSorted(), used.toSorted());
  assert.equal(new Set(used).size, used.length);
  for (const label of used) {
    assert.match(label, /^snug\/1 [a-z]/);
    const encoded = encodeCbor(label).toHex();
    const within = used.filter((other) => other !== label && encodeCbor(other).toHex().startsWith(encoded));
    assert.deepEqual(within, []);
  }
});

test("S2: a label stands first in what a device signs", () => {
  const bytes = signInBytes({
    server: ServerId.parse(toBase64url(new Uint8Array(32))),
    incarnation: randomId(Incarnation),
    nonce: new Uint8Array(32),
    device: randomId(DeviceId),
  });
  const [label] = decodeCbor(bytes) as unknown[];
  assert.equal(label, labels.signIn);
});

test("S3: no label is MLS's, and what a device signs begins with no length that MLS has", () => {
  for (const label of Object.values(labels)) {
    assert(!label.startsWith("MLS"));
    const [first = 0] = encodeCbor([label]);
    // RFC 9420 §2.1.2: lengths below 64 are one byte with two zero bits on top; MLS's labels are shorter than that.
    assert(first >= 0x80 && first <= 0x9f && first >> 6 !== 0, label);
  }
});
