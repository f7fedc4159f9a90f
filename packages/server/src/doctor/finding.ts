/** What is looked at, in the order in which it is told. */
export const checks = [
  "node",
  "memory",
  "descriptors",
  "clock",
  "ffmpeg",
  "folder",
  "space",
  "disk",
  "database",
  "certificate",
  "port",
  "name",
] as const;
export type Check = (typeof checks)[number];

/** One thing that was looked at. What is not `ok` says what to do. */
export type Finding = { readonly check: Check; readonly fact: string } & (
  | { readonly verdict: "ok" }
  | { readonly verdict: "warn" | "fail"; readonly advice: string }
);

export function ok(check: Check, fact: string): Finding {
  return { check, verdict: "ok", fact };
}

/** It works, but not as well, or not for long. */
export function warn(check: Check, fact: string, advice: string): Finding {
  return { check, verdict: "warn", fact, advice };
}

/** It does not work, or what people wrote is in danger. */
export function fail(check: Check, fact: string, advice: string): Finding {
  return { check, verdict: "fail", fact, advice };
}
