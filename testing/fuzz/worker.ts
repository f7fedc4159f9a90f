// The thread that runs the cases: a case that never ends must not take the watcher with it.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { parentPort, workerData } from "node:worker_threads";
import { Chance, caseSeed } from "./chance.ts";
import type { Finding, InProcessReport, Task } from "./inProcess.ts";
import { isRefusal, type Target } from "./targets.ts";

/** A case must be done in so many ms; a slow machine gets two more tries. */
const limit = 1000;
const mostFindings = 20;

const { cases, seed, progress, targets: module } = workerData as Task;
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
parentPort?.postMessage(await run());

async function run(): Promise<InProcessReport> {
  const { targets: make } = (await import(module)) as { targets: () => Promise<readonly Target[]> };
  const targets = await make();
  const at = new Int32Array(progress);
  const byTarget: Record<string, { taken: number; of: number }> = {};
  const findings: Finding[] = [];
  let longest = { ms: 0, target: "" };
  let before = 0;
  let number = 0;
  for (; number < cases && findings.length < mostFindings; number++) {
    Atomics.store(at, 0, number);
    if (number === Math.floor(cases / 10)) before = held();
    const chance = new Chance(caseSeed(seed, number));
    const target = choose(targets, chance);
    Atomics.store(at, 1, targets.indexOf(target));
    const seen = byTarget[target.name] ?? { taken: 0, of: 0 };
    byTarget[target.name] = seen;
    seen.of++;
    const bytes = await target.make(chance);
    const { what, ms } = await judge(target, bytes);
    if (ms > longest.ms) longest = { ms: Math.round(ms), target: target.name };
    if (what === "taken") seen.taken++;
    else if (what !== "refused") {
      const shown = Buffer.from(bytes.subarray(0, 4096)).toString("base64");
      findings.push({ target: target.name, seed: caseSeed(seed, number), what, bytes: shown });
    }
  }
  return { cases: number, byTarget, findings, longest, growth: held() - before };
}

function choose(targets: readonly Target[], chance: Chance): Target {
  let left = chance.below(targets.reduce((sum, { share }) => sum + share, 0));
  for (const target of targets) {
    left -= target.share;
    if (left < 0) return target;
  }
  throw new RangeError("shares that do not add up");
}

async function judge(target: Target, bytes: Uint8Array): Promise<{ what: string; ms: number }> {
  let fastest = Infinity;
  let what = "";
  for (let tries = 0; tries < 3; tries++) {
    const start = performance.now();
    what = await attempt(target, bytes);
    fastest = Math.min(fastest, performance.now() - start);
    if (fastest < limit) return { what, ms: fastest };
  }
  return { what: `took ${Math.round(fastest)} ms (${what})`, ms: fastest };
}

async function attempt(target: Target, bytes: Uint8Array): Promise<string> {
  try {
    await target.take(bytes);
    return "taken";
  } catch (error) {
    if (isRefusal(error)) return "refused";
    return error instanceof Error ? `${error.message.slice(0, 500)}\n${error.stack ?? ""}` : String(error);
  }
}

/** Bytes that can't be let go. */
function held(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
