import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { decodeIndex, encodeIndex, MediaError, type MediaIndex, planTitle, readIndex } from "../src/index.ts";
import { openFile } from "../src/node.ts";

async function sampleIndex(): Promise<MediaIndex> {
  await using source = openFile(join(import.meta.dirname, "../../../videos/Test card_240p.mp4"));
  return await readIndex(source);
}

test("V14: an index survives being kept, and plans alike", async () => {
  const index = await sampleIndex();
  const kept = encodeIndex(index);
  const again = decodeIndex(kept);
  assert.deepEqual(again, index);
  assert.deepEqual(planTitle([{ fileId: "f", index: again }]), planTitle([{ fileId: "f", index }]));
  assert.deepEqual(structuredClone(planTitle([{ fileId: "f", index }])), planTitle([{ fileId: "f", index }]));
  const refused = { ...index, problem: "why", video: null, audio: [] };
  assert.deepEqual(decodeIndex(encodeIndex(refused)), refused);
});

test("V14: a kept index that is cut off, longer, or of another version is refused", async () => {
  const kept = encodeIndex(await sampleIndex());
  for (let length = 0; length < kept.length; length++) {
    assert.throws(() => decodeIndex(kept.subarray(0, length)), MediaError, `cut at ${length}`);
  }
  assert.throws(() => decodeIndex(Uint8Array.of(...kept, 0)), { code: "damaged", message: /surplus/ });
  assert.throws(() => decodeIndex(kept.with(4, 255)), { code: "damaged", message: /version 255/ });
});
