const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "short" });
const date = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const longDay = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

const dayLength = 86_400_000;

/** 20:41. Times here are ms since 1970. */
export function clockTime(time: number): string {
  return clock.format(time);
}

/** As short as a list wants it: today's time, this week's day, else the date. */
export function listTime(time: number, now: number): string {
  const days = daysBetween(time, now);
  if (days <= 0) return clock.format(time);
  return days < 7 ? weekday.format(time) : date.format(time);
}

/** Mon 30 Nov, 20:41: when something ends. */
export function endTime(time: number): string {
  return `${weekday.format(time)} ${date.format(time)}, ${clock.format(time)}`;
}

export function dayName(time: number, now: number): string {
  const days = daysBetween(time, now);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  return longDay.format(time);
}

export function sameDay(a: number, b: number): boolean {
  return daysBetween(a, b) === 0;
}

function daysBetween(earlier: number, later: number): number {
  return Math.round((midnight(later) - midnight(earlier)) / dayLength);
}

function midnight(time: number): number {
  return new Date(time).setHours(0, 0, 0, 0);
}

/** Seconds → 0:24, 12:30, 1:48:07: the position in a film. */
export function position(seconds: number): string {
  const whole = Number.isFinite(seconds) ? Math.max(0, Math.floor(seconds)) : 0;
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  const rest = String(whole % 60).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** Microseconds → 0:24, 52:10, 1 h 48: how long a film is. */
export function length(microseconds: number): string {
  const minutes = Math.round(microseconds / 60e6);
  return minutes < 60
    ? position(microseconds / 1e6)
    : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")}`;
}

/** Bytes → 1.9 GB. */
export function size(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const step = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const value = bytes / 1000 ** step;
  return `${value.toFixed(step > 1 && value < 10 ? 1 : 0)} ${units[step]}`;
}
