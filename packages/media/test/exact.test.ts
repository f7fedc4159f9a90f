import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { editBoxes } from "./boxEdit.ts";
import { assertExactPicture, assertExactSound } from "./exact.ts";
import { decodedFrames, makeClip, run, temporaryFolder, writeTitle } from "./judge.ts";

const SAMPLE = [240, 720, 1440].map((height) =>
  join(import.meta.dirname, "../../../videos", `Test card_${height}p.mp4`),
);
const PICTURE = (rate: number, seconds: number, size = "128x72"): string =>
  `-f lavfi -i testsrc2=size=${size}:rate=${rate}:duration=${seconds}`;
const TONE = (seconds: number, pitch = 440): string =>
  `-f lavfi -i sine=frequency=${pitch}:sample_rate=48000:duration=${seconds}`;
const X264 = "-c:v libx264 -preset veryfast -threads 1 -pix_fmt yuv420p";
/** Noise substitution depends on the decoder's history, so that only sound without it can be compared. */
const AAC = "-c:a aac -b:a 64k -aac_pns 0";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
before(async () => {
  folder = await temporaryFolder();
});
after(async () => {
  await folder[Symbol.asyncDispose]();
});
const at = (name: string): string => join(folder.path, name);
const outOf = (name: string): string => at(`${name}-out`);

test("V11: the sample title: every segment alone and all together are the source's frames", async () => {
  const title = await writeTitle(outOf("sample"), SAMPLE);
  assert.deepEqual(title.plan.rejected, []);
  for (const id of ["v0", "v1", "v2"])
    await assertExactPicture(title, id, (number) => id === "v0" || number % 6 === 1);
  await assertExactSound(title, "a0", "a:0");
});

test("V12: a segment that is shifted by one tick is found", async () => {
  const title = await writeTitle(outOf("shifted"), SAMPLE.slice(0, 1));
  const path = join(title.folder, "v0", "alone-3.mp4");
  const bytes = await readFile(path);
  const tfdt = bytes.indexOf("tfdt");
  bytes.writeBigUInt64BE(bytes.readBigUInt64BE(tfdt + 8) + 1n, tfdt + 8);
  await writeFile(path, bytes);
  await assert.rejects(assertExactPicture(title, "v0"), /segment 3 alone/);
});

test("V11: three files of different rates with default keyframes share the line, not the boundaries", async () => {
  const files = await Promise.all(
    [24, 25, 30].map((rate, step) =>
      makeClip(
        at(`rate-${rate}.mp4`),
        PICTURE(rate, 20, `${128 + 64 * step}x${72 + 36 * step}`),
        TONE(20),
        X264,
        AAC,
      ),
    ),
  );
  const title = await writeTitle(outOf("rates"), files);
  assert.deepEqual(title.plan.rejected, []);
  assert.deepEqual(
    title.plan.renditions.map(({ id }) => id),
    ["v0", "v1", "v2", "a0"],
  );
  for (const id of ["v0", "v1", "v2"]) await assertExactPicture(title, id);
  await assertExactSound(title, "a0", "a:0");
});

test("V2: sound that begins before the picture is cut off at 0, to the sample", async () => {
  const plain = await makeClip(at("together.mp4"), PICTURE(25, 6), TONE(6), X264, "-g 50", AAC);
  const remux = ["-itsoffset 0.513 -i", plain, "-i", plain, "-map 0:v -map 1:a -c copy"];
  const file = await makeClip(at("early.mp4"), ...remux);
  const title = await writeTitle(outOf("early"), [file]);
  await assertExactPicture(title, "v0");
  const [picture] = (await decodedFrames(file, "v:0")).frames;
  assert.ok((picture?.time ?? 0) > 0, "the clip's picture begins late");
  await assertExactSound(title, "a0", "a:0");
});

test("V2: sound that begins after the picture is preceded by silence, of 1, 2 or 6 channels", async () => {
  for (const channels of [1, 2, 6]) {
    // ffmpeg writes it as an empty edit of 0.7 s less the priming, and then presents the priming too.
    const late = ["-itsoffset 0.7", TONE(3), X264, "-g 50", AAC, `-ac ${channels}`];
    const file = await makeClip(at(`late-${channels}.mp4`), PICTURE(25, 4), ...late);
    const title = await writeTitle(outOf(`late-${channels}`), [file]);
    assert.equal(title.plan.renditions[1]?.channels, channels);
    await assertExactPicture(title, "v0");
    await assertExactSound(title, "a0", "a:0", 32544);
  }
});

test("V7: sound in MOV whose edit list hides 2,112 samples, not whole frames", async () => {
  const plain = await makeClip(at("plain.mov"), PICTURE(25, 5), TONE(5), X264, "-g 50", AAC);
  const file = at("primed.mov");
  const prime = (trak: Uint8Array): Uint8Array => {
    const changed = Buffer.from(trak);
    const elst = changed.indexOf("elst");
    changed.writeUInt32BE(4_977, elst + 12);
    changed.writeUInt32BE(2_112, elst + 16);
    return changed;
  };
  const isSound = (content: Uint8Array): boolean => Buffer.from(content).includes("smhd");
  const primed = editBoxes(await readFile(plain), (type, content) => [
    type,
    type === "trak" && isSound(content) ? prime(content) : content,
  ]);
  await writeFile(file, primed);
  const title = await writeTitle(outOf("primed"), [file]);
  await assertExactPicture(title, "v0");
  await assertExactSound(title, "a0", "a:0");
});

test("V2: a piece taken out at a cut, whose edit list hides sound frames and parts of one, at 44.1 kHz", async () => {
  const tone = TONE(8).replace("48000", "44100");
  const whole = await makeClip(at("whole.mp4"), PICTURE(25, 8), tone, X264, "-g 50 -sc_threshold 0", AAC);
  const piece = await makeClip(at("piece.mp4"), "-ss 2 -i", whole, "-t 3.1 -c copy");
  const title = await writeTitle(outOf("piece"), [piece]);
  await assertExactPicture(title, "v0");
  await assertExactSound(title, "a0", "a:0");
});

test("V1: a file that begins at 5 s has the same line as one that begins at 0", async () => {
  const plain = await makeClip(at("at-0.mp4"), PICTURE(25, 6), TONE(6), X264, "-g 50", AAC);
  const shifted = await makeClip(at("at-5.mp4"), "-i", plain, "-c copy -output_ts_offset 5");
  const title = await writeTitle(outOf("offset"), [plain, shifted]);
  assert.deepEqual(title.plan.rejected, []);
  for (const id of ["v0", "v1"]) await assertExactPicture(title, id);
  await assertExactSound(title, "a0", "a:0");
});

test("V15: two sound tracks are two renditions; their names differ", async () => {
  const file = await makeClip(
    at("two.mp4"),
    ...[PICTURE(25, 5), TONE(5), TONE(5, 880), "-map 0 -map 1 -map 2", X264, "-g 50", AAC],
    "-metadata:s:a:0 language=eng -metadata:s:a:1 language=deu",
  );
  const title = await writeTitle(outOf("two"), [file]);
  await assertExactSound(title, "a0", "a:0");
  await assertExactSound(title, "a1", "a:1");
  const master = await readFile(title.master, "utf8");
  assert.match(master, /NAME="eng",LANGUAGE="en",DEFAULT=YES/);
  assert.match(master, /NAME="deu",LANGUAGE="de",DEFAULT=NO/);
});

test("V11: no sound; whole pictures as ticks; reordered pictures with an edit list in MOV", async () => {
  const file = await makeClip(
    at("silent.mov"),
    ...[
      PICTURE(25, 6),
      X264,
      "-g 50 -bf 4 -x264-params b-pyramid=normal:b-adapt=0 -video_track_timescale 25",
    ],
  );
  const title = await writeTitle(outOf("silent"), [file]);
  assert.deepEqual(
    title.plan.renditions.map(({ id, timescale }) => [id, timescale]),
    [["v0", 25 * 32]],
  );
  await assertExactPicture(title, "v0");
  assert.doesNotMatch(await readFile(title.master, "utf8"), /AUDIO/);
});

test("V11: variable frame rate with reordered pictures keeps each picture's own time", async () => {
  const file = await makeClip(
    at("variable.mp4"),
    PICTURE(30, 10),
    "-vf select='gt(mod(n,7),2)+not(mod(n,5))' -vsync vfr",
    ...[X264, "-g 40 -bf 3"],
  );
  const times = (await decodedFrames(file, "v:0")).frames.map(({ time }) => time);
  assert.ok(
    new Set(times.slice(1).map((time, index) => time - (times[index] ?? 0))).size > 1,
    "the clip varies",
  );
  const title = await writeTitle(outOf("variable"), [file]);
  await assertExactPicture(title, "v0");
});

test("V13: ffmpeg and mpv play the playlist: the source's frames and samples at the source's times", async () => {
  const title = await writeTitle(outOf("players"), SAMPLE.slice(0, 1));
  for (const stream of ["v:0", "a:0"]) {
    const played = await decodedFrames(title.master, stream);
    const source = await decodedFrames(SAMPLE[0] ?? "", stream);
    const seconds = ({ frames, timescale }: typeof played): unknown[] =>
      frames.map(({ hash, time }) => [hash, (time / timescale).toFixed(4)]);
    assert.deepEqual(seconds(played), seconds(source), stream);
  }
  await run("mpv", "--no-config --vo=null --ao=null --ao-null-untimed --untimed --msg-level=all=error", [
    title.master,
  ]);
});
