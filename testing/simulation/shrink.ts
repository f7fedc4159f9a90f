import type { Script } from "./script.ts";
import type { Outcome } from "./world.ts";

/**
 * Leaves out steps as long as the course still breaks its promise in the same words: halves first, then single ones
 * (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002). At most `most` courses are played.
 */
export async function shrink(
  script: Script,
  play: (script: Script) => Promise<Outcome>,
  most: number,
): Promise<{ readonly script: Script; readonly outcome: Outcome }> {
  let best = { script, outcome: await play(script) };
  const why = kindOf(best.outcome);
  let played = 0;
  for (let size = Math.ceil(script.steps.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < best.script.steps.length && played < most; ) {
      const steps = best.script.steps.filter((_, place) => place < at || place >= at + size);
      const shorter = { ...best.script, steps };
      const outcome = await play(shorter);
      played++;
      if (kindOf(outcome) === why) best = { script: shorter, outcome };
      else at += size;
    }
  }
  return best;
}

/** The words of a failure without its numbers and names. */
function kindOf({ failure }: Outcome): string | undefined {
  return failure?.message.replace(/:.*/s, "").replace(/\d+|ada|ben|cleo|dov|eve/g, "");
}
