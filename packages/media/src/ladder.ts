import { MAX_REORDER, reorderDepth } from "./decodeTimes.ts";
import type { MediaIndex } from "./mediaIndex.ts";
import {
  type PictureTimeline,
  pictureTimeline,
  presentationStart,
  type SoundTimeline,
  soundTimeline,
} from "./timeline.ts";
import type { AudioTrack, VideoTrack } from "./track.ts";

/** A copy without a cut for longer than this is not offered: players wait, and can't switch. */
const MAX_SEGMENT_SECONDS = 12;
/** The start is cut finer, so that a player climbs early; later pieces are 2 s or a little more. */
const EARLY_SECONDS = 4;
const EARLY_LENGTH = 0.9;
const LENGTH = 1.8;
/** The largest common priming (Apple's AAC encoder: 2112) and the rounding to milliseconds. */
const MAX_PRIMING_SAMPLES = 2112 + 96;

/** One file of a title. */
export interface PlanInput {
  readonly fileId: string;
  readonly index: MediaIndex;
  /** How people call the file's sound; else its language is shown. */
  readonly audioLabel?: string;
}

/** A file whose picture can be cut. */
export interface LadderFile {
  readonly input: PlanInput;
  readonly video: VideoTrack;
  readonly picture: PictureTimeline;
  /** First samples of the segments. */
  readonly boundaries: readonly number[];
  /** As displayed. */
  readonly width: number;
  readonly height: number;
  /** Seconds of the file's own line at which its first picture is presented. */
  readonly start: number;
}

/** The files of a title that go together, by rising quality, and the sound that goes with them. */
export interface Ladder {
  readonly accepted: readonly LadderFile[];
  readonly rejected: readonly { readonly fileId: string; readonly reason: string }[];
  readonly sound: { readonly file: LadderFile; readonly tracks: readonly PlannedSound[] } | null;
}

interface PlannedSound {
  readonly track: AudioTrack;
  readonly timeline: SoundTimeline;
}

/** Sorts a title's files into those that share one line and those that don't. */
export function chooseLadder(files: readonly PlanInput[]): Ladder {
  const rejected: { fileId: string; reason: string }[] = [];
  const usable: LadderFile[] = [];
  for (const input of files) {
    const file = cuttable(input);
    if (typeof file === "string") rejected.push({ fileId: input.fileId, reason: file });
    else usable.push(file);
  }
  usable.sort((a, b) => a.width * a.height - b.width * b.height || bytesOf(a) - bytesOf(b));
  const reference = usable.at(-1);
  const accepted = usable.filter((file) => {
    const reason = reference === undefined ? null : difference(file, reference);
    if (reason !== null) rejected.push({ fileId: file.input.fileId, reason });
    return reason === null;
  });
  return { accepted, rejected, sound: chooseSound(accepted) };
}

const bytesOf = ({ video }: LadderFile): number => video.samples.sizes.reduce((sum, size) => sum + size, 0);

function cuttable(input: PlanInput): LadderFile | string {
  const { index } = input;
  const { video } = index;
  if (video === null) return index.problem ?? "no picture track";
  const picture = pictureTimeline(video, index.movieTimescale);
  if (typeof picture === "string") return picture;
  const boundaries = pictureBoundaries(video, picture);
  if (typeof boundaries === "string") return boundaries;
  const start = presentationStart(video, picture.start);
  for (const track of index.audio) {
    const sound = soundTimeline(track, start);
    if (typeof sound === "string") return sound;
  }
  return { input, video, picture, boundaries, start, ...displayed(video) };
}

/** Size on screen: pixels made square, and turned as the matrix says. */
function displayed({ height, matrix, pixelAspect, width }: VideoTrack): { width: number; height: number } {
  const wide = Math.round((width * pixelAspect[0]) / pixelAspect[1]);
  return matrix[0] === 0 && matrix[4] === 0 ? { width: height, height: wide } : { width: wide, height };
}

/** The cuts that segments begin at, or why there are too few. */
function pictureBoundaries(video: VideoTrack, picture: PictureTimeline): number[] | string {
  const { times } = video.samples;
  const at = (sample: number): number => ((times[sample] ?? 0) - picture.start) / video.timescale;
  const boundaries = [picture.first];
  let longest = 0;
  let previousCut = 0;
  for (const cut of video.cuts) {
    if (cut <= picture.first || cut >= picture.end) continue;
    longest = Math.max(longest, at(cut) - previousCut);
    previousCut = at(cut);
    const began = at(boundaries.at(-1) ?? 0);
    if (at(cut) - began >= (began < EARLY_SECONDS ? EARLY_LENGTH : LENGTH)) boundaries.push(cut);
  }
  const length = (picture.endTime - picture.start) / video.timescale;
  longest = Math.max(longest, length - previousCut);
  if (longest <= MAX_SEGMENT_SECONDS) return reorderable(video, picture, boundaries);
  return `video: ${longest.toFixed(1)} s without a picture to start from (open groups of pictures, or too few IDR)`;
}

/** The boundaries, unless pictures between them change places further than decode times can express. */
function reorderable(video: VideoTrack, picture: PictureTimeline, boundaries: number[]): number[] | string {
  for (const [index, first] of boundaries.entries()) {
    const times = video.samples.times.subarray(first, boundaries[index + 1] ?? picture.end);
    const sorted = times.slice().sort();
    const depth = reorderDepth(times, sorted);
    const room = (sorted[1] ?? Number.POSITIVE_INFINITY) - (sorted[0] ?? 0);
    if (depth > MAX_REORDER || depth >= room)
      return "video: its pictures are further out of order than H.264 allows";
  }
  return boundaries;
}

/** Why a file's line is not the reference's, or null. */
function difference(file: LadderFile, reference: LadderFile): string | null {
  const frame = Math.max(frameSeconds(file), frameSeconds(reference));
  const late = ownStart(file) - ownStart(reference);
  if (Math.abs(late) > frame / 2)
    return `the picture begins ${milliseconds(late)} ms away from the other files'`;
  const longer = lengthOf(file) - lengthOf(reference);
  // A tick of either line is what rounding may cost.
  if (Math.abs(longer) > frame + 1 / Math.min(file.video.timescale, reference.video.timescale)) {
    return `the picture is ${milliseconds(longer)} ms longer than the other files'`;
  }
  return null;
}

const milliseconds = (seconds: number): string => (seconds * 1000).toFixed(0);
const lengthOf = ({ picture, video }: LadderFile): number =>
  (picture.endTime - picture.start) / video.timescale;
const frameSeconds = (file: LadderFile): number => lengthOf(file) / (file.picture.end - file.picture.first);

/**
 * When the picture begins, counted from the first thing that the file presents at all. A remuxed file may present
 * its sound's priming, which another file of the title hides: such a lead is no start.
 */
function ownStart({ input, start }: LadderFile): number {
  const { audio } = input.index;
  const sounds = audio.map((track) => {
    const { edit, samples } = track;
    const began = Math.max(edit.mediaTime, samples.times[0] ?? 0);
    const begins = presentationStart(track, began);
    const priming = edit.mediaTime > 0 ? 0 : MAX_PRIMING_SAMPLES / track.sampleRate;
    return start - begins <= priming ? start : begins;
  });
  return start - Math.min(start, ...sounds);
}

/** The file with the best sound: most channels, then most bits, then the best picture. */
function chooseSound(accepted: readonly LadderFile[]): Ladder["sound"] {
  let best: LadderFile | null = null;
  for (const file of accepted) {
    if (file.input.index.audio.length > 0 && (best === null || soundRank(file, best) >= 0)) best = file;
  }
  if (best === null) return null;
  const { index } = best.input;
  const { start } = best;
  const tracks = index.audio.flatMap((track) => {
    const timeline = soundTimeline(track, start);
    return typeof timeline === "string" ? [] : [{ track, timeline }];
  });
  return { file: best, tracks };
}

function soundRank(file: LadderFile, other: LadderFile): number {
  const [first, second] = [file.input.index.audio[0], other.input.index.audio[0]];
  if (first === undefined || second === undefined) return 0;
  const rate = ({ samples, timescale }: AudioTrack): number =>
    (samples.sizes.reduce((sum, size) => sum + size, 0) * timescale) / Math.max(1, samples.duration);
  return first.channels - second.channels || rate(first) - rate(second);
}
