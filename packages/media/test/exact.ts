/** The checker: does a written title show and play exactly what its source does? */
import assert from "node:assert/strict";
import { join } from "node:path";
import { decodedFrames, decodedSound, type Frame, packets, type WrittenTitle } from "./judge.ts";

/**
 * Every picture segment alone with its init decodes to exactly its own frames at their times; all together to the
 * source's; and ffprobe sees no tick missing or doubled. `only` limits the segments that are tried alone.
 */
export async function assertExactPicture(
  title: WrittenTitle,
  renditionId: string,
  only: (segment: number) => boolean = () => true,
): Promise<void> {
  const rendition = title.plan.renditions.find(({ id }) => id === renditionId);
  assert.ok(rendition, `rendition ${renditionId}`);
  const source = await decodedFrames(rendition.fileId, "v:0");
  const first = source.frames[0]?.time ?? 0;
  const scale = rendition.timescale / source.timescale;
  const wanted: Frame[] = source.frames.map(({ hash, time }) => ({ hash, time: (time - first) * scale }));
  const folder = join(title.folder, renditionId);

  const all = await decodedFrames(join(folder, "all.mp4"), "v:0");
  assert.equal(all.timescale, rendition.timescale);
  assert.deepEqual(all.frames, wanted, `${renditionId}: all segments together`);

  for (const { from, number, to } of rendition.segments) {
    if (!only(number)) continue;
    const alone = await decodedFrames(join(folder, `alone-${number}.mp4`), "v:0");
    const own = wanted.filter(({ time }) => time >= from && time < to);
    assert.deepEqual(alone.frames, own, `${renditionId}: segment ${number} alone`);
  }
  await assertNoGap(title, renditionId);
}

/** 0 ticks of gap by ffprobe: presentation times are the source's, decode times rise, segments meet. */
async function assertNoGap(title: WrittenTitle, renditionId: string): Promise<void> {
  const rendition = title.plan.renditions.find(({ id }) => id === renditionId);
  assert.ok(rendition);
  const stream = rendition.kind === "video" ? "v:0" : "a:0";
  const seen = await packets(join(title.folder, renditionId, "all.mp4"), stream);
  const lead = rendition.source.kind === "audio" ? rendition.source.sound.lead : 0;
  const starts = new Set(seen.map(({ pts }) => pts + lead));
  for (const [index, { dts, pts }] of seen.entries()) {
    assert.ok(dts <= pts, `packet ${index} is decoded after it is shown`);
    assert.ok(index === 0 || dts > (seen[index - 1]?.dts ?? 0), `packet ${index} does not rise`);
  }
  let end = 0;
  for (const { duration, from, number, start, to } of rendition.segments) {
    assert.equal(from, end, `segment ${number} begins where the one before ends`);
    assert.ok(starts.has(from), `ffprobe sees a packet at the start of segment ${number}`);
    assert.equal(start, from - lead);
    assert.equal(duration, to - from);
    end = to;
  }
}

/** The sound is the source's, sample for sample, from the title's 0 on. */
export async function assertExactSound(
  title: WrittenTitle,
  renditionId: string,
  sourceStream: string,
  silence = 0,
): Promise<void> {
  const rendition = title.plan.renditions.find(({ id }) => id === renditionId);
  assert.ok(rendition);
  const picture = await decodedFrames(rendition.fileId, "v:0");
  const rate = rendition.sampleRate ?? 0;
  const zero = Math.round(((picture.frames[0]?.time ?? 0) / picture.timescale) * rate);
  const source = await decodedSound(rendition.fileId, sourceStream);
  const ours = await decodedSound(join(title.folder, renditionId, "all.mp4"), "a:0");
  assert.equal(ours.start, 0, "what lies before 0 is not heard");
  const skipped = zero - source.start;
  assert.equal(Math.max(0, -skipped), silence, "samples of silence before the sound");
  assert.ok(
    ours.samples.subarray(0, silence).every((sample) => sample === 0),
    "silence is silent",
  );
  const wanted = source.samples.subarray(Math.max(0, skipped));
  const heard = ours.samples.subarray(silence);
  assert.equal(heard.length, wanted.length, "number of samples");
  assert.deepEqual(Buffer.from(heard.slice().buffer), Buffer.from(wanted.slice().buffer), "samples");
  await assertNoGap(title, renditionId);
}
