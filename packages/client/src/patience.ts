import { SnugError } from "@snug/protocol";
import type { Platform } from "./platform.ts";

/** Waits between tries, in ms: a server that says "too many" for longer has something against us. */
const pauses: readonly number[] = [1_000, 2_000, 4_000, 8_000, 16_000];

/**
 * Asks again after a while when the server answers `too-many`, and gives that answer only when it never ends. Once
 * `over` is, nobody waits any more.
 */
export async function patiently<T>(
  platform: Platform,
  ask: () => Promise<T>,
  over?: Promise<unknown>,
): Promise<T> {
  for (const pause of pauses) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof SnugError) || error.code !== "too-many") throw error;
      await new Promise<void>((resolve) => {
        const callOff = platform.after(pause, resolve);
        void over?.then(callOff).then(resolve);
      });
    }
  }
  return ask();
}
