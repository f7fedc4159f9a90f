import { decodeTimes } from "./decodeTimes.ts";
import { type SoundTimeline, unitTime } from "./timeline.ts";
import type { AudioTrack, VideoTrack } from "./track.ts";

/** A chunk reaches its player before the segment is whole; longer ones would delay the first picture. */
const CHUNK_SECONDS = 0.5;
const MAX_CHUNK_BYTES = 1 << 23;

/** What a segment holds: samples of a picture track or units of a sound track, [first, end). */
export interface Span {
  readonly first: number;
  readonly end: number;
  /** Media-line time of the first sample and of the end, ticks. */
  readonly from: number;
  readonly to: number;
}

/** One moof + mdat: consecutive samples or units in decode order. */
export interface Chunk {
  readonly first: number;
  /** Decode time of the first one on the rendition's media line, ticks. */
  readonly decodeTime: number;
  readonly durations: number[];
  /** Composition time minus decode time, ticks; sound has none. */
  readonly offsets: number[] | null;
}

/** The chunks of a picture segment; `start` is the media time that is 0 on the title's line. */
export function pictureChunks(track: VideoTrack, span: Span, start: number): Chunk[] {
  const { sizes, times } = track.samples;
  const presented = times.subarray(span.first, span.end);
  const decode = decodeTimes(presented, span.to + start);
  const chunks: Chunk[] = [];
  const packer = new Packer(track.timescale);
  for (const [index, time] of presented.entries()) {
    const sample = span.first + index;
    const at = decode[index] ?? 0;
    const duration = (decode[index + 1] ?? 0) - at;
    const offset = time - at;
    const open = packer.take(chunks, duration, sizes[sample] ?? 0);
    if (open === null)
      chunks.push({ first: sample, decodeTime: at - start, durations: [duration], offsets: [offset] });
    else {
      open.durations.push(duration);
      open.offsets?.push(offset);
    }
  }
  return chunks;
}

/** The chunks of a sound segment. */
export function soundChunks(track: AudioTrack, span: Span, sound: SoundTimeline): Chunk[] {
  const chunks: Chunk[] = [];
  const packer = new Packer(track.timescale);
  let time = span.from;
  for (let unit = span.first; unit < span.end; unit++) {
    const next = unitTime(track, sound, unit + 1);
    const sample = sound.firstSample + unit - sound.silentUnits;
    const size = unit < sound.silentUnits ? 0 : (track.samples.sizes[sample] ?? 0);
    const open = packer.take(chunks, next - time, size);
    if (open === null)
      chunks.push({ first: unit, decodeTime: time, durations: [next - time], offsets: null });
    else open.durations.push(next - time);
    time = next;
  }
  return chunks;
}

/** Decides where one chunk ends and the next begins. */
class Packer {
  readonly #limit: number;
  #ticks = 0;
  #bytes = 0;

  constructor(timescale: number) {
    this.#limit = timescale * CHUNK_SECONDS;
  }

  /** The chunk that takes the sample, or null when a new one begins with it. */
  take(chunks: readonly Chunk[], ticks: number, bytes: number): Chunk | null {
    const last = chunks.at(-1);
    this.#ticks += ticks;
    this.#bytes += bytes;
    if (last !== undefined && this.#ticks <= this.#limit && this.#bytes <= MAX_CHUNK_BYTES) return last;
    this.#ticks = ticks;
    this.#bytes = bytes;
    return null;
  }
}
