import { BoxReader, boxesIn, findBox, requireBox } from "./boxes.ts";
import { type ByteSource, MediaError } from "./byteSource.ts";
import { findCuts } from "./cuts.ts";
import { MAX_REORDER } from "./decodeTimes.ts";
import { sampleBudget } from "./sampleTable.ts";
import { type AudioTrack, type ParsedTrack, parseTrack, type VideoTrack } from "./track.ts";

/** A `moov` beyond this belongs to no real film (24 hours take about 60 MB). */
const MAX_MOOV_BYTES = 1 << 27;
/** Boxes side by side in a file; more is an attempt to keep the reader busy. */
const MAX_TOP_BOXES = 4096;
const MAX_TRACKS = 64;
const FINER = 32;
const TOP_TYPES = ["ftyp", "moov", "mdat", "free", "skip", "wide", "pnot", "uuid", "styp", "sidx"];

/** All that is kept about one file: enough to cut any of its segments with one ranged read each. */
export interface MediaIndex {
  /** Bytes of the file. */
  readonly fileSize: number;
  /** Ticks a second of the movie's line: what the lengths in edit lists were rounded to. */
  readonly movieTimescale: number;
  /** Length as the file's header states it, microseconds; for listing. Plans measure exactly. */
  readonly durationMicroseconds: number;
  /** Why the file can't be cut, or null. With a reason `video` is null. */
  readonly problem: string | null;
  readonly video: VideoTrack | null;
  /** The AAC tracks, in the file's order. */
  readonly audio: readonly AudioTrack[];
}

/**
 * Reads the index of an MP4 or MOV file. A file of another codec or structure than we cut gives an index with a
 * `problem`; a file that is broken or no MP4 at all throws MediaError.
 */
export async function readIndex(source: ByteSource): Promise<MediaIndex> {
  const moov = await readMoov(source);
  const header = parseMovieHeader(requireBox(moov, "mvhd"));
  const tracks: ParsedTrack[] = [];
  const movie = { timescale: header.timescale, fileSize: source.size, budget: sampleBudget(source.size) };
  for (const box of boxesIn(moov)) {
    if (box.type !== "trak") continue;
    if (tracks.length === MAX_TRACKS) throw new MediaError("damaged", "too many tracks");
    const track = parseTrack(box.content, movie);
    if (track !== null) tracks.push(track);
  }
  const base = {
    fileSize: source.size,
    movieTimescale: header.timescale,
    durationMicroseconds: Math.round((header.duration / header.timescale) * 1e6),
  };
  const picture = tracks.find(
    (track) => track.kind === "video" || (track.kind === "problem" && track.media === "video"),
  );
  const sounds = tracks.filter((track) => track.kind === "audio").map(({ track }) => track);
  const audio = sounds.filter(({ samples }) => samples.sizes.length > 0);
  const problem =
    findBox(moov, "mvex") === undefined ? problemOf(tracks, picture) : "fragmented files are not cut yet";
  if (problem !== null || picture?.kind !== "video") return { ...base, problem, video: null, audio: [] };
  const track = withFineTicks(picture.track);
  const cuts = await findCuts(source, track, picture.listedSync);
  return { ...base, problem: null, video: { ...track, cuts }, audio };
}

/** The least number of ticks between two pictures as they are shown. */
function narrowestGap(times: Float64Array): number {
  const sorted = times.slice().sort();
  return sorted.reduce(
    (least, time, index) => Math.min(least, time - (sorted[index - 1] ?? -Infinity)),
    Infinity,
  );
}

/**
 * Reordered pictures need a few ticks between them (decodeTimes). A track that counts in whole pictures gets finer
 * ticks: every time times 32, exactly.
 */
function withFineTicks(track: Omit<VideoTrack, "cuts">): Omit<VideoTrack, "cuts"> {
  const { edit, samples, timescale } = track;
  const isInOrder = samples.times.every(
    (time, index) => index === 0 || time > (samples.times[index - 1] ?? 0),
  );
  if (isInOrder || narrowestGap(samples.times) > MAX_REORDER || timescale * FINER >= 2 ** 32) return track;
  return {
    ...track,
    timescale: timescale * FINER,
    edit: {
      delay: edit.delay * FINER,
      mediaTime: edit.mediaTime * FINER,
      mediaDuration: edit.mediaDuration * FINER,
    },
    samples: {
      ...samples,
      times: samples.times.map((time) => time * FINER),
      duration: samples.duration * FINER,
    },
  };
}

/** Why a file of these tracks can't be cut. Sound of a foreign codec counts only when there is no other. */
function problemOf(tracks: readonly ParsedTrack[], picture: ParsedTrack | undefined): string | null {
  if (picture === undefined) return "no picture track";
  if (picture.kind === "problem") return picture.reason;
  if (picture.kind === "video") {
    const { sizes, times } = picture.track.samples;
    if (sizes.length === 0) return "the picture track is empty";
    if (sizes.includes(0)) return "video: a picture without bytes";
    if (narrowestGap(times) === 0) return "video: two pictures at one time";
  }
  if (tracks.some((track) => track.kind === "audio")) return null;
  const sound = tracks.find((track) => track.kind === "problem" && track.media === "audio");
  return sound?.kind === "problem" ? sound.reason : null;
}

function parseMovieHeader(mvhd: Uint8Array): { timescale: number; duration: number } {
  const reader = new BoxReader(mvhd);
  const wide = reader.u8() === 1;
  reader.skip(wide ? 19 : 11);
  const timescale = reader.u32();
  if (timescale === 0) throw new MediaError("damaged", "mvhd has no timescale");
  if (wide && mvhd.subarray(24, 32).every((byte) => byte === 0xff)) return { timescale, duration: 0 };
  const duration = wide ? reader.u64() : reader.u32();
  return { timescale, duration: duration === 0xffff_ffff ? 0 : duration };
}

/** Walks the file's top boxes by their headers, wherever `moov` stands, and reads it once. */
async function readMoov(source: ByteSource): Promise<Uint8Array> {
  let offset = 0;
  for (let count = 0; offset + 8 <= source.size; count++) {
    if (count === MAX_TOP_BOXES) throw new MediaError("damaged", "too many boxes");
    const header = new BoxReader(await source.read(offset, Math.min(16, source.size - offset)));
    let size = header.u32();
    const type = header.type();
    if (count === 0 && !TOP_TYPES.includes(type))
      throw new MediaError("unsupported", "not an MP4 or MOV file");
    let headerBytes = 8;
    if (size === 1) {
      size = header.u64();
      headerBytes = 16;
    } else if (size === 0) size = source.size - offset;
    if (size < headerBytes)
      throw new MediaError("damaged", `a box at ${offset} has an impossible size ${size}`);
    if (offset + size > source.size)
      throw new MediaError("truncated", `a box at ${offset} ends past the file`);
    if (type === "moov") {
      if (size > MAX_MOOV_BYTES) throw new MediaError("unsupported", `moov has ${size} bytes`);
      return await source.read(offset + headerBytes, size - headerBytes);
    }
    offset += size;
  }
  throw new MediaError("truncated", "no moov box: the file was not finished");
}
