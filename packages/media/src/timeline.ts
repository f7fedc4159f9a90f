import { silentFrame } from "./aac.ts";
import type { SampleTable } from "./sampleTable.ts";
import type { AudioTrack, Edit, VideoTrack } from "./track.ts";

/** Sound frames kept in front of the first heard one: one for the overlap, the rest for HE-AAC's headers. */
const PREROLL_UNITS = 4;
/** A frame that lasts longer stands for missing sound; players would lose their place. */
const MAX_UNIT_SECONDS = 2;
/** Longer films are refused, so that no file can claim more silence or more pieces than a real one has. */
const MAX_SECONDS = 24 * 3600;

/** The pictures of a file that its edit list shows. */
export interface PictureTimeline {
  /** Samples [first, end) in decode order. */
  readonly first: number;
  readonly end: number;
  /** Media time of the first presented picture, which is 0 on the title's line, and of the end of the last. */
  readonly start: number;
  readonly endTime: number;
}

/**
 * The sound of a file on the title's line. Units are AAC frames in order: first `silentUnits` of silence made by
 * us, then the samples from `firstSample` on. The media line of the rendition is the title's line plus `lead`.
 */
export interface SoundTimeline {
  readonly silentUnits: number;
  readonly firstSample: number;
  readonly units: number;
  /** Title time of a sample is its media time minus this, ticks of the track. */
  readonly shift: number;
  /** Ticks of a whole unit. */
  readonly unitTicks: number;
  /** Title time at which the sound ends. */
  readonly endTime: number;
  /** What lies before 0 and is decoded without being heard: priming and pre-roll, ticks. */
  readonly lead: number;
}

/** The time at which an edit stops presenting, ticks of the track's media. */
const editEnd = (edit: Edit): number =>
  edit.mediaDuration === 0 ? Number.POSITIVE_INFINITY : edit.mediaTime + edit.mediaDuration;

/** Which pictures are shown, or why the file can't be cut exactly. */
export function pictureTimeline(track: VideoTrack, movieTimescale: number): PictureTimeline | string {
  const { cuts, edit, samples } = track;
  const { times } = samples;
  const start = firstShown(times, edit.mediaTime);
  const cut = cuts.findIndex((sample) => times[sample] === start);
  if (cut < 0) {
    return cuts.length === 0 || (cuts[0] ?? 0) > 0
      ? "video: the file does not begin with a picture to start from"
      : "video: the edit list begins between two pictures to start from";
  }
  const first = cuts[cut] ?? 0;
  const limit = editEnd(edit);
  let end = first;
  while (end < times.length && (times[end] ?? 0) < limit) end++;
  if (times.subarray(end).some((time) => time < limit)) {
    return "video: the edit list ends between pictures that need each other";
  }
  // The container knows only decode durations; their sum is the span of the presentation.
  let earliest = Number.POSITIVE_INFINITY;
  let latest = Number.NEGATIVE_INFINITY;
  for (const time of times) if (time < earliest) earliest = time;
  for (let sample = first; sample < end; sample++) latest = Math.max(latest, times[sample] ?? 0);
  const full = earliest + samples.duration;
  const movieTick = track.timescale / movieTimescale;
  const wanted = full - limit > movieTick ? limit : full;
  if (Math.max(full, latest) - start > MAX_SECONDS * track.timescale) return "video: longer than 24 hours";
  const average = Math.max(1, Math.round(samples.duration / times.length));
  return { first, end, start, endTime: wanted > latest ? Math.ceil(wanted) : latest + average };
}

/** The time of the picture that is on screen at `mediaTime`, or else of the first one. */
function firstShown(times: Float64Array, mediaTime: number): number {
  let before = Number.NEGATIVE_INFINITY;
  let earliest = Number.POSITIVE_INFINITY;
  for (const time of times) {
    if (time <= mediaTime && time > before) before = time;
    if (time < earliest) earliest = time;
  }
  return before === Number.NEGATIVE_INFINITY ? earliest : before;
}

/** Seconds on the file's own line at which a media time is presented. */
export function presentationStart(
  { edit, timescale }: { readonly edit: Edit; readonly timescale: number },
  mediaTime: number,
): number {
  return (edit.delay + mediaTime - edit.mediaTime) / timescale;
}

/** Where a sound track lies on the line whose 0 is at `start` seconds of the file's own; or why it can't. */
export function soundTimeline(track: AudioTrack, start: number): SoundTimeline | string {
  const { edit, samples, timescale } = track;
  const shift = edit.mediaTime + Math.round(timescale * start - edit.delay);
  const { times, duration } = samples;
  if (hasGaps(times, duration, timescale)) return "sound: its frames have gaps";
  const mediaEnd = Math.min(duration, editEnd(edit));
  const heard = Math.max(edit.mediaTime, shift);
  const after = firstAtOrAfter(times, heard + 1);
  const firstHeard = Math.max(0, after - 1);
  const firstSample = Math.max(0, firstHeard - PREROLL_UNITS);
  const end = firstAtOrAfter(times, mediaEnd);
  const endTime = mediaEnd - shift;
  if (end <= firstHeard || endTime <= 0) return "sound: nothing of it lies within the film";
  if (endTime > MAX_SECONDS * timescale) return "sound: longer than 24 hours";
  const unitTicks = wholeUnit(samples, timescale, track.sampleRate);
  const begins = (times[firstSample] ?? 0) - shift;
  const silentUnits = begins > 0 ? Math.ceil(begins / unitTicks) : 0;
  if (silentUnits > 0 && silentFrame(track.channels) === null) return "sound: it begins after the picture";
  return {
    silentUnits,
    firstSample,
    units: silentUnits + end - firstSample,
    shift,
    unitTicks,
    endTime,
    lead: silentUnits * unitTicks - begins,
  };
}

/** Whether a frame has no length, or one that no frame has. */
function hasGaps(times: Float64Array, duration: number, timescale: number): boolean {
  for (const [index, time] of times.entries()) {
    const ticks = (times[index + 1] ?? duration) - time;
    if (ticks < 0 || (ticks === 0 && index + 1 < times.length) || ticks > timescale * MAX_UNIT_SECONDS)
      return true;
  }
  return false;
}

function wholeUnit({ times }: SampleTable, timescale: number, sampleRate: number): number {
  const [first, second] = [times[0] ?? 0, times[1] ?? 0];
  return second > first ? second - first : Math.max(1, Math.round((1024 * timescale) / sampleRate));
}

/** The media-line time at which a unit begins; `units` gives the end of the sound. */
export function unitTime(track: AudioTrack, sound: SoundTimeline, unit: number): number {
  if (unit >= sound.units) return sound.endTime + sound.lead;
  if (unit < sound.silentUnits) return unit * sound.unitTicks;
  const sample = sound.firstSample + unit - sound.silentUnits;
  return (track.samples.times[sample] ?? 0) - sound.shift + sound.lead;
}

/** The first index whose value is at least `value`, in ascending values. */
function firstAtOrAfter(values: Float64Array, value: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((values[middle] ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
