import { serverTargets } from "./serverTargets.ts";
import { type Target, targetsOf } from "./targets.ts";
import { makeWorld } from "./world.ts";

/** Everything that reads bytes of somebody else, around people made for it. */
export async function targets(): Promise<readonly Target[]> {
  const world = await makeWorld();
  return [...targetsOf(world), ...serverTargets(world)];
}
