import { silentFrame } from "./aac.ts";
import { type ByteSource, MediaError } from "./byteSource.ts";
import { type Chunk, pictureChunks, soundChunks } from "./chunks.ts";
import { writeChunk } from "./fragment.ts";
import { audioInit, videoInit } from "./init.ts";
import type { Rendition, RenditionSource, TitlePlan } from "./plan.ts";
import { type SampleTable, sampleOffset } from "./sampleTable.ts";

/** Foreign bytes between two wanted runs that are read along rather than read around. */
const MAX_READ_GAP = 1 << 16;
const MAX_READ = 1 << 23;

/** The rendition, or a RangeError when the plan has none of that id. */
export function findRendition(plan: TitlePlan, renditionId: string): Rendition {
  const rendition = plan.renditions.find(({ id }) => id === renditionId);
  if (rendition === undefined) throw new RangeError(`no rendition ${renditionId}`);
  return rendition;
}

/** The init segment of a rendition. Throws RangeError when there is none of that id. */
export function initSegment(plan: TitlePlan, renditionId: string): Uint8Array {
  const { source } = findRendition(plan, renditionId);
  return source.kind === "video" ? videoInit(source.track) : audioInit(source.track, source.sound.lead);
}

/**
 * The chunks of a segment, each a moof and its mdat of at most 0.5 s, read one after the other; all together
 * they are exactly `Segment.bytes` long. Throws RangeError for an unknown rendition or number, and MediaError
 * when the file no longer has the bytes.
 */
export async function* mediaSegment(
  plan: TitlePlan,
  renditionId: string,
  number: number,
  source: ByteSource,
): AsyncGenerator<Uint8Array, void, undefined> {
  const rendition = findRendition(plan, renditionId);
  const segment = rendition.segments[number];
  if (segment === undefined) throw new RangeError(`rendition ${renditionId} has no segment ${number}`);
  const origin = rendition.source;
  const chunks =
    origin.kind === "video"
      ? pictureChunks(origin.track, segment, origin.start)
      : soundChunks(origin.track, segment, origin.sound);
  const cuts = origin.kind === "video" ? new Set(origin.track.cuts) : null;
  const isSync = (sample: number): boolean => cuts === null || cuts.has(sample);
  for (const [index, chunk] of chunks.entries()) {
    const { first, sizes, silence } = chunkSamples(origin, chunk);
    const sequence = chunk.first + 1;
    const { bytes, payloadAt } = writeChunk(chunk, { sequence, isFirst: index === 0, sizes, isSync });
    let at = payloadAt;
    for (const frame of silence) {
      bytes.set(frame, at);
      at += frame.length;
    }
    await fill(source, origin.track.samples, {
      first,
      count: sizes.length - silence.length,
      target: bytes,
      at,
    });
    yield bytes;
  }
}

/** Sizes of a chunk's samples, which of them is the file's first, and the silent ones in front of it. */
function chunkSamples(
  origin: RenditionSource,
  chunk: Chunk,
): { first: number; sizes: number[]; silence: Uint8Array[] } {
  const count = chunk.durations.length;
  const { sizes } = origin.track.samples;
  if (origin.kind === "video") {
    return {
      first: chunk.first,
      sizes: Array.from(sizes.subarray(chunk.first, chunk.first + count)),
      silence: [],
    };
  }
  const { firstSample, silentUnits } = origin.sound;
  const silentCount = Math.max(0, Math.min(count, silentUnits - chunk.first));
  const frame = silentFrame(origin.track.channels) ?? new Uint8Array(0);
  const silence = new Array<Uint8Array>(silentCount).fill(frame);
  const first = firstSample + chunk.first + silentCount - silentUnits;
  const rest = sizes.subarray(first, first + count - silentCount);
  return { first, sizes: [...silence.map(({ length }) => length), ...rest], silence };
}

interface Wanted {
  readonly first: number;
  readonly count: number;
  readonly target: Uint8Array;
  readonly at: number;
}

/** Reads samples into `target`, in as few reads as lie close together in the file. */
async function fill(source: ByteSource, table: SampleTable, wanted: Wanted): Promise<void> {
  const { first, count, target } = wanted;
  let at = wanted.at;
  let sample = first;
  while (sample < first + count) {
    const begin = sampleOffset(table, sample);
    const pieces = [{ from: 0, length: table.sizes[sample] ?? 0 }];
    let end = begin + (table.sizes[sample] ?? 0);
    for (sample++; sample < first + count; sample++) {
      const offset = sampleOffset(table, sample);
      const size = table.sizes[sample] ?? 0;
      if (offset < end || offset - end > MAX_READ_GAP || offset + size - begin > MAX_READ) break;
      pieces.push({ from: offset - begin, length: size });
      end = offset + size;
    }
    const bytes = await source.read(begin, end - begin);
    if (bytes.length !== end - begin)
      throw new MediaError("truncated", `the source gave ${bytes.length} bytes`);
    for (const { from, length } of pieces) {
      target.set(bytes.subarray(from, from + length), at);
      at += length;
    }
  }
}
