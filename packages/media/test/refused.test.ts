import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { concat } from "../src/boxWriter.ts";
import { memorySource, planTitle, readIndex, type TitlePlan } from "../src/index.ts";
import { openFile } from "../src/node.ts";
import { editBoxes } from "./boxEdit.ts";
import { makeClip, temporaryFolder } from "./judge.ts";

const PICTURE = "-f lavfi -i testsrc2=size=64x36:rate=25:duration=";
const X264 = "-c:v libx264 -preset veryfast -threads 1 -pix_fmt yuv420p";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
before(async () => {
  folder = await temporaryFolder();
});
after(async () => {
  await folder[Symbol.asyncDispose]();
});

async function clip(name: string, ...args: string[]): Promise<string> {
  return makeClip(join(folder.path, name), ...args);
}

async function plan(...paths: string[]): Promise<TitlePlan> {
  const files = [];
  for (const path of paths) {
    await using source = openFile(path);
    files.push({ fileId: path, index: await readIndex(source) });
  }
  return planTitle(files);
}

async function assertRefused(path: string, reason: RegExp): Promise<void> {
  const { rejected, renditions } = await plan(path);
  assert.deepEqual(renditions, []);
  assert.equal(rejected.length, 1);
  assert.match(rejected[0]?.reason ?? "", reason);
}

test("V5: open groups of pictures have no cut, whatever the container's table says", async () => {
  const open = await clip(
    "open.mp4",
    `${PICTURE}14`,
    X264,
    "-g 50 -x264-params open-gop=1:bframes=3:scenecut=0",
  );
  await assertRefused(open, /14\.0 s without a picture to start from/);
});

test("V5: no cut for over 12 s is refused, 12 s is not", async () => {
  const long = await clip("long.mp4", `${PICTURE}13`, X264, "-g 9999 -sc_threshold 0");
  await assertRefused(long, /13\.0 s without a picture to start from/);
  const short = await clip("short.mp4", `${PICTURE}12`, X264, "-g 9999 -sc_threshold 0");
  assert.deepEqual((await plan(short)).rejected, []);
});

test("V6: cuts are found in the bitstream when the container lists no or wrong sync samples", async () => {
  const path = await clip("plain.mp4", `${PICTURE}8`, X264, "-g 50 -sc_threshold 0 -bf 2");
  const bytes = await readFile(path);
  const cutsOf = async (
    change: (content: Uint8Array) => readonly [string, Uint8Array] | null,
  ): Promise<number[]> => {
    const edited = editBoxes(bytes, (type, content) => (type === "stss" ? change(content) : [type, content]));
    const index = await readIndex(memorySource(edited));
    return [...(index.video?.cuts ?? [])];
  };
  const cuts = [0, 50, 100, 150];
  assert.deepEqual(await cutsOf((content) => ["stss", content]), cuts);
  assert.deepEqual(await cutsOf(() => null), cuts, "no table: every sample would be a sync sample");
  const wrong = concat([0, 0, 0, 0], [0, 0, 0, 2], [0, 0, 0, 1], [0, 0, 0, 8]);
  assert.deepEqual(await cutsOf(() => ["stss", wrong]), [0], "sample 8 is listed, but is no IDR");
});

test("V5: other codecs, several sample descriptions and fragmented files are listed with the reason", async () => {
  await assertRefused(
    await clip(
      "hevc.mp4",
      `${PICTURE}1`,
      "-c:v libx265 -preset ultrafast -x265-params log-level=none -tag:v hvc1",
    ),
    /video codec hvc1/,
  );
  const ac3 = await clip("ac3.mp4", `${PICTURE}1`, "-f lavfi -i sine=duration=1", X264, "-c:a ac3");
  await assertRefused(ac3, /sound codec ac-3/);
  const mp3 = await clip("mp3.mp4", `${PICTURE}1`, "-f lavfi -i sine=duration=1", X264, "-c:a libmp3lame");
  await assertRefused(mp3, /sound other than AAC/);
  await assertRefused(
    await clip("pieces.mp4", `${PICTURE}1`, X264, "-movflags frag_keyframe+empty_moov"),
    /fragmented/,
  );
  const bytes = await readFile(ac3);
  const twice = editBoxes(bytes, (type, content) =>
    type === "stsd"
      ? [type, concat([0, 0, 0, 0], [0, 0, 0, 2], content.subarray(8), content.subarray(8))]
      : [type, content],
  );
  const index = await readIndex(memorySource(twice));
  assert.match(planTitle([{ fileId: "x", index }]).rejected[0]?.reason ?? "", /several sample descriptions/);
});

test("V2: an edit list that begins between two cuts is refused rather than shown with hidden pictures", async () => {
  const path = await clip("whole.mp4", `${PICTURE}8`, X264, "-g 50 -sc_threshold 0");
  await assertRefused(await clip("cut.mp4", "-ss 1.2 -i", path, "-c copy"), /begins between two pictures/);
});

test("V9: a file of another length or another beginning is no rung of the title, with the reason", async () => {
  const sound = "-f lavfi -i sine=sample_rate=48000:duration=6";
  const large = PICTURE.replace("64x36", "128x72");
  const reference = await clip("reference.mp4", `${large}6`, sound, X264, "-c:a aac");
  const oneMore = await clip(
    "one-more.mp4",
    PICTURE.replace("duration=", "duration=6.04"),
    sound,
    X264,
    "-c:a aac",
  );
  const twoMore = await clip(
    "two-more.mp4",
    PICTURE.replace("duration=", "duration=6.08"),
    sound,
    X264,
    "-c:a aac",
  );
  const same = await clip("same.mp4", `${PICTURE}6`, sound, X264, "-c:a aac");
  const later = await clip("later.mp4", "-itsoffset 0.1 -i", same, "-i", same, "-map 0:v -map 1:a -c copy");
  const { rejected, renditions } = await plan(reference, oneMore, twoMore, later);
  assert.equal(renditions.filter(({ kind }) => kind === "video").length, 2);
  assert.deepEqual(rejected.map(({ reason }) => reason).toSorted(), [
    "the picture begins 100 ms away from the other files'",
    "the picture is 80 ms longer than the other files'",
  ]);
});
