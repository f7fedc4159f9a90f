import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { findBox } from "../src/boxes.ts";
import { initSegment, mediaSegment, planTitle, readIndex } from "../src/index.ts";
import { openFile } from "../src/node.ts";

const SAMPLE = join(import.meta.dirname, "../../../videos/Test card_720p.mp4");

test("V7: video has no edit list, sound one that hides its priming", async () => {
  await using source = openFile(SAMPLE);
  const plan = planTitle([{ fileId: SAMPLE, index: await readIndex(source) }]);
  assert.equal(findBox(initSegment(plan, "v0"), "moov", "trak", "edts"), undefined);
  const elst = findBox(initSegment(plan, "a0"), "moov", "trak", "edts", "elst");
  assert.equal(Buffer.from(elst ?? []).toString("hex"), "00000000000000010000000000000400" + "00010000");
  assert.match(Buffer.from(initSegment(plan, "a0")).toString("latin1"), /iTunSMPB.*00000000 00000400 /s);
});

test("V10: a segment is chunks of at most 0.5 s, with 64-bit tfdt, moof as base, signed offsets", async () => {
  await using source = openFile(SAMPLE);
  const plan = planTitle([{ fileId: SAMPLE, index: await readIndex(source) }]);
  for (const { id, segments, timescale } of plan.renditions) {
    let time = segments[3]?.from ?? 0;
    let chunks = 0;
    for await (const chunk of mediaSegment(plan, id, 3, source)) {
      const moof = findBox(chunk, "moof", "traf") ?? new Uint8Array(0);
      const tfdt = Buffer.from(findBox(moof, "tfdt") ?? []);
      assert.equal(tfdt.readUInt8(0), 1);
      assert.equal(tfdt.readBigUInt64BE(4), BigInt(time));
      assert.equal(Buffer.from(findBox(moof, "tfhd") ?? []).readUInt32BE(0), 0x02_0020);
      const trun = Buffer.from(findBox(moof, "trun") ?? []);
      assert.equal(trun.readUInt8(0), 1);
      const entry = id === "v0" ? 16 : 8;
      let ticks = 0;
      for (let at = 12; at < trun.length; at += entry) ticks += trun.readUInt32BE(at);
      assert.ok(ticks <= timescale / 2);
      assert.equal(findBox(chunk, "styp") !== undefined, chunks === 0);
      time += ticks;
      chunks++;
    }
    assert.equal(time, segments[3]?.to);
    assert.ok(chunks >= 4);
  }
});

test("V10: an unknown rendition or segment is a RangeError", async () => {
  await using source = openFile(SAMPLE);
  const plan = planTitle([{ fileId: SAMPLE, index: await readIndex(source) }]);
  assert.throws(() => initSegment(plan, "v1"), RangeError);
  for (const number of [-1, 12, 0.5]) {
    await assert.rejects(mediaSegment(plan, "v0", number, source).next(), RangeError, String(number));
  }
});
