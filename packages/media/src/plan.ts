import { silentFrame } from "./aac.ts";
import { pictureChunks, type Span, soundChunks } from "./chunks.ts";
import { segmentBytes } from "./fragment.ts";
import { chooseLadder, type LadderFile, type PlanInput } from "./ladder.ts";
import { type SoundTimeline, unitTime } from "./timeline.ts";
import type { AudioTrack, VideoTrack } from "./track.ts";

/** Sound goes on in pieces of this length where the picture has ended. */
const SOUND_SECONDS = 4;

/** One piece of a rendition. */
export interface Segment extends Span {
  /** From 0, as in the URL. */
  readonly number: number;
  /** Ticks of the track's timescale on the title's line; a first sound segment may begin before 0 (priming). */
  readonly start: number;
  readonly duration: number;
  /** Exact length of the packaged segment. */
  readonly bytes: number;
}

/** One picture quality or one sound track of a title. */
export interface Rendition {
  /** Opaque: v0, v1, … by rising quality, a0, a1, … in the file's order. Never a height. */
  readonly id: string;
  readonly kind: "video" | "audio";
  readonly fileId: string;
  /** RFC 6381. */
  readonly codec: string;
  /** As displayed: after pixel aspect and rotation. */
  readonly width?: number;
  readonly height?: number;
  readonly channels?: number;
  readonly sampleRate?: number;
  /** ISO 639-2. */
  readonly language?: string;
  readonly label?: string;
  /** Bits a second of packaged segments, as RFC 8216bis 4.4.6.2 measures BANDWIDTH and AVERAGE-BANDWIDTH. */
  readonly peakBandwidth: number;
  readonly averageBandwidth: number;
  /** Pictures a second on average. */
  readonly frameRate?: number;
  /** Ticks a second in which segments count. */
  readonly timescale: number;
  readonly segments: readonly Segment[];
  /** Where the samples come from. */
  readonly source: RenditionSource;
}

/** What a writer needs beside the segments. Media time of a picture is its title time; of sound it is + lead. */
export type RenditionSource =
  | { readonly kind: "video"; readonly track: VideoTrack; readonly start: number }
  | { readonly kind: "audio"; readonly track: AudioTrack; readonly sound: SoundTimeline };

/** How a title is cut. Plain data: it can be posted to a worker, or planned again there from the same indexes. */
export interface TitlePlan {
  /** Length of the reference file's picture. */
  readonly durationMicroseconds: number;
  readonly renditions: readonly Rendition[];
  /** Files that can't be part of this title, and why. */
  readonly rejected: readonly { readonly fileId: string; readonly reason: string }[];
  /** EXT-X-TARGETDURATION of all playlists, seconds. */
  readonly targetDuration: number;
}

/**
 * Plans a title from its files. A file that can't be cut, or whose picture runs on another line than the
 * reference's (the file with the most pixels), is rejected. Sound comes from one file, all its tracks.
 */
export function planTitle(files: readonly PlanInput[]): TitlePlan {
  const { accepted, rejected, sound } = chooseLadder(files);
  const pictures = accepted.map((file) => ({ file, segments: pictureSegments(file) }));
  const reference = pictures.find(({ file }) => file === sound?.file);
  const boundaries = (reference?.segments ?? [])
    .slice(1)
    .map(({ from }) => from / (reference?.file.video.timescale ?? 1));
  const sounds = (sound?.tracks ?? []).map(({ timeline, track }) => ({
    track,
    timeline,
    segments: soundSegments(track, timeline, boundaries),
  }));
  const targetDuration = Math.ceil(
    [
      ...pictures.map(({ file, segments }) => longestSeconds(segments, file.video.timescale)),
      ...sounds.map(({ segments, track }) => longestSeconds(segments, track.timescale)),
    ].reduce((longest, seconds) => Math.max(longest, seconds), 1),
  );
  const video = pictures.map((parts, number) => videoRendition({ ...parts, number, targetDuration }));
  const audio =
    sound === null
      ? []
      : sounds.map((parts, number) =>
          audioRendition({ ...parts, input: sound.file.input, number, targetDuration }),
        );
  return {
    durationMicroseconds: lengthOf(files, accepted),
    renditions: [...video, ...audio],
    rejected,
    targetDuration,
  };
}

/** Microseconds: of the reference's picture, or as the first file's header states it when none can be cut. */
function lengthOf(files: readonly PlanInput[], accepted: readonly LadderFile[]): number {
  const reference = accepted.at(-1);
  if (reference === undefined) return files[0]?.index.durationMicroseconds ?? 0;
  const { picture, video } = reference;
  return Math.round(((picture.endTime - picture.start) / video.timescale) * 1e6);
}

const longestSeconds = (segments: readonly Segment[], timescale: number): number =>
  segments.reduce((longest, { duration }) => Math.max(longest, duration / timescale), 0);

interface AudioRenditionParts {
  readonly track: AudioTrack;
  readonly timeline: SoundTimeline;
  readonly segments: readonly Segment[];
  readonly input: PlanInput;
  readonly number: number;
  readonly targetDuration: number;
}

function audioRendition(parts: AudioRenditionParts): Rendition {
  const { input, number, segments, targetDuration, timeline, track } = parts;
  return {
    id: `a${number}`,
    kind: "audio",
    fileId: input.fileId,
    codec: track.codec,
    channels: track.channels,
    sampleRate: track.sampleRate,
    ...(track.language === "" ? {} : { language: track.language }),
    ...(input.audioLabel === undefined ? {} : { label: input.audioLabel }),
    ...bandwidth(segments, track.timescale, targetDuration),
    timescale: track.timescale,
    segments,
    source: { kind: "audio", track, sound: timeline },
  };
}

interface VideoRenditionParts {
  readonly file: LadderFile;
  readonly segments: readonly Segment[];
  readonly number: number;
  readonly targetDuration: number;
}

function videoRendition({ file, segments, number, targetDuration }: VideoRenditionParts): Rendition {
  const { picture, video } = file;
  return {
    id: `v${number}`,
    kind: "video",
    fileId: file.input.fileId,
    codec: video.codec,
    width: file.width,
    height: file.height,
    ...bandwidth(segments, video.timescale, targetDuration),
    frameRate: ((picture.end - picture.first) * video.timescale) / (picture.endTime - picture.start),
    timescale: video.timescale,
    segments,
    source: { kind: "video", track: video, start: picture.start },
  };
}

function pictureSegments({ boundaries, picture, video }: LadderFile): Segment[] {
  const { sizes, times } = video.samples;
  return boundaries.map((first, number): Segment => {
    const end = boundaries[number + 1] ?? picture.end;
    const from = (times[first] ?? 0) - picture.start;
    const to = (end < picture.end ? (times[end] ?? 0) : picture.endTime) - picture.start;
    const span = { first, end, from, to };
    const bytes = segmentBytes(pictureChunks(video, span, picture.start), sum(sizes, first, end));
    return { ...span, number, start: from, duration: to - from, bytes };
  });
}

/** Sound is cut at the frames nearest to where the picture is cut (seconds on the title's line). */
function soundSegments(track: AudioTrack, sound: SoundTimeline, boundaries: readonly number[]): Segment[] {
  const { lead, units } = sound;
  const wanted = [...boundaries];
  const length = sound.endTime / track.timescale;
  for (
    let next = (wanted.at(-1) ?? 0) + SOUND_SECONDS;
    wanted.length === boundaries.length || next < length;
    next += SOUND_SECONDS
  ) {
    wanted.push(next);
  }
  const firsts = [0];
  for (const seconds of wanted) {
    const unit = nearestUnit(track, sound, seconds * track.timescale + lead);
    if (unit > (firsts.at(-1) ?? 0) && unit < units) firsts.push(unit);
  }
  const silence = silentFrame(track.channels)?.length ?? 0;
  return firsts.map((first, number): Segment => {
    const end = firsts[number + 1] ?? units;
    const span = { first, end, from: unitTime(track, sound, first), to: unitTime(track, sound, end) };
    const silent = Math.max(0, Math.min(end, sound.silentUnits) - first);
    const sample = sound.firstSample - sound.silentUnits;
    const payload = silent * silence + sum(track.samples.sizes, sample + first + silent, sample + end);
    const bytes = segmentBytes(soundChunks(track, span, sound), payload);
    return { ...span, number, start: span.from - lead, duration: span.to - span.from, bytes };
  });
}

function nearestUnit(track: AudioTrack, sound: SoundTimeline, time: number): number {
  let low = 0;
  let high = sound.units;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (unitTime(track, sound, middle) < time) low = middle + 1;
    else high = middle;
  }
  return low > 0 && time - unitTime(track, sound, low - 1) < unitTime(track, sound, low) - time
    ? low - 1
    : low;
}

function sum(values: Uint32Array, first: number, end: number): number {
  let total = 0;
  for (let index = first; index < end; index++) total += values[index] ?? 0;
  return total;
}

/**
 * The peak is the largest bit rate of any run of segments that lasts between 0.5 and 1.5 target durations; a
 * rendition shorter than that counts as a whole.
 */
function bandwidth(
  segments: readonly Segment[],
  timescale: number,
  target: number,
): { peakBandwidth: number; averageBandwidth: number } {
  const rate = (bytes: number, ticks: number): number =>
    Math.ceil((bytes * 8 * timescale) / Math.max(1, ticks));
  const [least, most] = [target * timescale * 0.5, target * timescale * 1.5];
  let [peak, allBytes, allTicks] = [0, 0, 0];
  for (const [index, segment] of segments.entries()) {
    allBytes += segment.bytes;
    allTicks += segment.duration;
    let [bytes, ticks] = [0, 0];
    for (let last = index; last < segments.length && ticks <= most; last++) {
      if (ticks >= least) peak = Math.max(peak, rate(bytes, ticks));
      bytes += segments[last]?.bytes ?? 0;
      ticks += segments[last]?.duration ?? 0;
    }
    if (ticks >= least && ticks <= most) peak = Math.max(peak, rate(bytes, ticks));
  }
  const averageBandwidth = rate(allBytes, allTicks);
  return { peakBandwidth: Math.max(peak, averageBandwidth), averageBandwidth };
}
