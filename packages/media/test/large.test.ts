import assert from "node:assert/strict";
import { open, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { boxesIn } from "../src/boxes.ts";
import { type ByteSource, encodeIndex, mediaSegment, planTitle, readIndex } from "../src/index.ts";
import { openFile } from "../src/node.ts";
import { editBoxes, wideOffsets } from "./boxEdit.ts";
import { assertExactPicture, assertExactSound } from "./exact.ts";
import { collect, makeClip, run, temporaryFolder, writeTitle } from "./judge.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let clip: string;
before(async () => {
  folder = await temporaryFolder();
  clip = await makeClip(
    join(folder.path, "clip.mp4"),
    "-f lavfi -i testsrc2=size=64x36:rate=25:duration=10 -f lavfi -i sine=sample_rate=48000:duration=10",
    "-c:v libx264 -preset veryfast -threads 1 -pix_fmt yuv420p -g 50 -c:a aac -b:a 32k -aac_pns 0",
  );
});
after(async () => {
  await folder[Symbol.asyncDispose]();
});

/** A source that counts its reads. */
function counting(source: ByteSource): ByteSource & { reads: number; bytes: number } {
  const counter = {
    size: source.size,
    reads: 0,
    bytes: 0,
    read: (offset: number, length: number): Promise<Uint8Array> => {
      counter.reads++;
      counter.bytes += length;
      return source.read(offset, length);
    },
  };
  return counter;
}

test("V3: an hour with moov at the end is indexed from its moov and its keyframes' first bytes", async () => {
  const hour = await makeClip(join(folder.path, "hour.mp4"), "-stream_loop 359 -i", clip, "-c copy");
  await using file = openFile(hour);
  const source = counting(file);
  const index = await readIndex(source);
  assert.equal(index.video?.samples.sizes.length, 90_000);
  assert.ok(source.bytes < file.size / 4, `${source.bytes} of ${file.size} bytes read`);
  assert.ok(source.reads < 1_900, `${source.reads} reads`);
  assert.ok(encodeIndex(index).length < 1_200_000);

  const plan = planTitle([{ fileId: hour, index }]);
  const [video] = plan.renditions;
  assert.ok((video?.segments.length ?? 0) >= 1_800);
  const probed = await run(
    "ffprobe",
    "-v error -select_streams v:0 -show_entries stream=duration_ts -of csv=p=0",
    [hour],
  );
  assert.equal(video?.segments.at(-1)?.to, Number(probed));
  source.reads = 0;
  const segment = await collect(mediaSegment(plan, "v0", 1_234, source));
  assert.equal(segment.length, video?.segments[1_234]?.bytes);
  assert.ok(source.reads <= 5, `${source.reads} reads for a segment of 2 s`);
});

test("V3: 64-bit sizes and offsets: largesize, co64, beyond 4 GiB", async () => {
  const bytes = await readFile(clip);
  const shift = 5 * 2 ** 30;
  const path = join(folder.path, "far.mp4");
  const file = await open(path, "w");
  let at = 0;
  for (const { content, type } of boxesIn(bytes)) {
    if (type === "mdat") {
      const header = Buffer.alloc(16);
      header.writeUInt32BE(1);
      header.write("mdat", 4, "latin1");
      header.writeBigUInt64BE(BigInt(16 + shift + content.length - 8), 8);
      await file.write(header, 0, 16, at);
      // The samples keep their distance from the old place: `shift` bytes of hole, less the longer header.
      const old = content.byteOffset - bytes.byteOffset;
      await file.write(content, 0, content.length, old + shift);
      at += 16 + shift + content.length - 8;
      assert.equal(at, old + shift + content.length);
    } else if (type === "moov") {
      const moov = editBoxes(
        bytes.subarray(content.byteOffset - bytes.byteOffset - 8).subarray(0, content.length + 8),
        (name, inner) => (name === "stco" ? ["co64", wideOffsets(inner, shift)] : [name, inner]),
      );
      await file.write(moov, 0, moov.length, at);
      at += moov.length;
    } else {
      const raw = bytes.subarray(
        content.byteOffset - bytes.byteOffset - 8,
        content.byteOffset - bytes.byteOffset + content.length,
      );
      await file.write(raw, 0, raw.length, at);
      at += raw.length;
    }
  }
  await file.close();
  assert.ok((await stat(path)).size > shift);
  const title = await writeTitle(join(folder.path, "far-out"), [path]);
  await assertExactPicture(title, "v0");
  await assertExactSound(title, "a0", "a:0");
});
