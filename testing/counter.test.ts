import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { readCounter, SAMPLE } from "./counter.ts";

const pathOf = (height: number): string => join(import.meta.dirname, "../videos", `Test card_${height}p.mp4`);

/** Pictures of a sample file, one every `step`, as luma of the given size. */
async function lumaOf(
  height: number,
  step: number,
  [width, rows]: readonly [number, number],
): Promise<Buffer[]> {
  const { stdout } = await promisify(execFile)(
    "ffmpeg",
    [
      ...["-v", "error", "-i", pathOf(height), "-vf", `select=not(mod(n\\,${step})),scale=${width}:${rows}`],
      ...["-vsync", "passthrough", "-pix_fmt", "gray", "-f", "rawvideo", "-"],
    ],
    { encoding: "buffer", maxBuffer: 1 << 28 },
  );
  return Array.from({ length: stdout.length / (width * rows) }, (_, index) =>
    stdout.subarray(index * width * rows, (index + 1) * width * rows),
  );
}

test("V17: each picture of the sample says its frame and rendition, at its own size and scaled", async () => {
  let bytes = 0;
  for (const [rendition, height] of SAMPLE.heights.entries()) {
    bytes += (await stat(pathOf(height))).size;
    const step = [1, 16, 96][rendition] ?? 1;
    const [width, rows] = [[426, 240] as const, [1280, 720] as const, [854, 480] as const][rendition] ?? [
      426, 240,
    ];
    const pictures = await lumaOf(height, step, [width, rows]);
    assert.equal(pictures.length, (SAMPLE.frameRate * SAMPLE.seconds) / step);
    for (const [index, picture] of pictures.entries()) {
      assert.deepEqual(readCounter(picture, width, rows), { frame: index * step, rendition });
    }
  }
  assert.ok(bytes <= 4_000_000, `${bytes} bytes`);
});

test("V17: a counter with a wrong block, or none, is null; RGBA reads as luma does", async () => {
  const [picture] = await lumaOf(240, 576, [426, 240]);
  assert.ok(picture);
  const rgba = new Uint8ClampedArray(426 * 240 * 4);
  for (const [index, value] of picture.entries()) rgba.fill(value, index * 4, index * 4 + 4);
  assert.deepEqual(readCounter(rgba, 426, 240), { frame: 0, rendition: 0 });
  const spoilt = picture.map((value, index) =>
    index % 426 < 120 && index % 426 >= 108 ? 255 - value : value,
  );
  assert.equal(readCounter(spoilt, 426, 240), null);
  assert.equal(readCounter(new Uint8Array(426 * 240).fill(128), 426, 240), null);
});
