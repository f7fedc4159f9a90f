import { Worker } from "node:worker_threads";
import { caseSeed } from "./chance.ts";

/** Something that should not have happened, and how to make it happen again. */
export interface Finding {
  readonly target: string;
  readonly seed: number;
  readonly what: string;
  /** The case's bytes, base64; empty when there are none to show. */
  readonly bytes: string;
}

export interface InProcessReport {
  /** How many were tried: too many findings end a run early. */
  readonly cases: number;
  /** How many of each target's cases were taken as valid, of how many. */
  readonly byTarget: Readonly<Record<string, { readonly taken: number; readonly of: number }>>;
  readonly findings: readonly Finding[];
  /** The case that took longest. ms */
  readonly longest: { readonly ms: number; readonly target: string };
  /** Bytes that stayed in the heap and beside it between the first tenth and the end. */
  readonly growth: number;
}

/** What the worker is told. */
export interface Task {
  readonly cases: number;
  readonly seed: number;
  /** URL of a module whose `targets()` gives what takes the cases. */
  readonly targets: string;
  /** [case number, number of its target]: what it is at, for whoever watches. */
  readonly progress: SharedArrayBuffer;
}

/** What may stay behind a run. Bytes */
export const mostGrowth: number = 50 * 1024 * 1024;
const everyDecoder = new URL("decoders.ts", import.meta.url).href;

/** Runs cases in a thread of their own, which is ended when it stands at one for `patience` ms. */
export async function fuzzInProcess(of: {
  readonly cases: number;
  readonly seed: number;
  readonly targets?: string;
  readonly patience?: number;
}): Promise<InProcessReport> {
  const { cases, seed, targets = everyDecoder, patience = 60_000 } = of;
  const progress = new SharedArrayBuffer(8);
  const at = new Int32Array(progress);
  const workerData: Task = { cases, seed, targets, progress };
  const worker = new Worker(new URL("worker.ts", import.meta.url), { workerData });
  return new Promise((resolve, reject) => {
    let [last, since] = [-1, performance.now()];
    const watch = setInterval(() => {
      const now = Atomics.load(at, 0);
      if (now !== last) [last, since] = [now, performance.now()];
      if (performance.now() - since < patience) return;
      clearInterval(watch);
      void worker.terminate();
      const target = `number ${Atomics.load(at, 1)} of the targets`;
      const finding = { target, seed: caseSeed(seed, now), what: `case ${now} hangs`, bytes: "" };
      const longest = { ms: patience, target };
      resolve({ cases: now, byTarget: {}, findings: [finding], longest, growth: 0 });
    }, 500);
    worker.once("message", (report: InProcessReport) => {
      clearInterval(watch);
      resolve(withGrowth(report));
    });
    worker.once("error", (error) => {
      clearInterval(watch);
      reject(error);
    });
  });
}

function withGrowth(report: InProcessReport): InProcessReport {
  if (report.growth <= mostGrowth) return report;
  const finding = { target: "all", seed: 0, what: `${report.growth} bytes stay behind`, bytes: "" };
  return { ...report, findings: [...report.findings, finding] };
}
