// Faults that a decoder might have, each in a target of its own: what the runner must not miss.
import { SnugError } from "@snug/protocol";
import type { Target } from "./targets.ts";
import { hostileText } from "./values.ts";

const kept: Uint8Array[] = [];

function planted(name: string, take: Target["take"]): readonly Target[] {
  const make: Target["make"] = (chance) => new TextEncoder().encode(hostileText(chance));
  return [{ name, share: 1, make, take }];
}

const faults: Readonly<Record<string, Target["take"]>> = {
  crash: (bytes) => (undefined as unknown as { at: number }[])[bytes.length]?.at,
  reflection: (bytes) => {
    throw new SnugError("malformed", `what is ${new TextDecoder().decode(bytes).slice(0, 100)}?`);
  },
  "inside fault": () => {
    throw new SnugError("internal", "the server failed");
  },
  leak: () => kept.push(new Uint8Array(100_000).fill(1)),
  slowness: () => {
    const end = performance.now() + 1100;
    while (performance.now() < end);
  },
  hang: () => {
    for (;;);
  },
};

/**
 * The one that this module's URL names: `planted.ts?fault=crash`.
 *
 * @public Imported by the worker, by its URL.
 */
export async function targets(): Promise<readonly Target[]> {
  const name = new URL(import.meta.url).searchParams.get("fault") ?? "";
  const fault = faults[name];
  if (!fault) throw new RangeError(`no fault ${name}`);
  return planted(name, fault);
}
