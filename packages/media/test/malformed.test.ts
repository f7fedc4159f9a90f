import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { boxesIn } from "../src/boxes.ts";
import { concat, u32 } from "../src/boxWriter.ts";
import {
  initSegment,
  MediaError,
  masterPlaylist,
  mediaPlaylist,
  mediaSegment,
  memorySource,
  planTitle,
  readIndex,
} from "../src/index.ts";
import { collect } from "./judge.ts";

const SAMPLE = join(import.meta.dirname, "../../../videos/Test card_240p.mp4");

/** Goes the whole way from bytes to segments. */
async function packageAll(bytes: Uint8Array): Promise<void> {
  const source = memorySource(bytes);
  const plan = planTitle([{ fileId: "file", index: await readIndex(source) }]);
  masterPlaylist(plan);
  for (const { id, segments } of plan.renditions) {
    mediaPlaylist(plan, id);
    initSegment(plan, id);
    for (const { bytes: length, number } of segments.slice(0, 2)) {
      assert.equal((await collect(mediaSegment(plan, id, number, source))).length, length);
    }
  }
}

async function assertOnlyMediaError(bytes: Uint8Array, what: string): Promise<boolean> {
  try {
    await packageAll(bytes);
    return true;
  } catch (error) {
    assert.ok(error instanceof MediaError, `${what}: ${error instanceof Error ? error.stack : error}`);
    return false;
  }
}

test("V4: a file that is cut off anywhere is a MediaError, never a hang or another error", async () => {
  const bytes = new Uint8Array(await readFile(SAMPLE));
  const moovEnd =
    [...boxesIn(bytes)]
      .filter(({ type }) => type === "moov")
      .map(({ content }) => content.byteOffset - bytes.byteOffset + content.length)[0] ?? 0;
  const lengths = [
    ...Array(64).keys(),
    ...Array.from({ length: 300 }, (_, step) => Math.floor((moovEnd * step) / 300)),
    bytes.length - 1,
  ];
  for (const length of lengths) {
    await assert.rejects(packageAll(bytes.subarray(0, length)), MediaError, `cut at ${length}`);
  }
});

test("V4: flipped bytes of moov give a file that plays or a MediaError", async () => {
  const bytes = new Uint8Array(await readFile(SAMPLE));
  const moov = [...boxesIn(bytes)].find(({ type }) => type === "moov")?.content ?? new Uint8Array(0);
  const from = moov.byteOffset - bytes.byteOffset;
  let seed = 20_261_122;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  let refused = 0;
  for (let round = 0; round < 1_500; round++) {
    const copy = bytes.slice();
    for (let flips = 1 + random(3); flips > 0; flips--)
      copy[from + random(moov.length)] = [0, 0xff, 0x80, 1, random(256)][random(5)] ?? 0;
    if (!(await assertOnlyMediaError(copy, `round ${round}`))) refused++;
  }
  assert.ok(refused > 300, `${refused} refused`);
});

test("R4: a length of 0xFFFFFFFF in any field of a table is refused before anything is reserved for it", async () => {
  const bytes = new Uint8Array(await readFile(SAMPLE));
  const before = process.memoryUsage().arrayBuffers;
  for (const type of ["stsz", "stts", "ctts", "stsc", "stco", "stss", "elst", "stsd", "trak", "mdat"]) {
    const at = Buffer.from(bytes.buffer).indexOf(type);
    for (const offset of [-4, 8, 12]) {
      const copy = bytes.slice();
      copy.set(u32(0xffff_ffff), at + offset);
      await assertOnlyMediaError(copy, `${type} ${offset}`);
    }
  }
  const constantSize = bytes.slice();
  constantSize.set(concat(u32(1), u32(0xffff_fff0)), Buffer.from(bytes.buffer).indexOf("stsz") + 8);
  await assert.rejects(packageAll(constantSize), {
    code: "damaged",
    message: /stsz claims 4294967280 samples/,
  });
  assert.ok(process.memoryUsage().arrayBuffers - before < 64 << 20);
});

test("V4: no MP4, an empty file and a file without moov say so", async () => {
  const of = (text: string): Promise<void> => packageAll(new TextEncoder().encode(text));
  await assert.rejects(of("RIFF0000AVI LIST and so on"), {
    code: "unsupported",
    message: "not an MP4 or MOV file",
  });
  await assert.rejects(of(""), { code: "truncated" });
  await assert.rejects(of("\0\0\0\x08ftyp\0\0\0\x08free"), { code: "truncated", message: /no moov/ });
});
