import { z } from "zod";
import { limits } from "./limits.ts";

/**
 * Who is here is one bit for each account, in the order in which the directory log has them, the lowest of a byte
 * first; an account beyond the end is away. What of it has changed travels as runs of bytes as they are now.
 */
export const PresenceRun = z
  .strictObject({
    from: z.int().nonnegative().max(limits.presence),
    bits: z.instanceof(Uint8Array).refine(({ length }) => length > 0),
  })
  .refine(({ from, bits }) => from + bits.length <= limits.presence);
export type PresenceRun = z.infer<typeof PresenceRun>;

/** What another run costs: equal bytes between two changes are sent along up to here. */
const runOverhead = 16;

/** The bytes of `now` that are not those of `before`; bytes that `before` doesn't have are 0. */
export function presenceRuns(before: Uint8Array, now: Uint8Array): PresenceRun[] {
  const found: { from: number; end: number }[] = [];
  for (let at = 0; at < now.length; at++) {
    if (now[at] === (before[at] ?? 0)) continue;
    const last = found.at(-1);
    if (last && at - last.end < runOverhead) last.end = at + 1;
    else found.push({ from: at, end: at + 1 });
  }
  return found.map(({ from, end }) => ({ from, bits: now.slice(from, end) }));
}

/** The bits after these runs. */
export function takePresence(bits: Uint8Array, runs: readonly PresenceRun[]): Uint8Array {
  const length = runs.reduce((most, run) => Math.max(most, run.from + run.bits.length), bits.length);
  const taken = new Uint8Array(length);
  taken.set(bits);
  for (const run of runs) taken.set(run.bits, run.from);
  return taken;
}

/** Whether the account at this position of the log's accounts is here. */
export function isPresent(bits: Uint8Array, position: number): boolean {
  return ((bits[position >> 3] ?? 0) & (1 << (position & 7))) !== 0;
}
