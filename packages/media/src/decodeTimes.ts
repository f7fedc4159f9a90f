/** Pictures that H.264 can hold back for reordering (ISO/IEC 14496-10, A.3.1: max_dec_frame_buffering). */
export const MAX_REORDER = 16;

/**
 * How far a picture's place in decode order runs ahead of its place on screen, at most: the smallest lag with
 * which every picture is decoded by the time it is shown. `sorted` are the same times, ascending.
 */
export function reorderDepth(times: Float64Array, sorted: Float64Array): number {
  let depth = 0;
  let shown = 0;
  let latest = Number.NEGATIVE_INFINITY;
  for (const [index, time] of times.entries()) {
    // Only a picture that is shown before an earlier one can be late.
    if (time > latest) {
      latest = time;
      continue;
    }
    shown = 0;
    let high = sorted.length - 1;
    while (shown < high) {
      const middle = (shown + high) >> 1;
      if ((sorted[middle] ?? 0) < time) shown = middle + 1;
      else high = middle;
    }
    depth = Math.max(depth, index - shown);
  }
  return depth;
}

/**
 * Decode times for the pictures of a segment, given their presentation times in decode order; one more entry
 * stands for the segment's end. Players read them in different ways, so they fulfil what each of them needs:
 *
 * - the first is the first picture's own time: hls.js lays the segment on its line by it;
 * - they end with the presentation's end, so that consecutive segments leave no gap in decode time;
 * - none lies after its picture: with a negative composition offset FFmpeg (mpv, VLC) moves the whole track by
 *   it, and again whenever it meets a larger one;
 * - picture + sample duration never reaches past the segment: MSE would remove the next segment's first picture
 *   where that is already buffered.
 *
 * So pictures are decoded evenly, `depth` pictures early; the first few close together, the last few slower. It
 * needs `depth` ticks between the first two pictures.
 */
export function decodeTimes(times: Float64Array, end: number): Float64Array {
  const sorted = times.slice().sort();
  const depth = reorderDepth(times, sorted);
  const decode = new Float64Array(times.length + 1);
  decode[times.length] = end;
  for (let index = times.length - 1; index >= 0; index--) {
    const even = index > depth ? (sorted[index - depth] ?? 0) : leadIn(sorted, index, depth);
    const latest = (times[index] ?? 0) + (decode[index + 1] ?? 0) - end;
    decode[index] = Math.max(even, latest);
  }
  return decode;
}

const leadIn = (sorted: Float64Array, index: number, depth: number): number =>
  index === 0 ? (sorted[0] ?? 0) : (sorted[1] ?? 0) - (depth + 1 - index);
