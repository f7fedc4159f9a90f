import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { concat, u32 } from "../src/boxWriter.ts";
import { masterPlaylist, mediaPlaylist, type PlanInput, planTitle, readIndex } from "../src/index.ts";
import { openFile } from "../src/node.ts";
import { editBoxes } from "./boxEdit.ts";
import { makeClip, temporaryFolder } from "./judge.ts";

const SAMPLES = [240, 720, 1440].map((height) =>
  join(import.meta.dirname, "../../../videos", `Test card_${height}p.mp4`),
);

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
before(async () => {
  folder = await temporaryFolder();
});
after(async () => {
  await folder[Symbol.asyncDispose]();
});

async function indexed(paths: readonly string[], audioLabel?: string): Promise<PlanInput[]> {
  return Promise.all(
    paths.map(async (path) => {
      await using source = openFile(path);
      return {
        fileId: path,
        index: await readIndex(source),
        ...(audioLabel === undefined ? {} : { audioLabel }),
      };
    }),
  );
}

test("V15: the master playlist of the sample", async () => {
  const lines = masterPlaylist(planTitle(await indexed(SAMPLES, 'Ton "deutsch"\n'))).split("\n");
  assert.deepEqual(lines.slice(0, 3), ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS"]);
  assert.equal(
    lines[3],
    '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sound",NAME="Ton  deutsch",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="a0/index.m3u8"',
  );
  const rungs = lines.filter((line) => line.startsWith("#EXT-X-STREAM-INF"));
  assert.equal(rungs.length, 3);
  for (const [index, size] of ["426x240", "1280x720", "2560x1440"].entries()) {
    assert.match(
      rungs[index] ?? "",
      new RegExp(
        `^#EXT-X-STREAM-INF:BANDWIDTH=\\d+,AVERAGE-BANDWIDTH=\\d+,CODECS="avc1\\.6400..,mp4a\\.40\\.2",RESOLUTION=${size},FRAME-RATE=24\\.000,VIDEO-RANGE=SDR,AUDIO="sound"$`,
      ),
    );
  }
});

test("V15: BANDWIDTH is the largest rate of any run of 0.5 to 1.5 target durations", async () => {
  const plan = planTitle(await indexed(SAMPLES.slice(0, 1)));
  for (const { averageBandwidth, peakBandwidth, segments, timescale } of plan.renditions) {
    let peak = 0;
    for (let first = 0; first < segments.length; first++) {
      for (let end = first + 1; end <= segments.length; end++) {
        const run = segments.slice(first, end);
        const seconds = run.reduce((sum, { duration }) => sum + duration, 0) / timescale;
        const bits = run.reduce((sum, { bytes }) => sum + bytes * 8, 0);
        if (seconds >= plan.targetDuration * 0.5 && seconds <= plan.targetDuration * 1.5)
          peak = Math.max(peak, bits / seconds);
      }
    }
    assert.equal(peakBandwidth, Math.ceil(peak));
    assert.ok(averageBandwidth <= peakBandwidth);
  }
});

test("V16: media playlists: one target duration, cumulative times rounded once, no discontinuity", async () => {
  const plan = planTitle(await indexed(SAMPLES));
  for (const { id, segments, timescale } of plan.renditions) {
    const text = mediaPlaylist(plan, id);
    assert.match(text, /^#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:3\n/);
    assert.match(text, /#EXT-X-MAP:URI="init.mp4"\n/);
    assert.ok(text.endsWith("#EXT-X-ENDLIST\n"));
    assert.doesNotMatch(text, /DISCONTINUITY/);
    let nanoseconds = 0n;
    for (const [index, [, seconds = "", decimals = ""]] of [
      ...text.matchAll(/#EXTINF:(\d+)\.(\d{9}),\n/g),
    ].entries()) {
      nanoseconds += BigInt(seconds + decimals);
      const exact = ((segments[index]?.to ?? 0) / timescale) * 1e9;
      assert.ok(Math.abs(Number(nanoseconds) - exact) <= 0.51, `${id} ${index}`);
      assert.ok(Number(`${seconds}.${decimals}`) <= plan.targetDuration);
    }
    assert.equal(text.match(/\.m4s/g)?.length, segments.length);
  }
});

test("V15: FRAME-RATE only where all rungs agree; RESOLUTION with pixel aspect and rotation", async () => {
  const make = (name: string, rate: number, size: string, ...more: string[]): Promise<string> =>
    makeClip(
      join(folder.path, name),
      `-f lavfi -i testsrc2=size=${size}:rate=${rate}:duration=2`,
      "-c:v libx264 -preset ultrafast -pix_fmt yuv420p",
      ...more,
    );
  const wide = await make("wide.mp4", 25, "64x36", "-vf setsar=4/3");
  const fast = await make("fast.mp4", 50, "128x72");
  const master = masterPlaylist(planTitle(await indexed([wide, fast])));
  assert.match(master, /RESOLUTION=85x36/);
  assert.doesNotMatch(master, /FRAME-RATE/);
  const upright = await readFile(await make("upright.mp4", 25, "64x36"));
  const turned = join(folder.path, "turned.mp4");
  const quarter = [0, 0x1_0000, 0, 0xffff_0000, 0, 0, 0, 0, 0x4000_0000].flatMap(u32);
  const turn = (content: Uint8Array): Uint8Array =>
    concat(content.subarray(0, 40), quarter, content.subarray(76));
  await writeFile(
    turned,
    editBoxes(upright, (type, content) => [type, type === "tkhd" ? turn(content) : content]),
  );
  assert.match(masterPlaylist(planTitle(await indexed([turned]))), /RESOLUTION=36x64,FRAME-RATE=25\.000/);
});
