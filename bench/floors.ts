import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** How fast this disk makes 1 KiB appends durable, one after another: the floor under every "durable" figure. */
export function fsyncFloor(times = 2000): { perSecond: number; p50: number; p99: number } {
  const folder = mkdtempSync(join(tmpdir(), "snug-floor-"));
  const file = openSync(join(folder, "floor"), "w");
  const block = new Uint8Array(1024);
  const took: number[] = [];
  try {
    for (let i = 0; i < times; i++) {
      const start = performance.now();
      writeSync(file, block);
      fdatasyncSync(file);
      took.push(performance.now() - start);
    }
  } finally {
    closeSync(file);
    rmSync(folder, { recursive: true });
  }
  const total = took.reduce((sum, one) => sum + one, 0);
  return { perSecond: (times * 1000) / total, p50: quantile(took, 0.5), p99: quantile(took, 0.99) };
}

/** How many SHA-256 of 1 KiB a core does a second: places this machine beside another. */
export async function cpuFloor(): Promise<number> {
  const { createHash } = await import("node:crypto");
  const block = new Uint8Array(1024);
  const end = performance.now() + 500;
  let count = 0;
  while (performance.now() < end) {
    for (let i = 0; i < 100; i++) createHash("sha256").update(block).digest();
    count += 100;
  }
  return count * 2;
}

/** The q-quantile by nearest rank; NaN of nothing. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}
