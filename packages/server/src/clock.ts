/**
 * Long before this version was made: a clock that says less was never set. An authority made from here on, which lives
 * ten years, outlasts what it is made for. ms since 1970
 */
const earliest = Date.UTC(2025, 0, 1);

/** Whether a clock can't be right, as on a computer without one that has not reached a time server yet. */
export function isUnset(now: number): boolean {
  return now < earliest;
}
