/** Letters, connections and memory: Snug beside a bare relay with a group-committed append, in the same run. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import { ServedServer } from "../testing/served.ts";
import { median } from "./floors.ts";
import type { LoadOrder, LoadResult } from "./load.ts";
import type { Population } from "./population.ts";

const here = import.meta.dirname;
type Work = LoadOrder["work"];

/**
 * Runs one piece of load in its own process on core 1; `nice`: how far behind others it runs there, 0 to 19, when it is not
 * its own times that are looked at. `end` lets its connections go.
 */
export async function load(
  order: LoadOrder,
  { ca, nice = 0 }: { readonly ca?: string | undefined; readonly nice?: number | undefined } = {},
): Promise<{ result: LoadResult; end: () => void }> {
  const args = ["-n", String(nice), "taskset", "-c", "1", process.execPath, `${here}/load.ts`];
  const child: ChildProcess = spawn("nice", args, {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, ...(ca ? { NODE_EXTRA_CA_CERTS: ca } : {}) },
  });
  child.stdin?.write(`${JSON.stringify(order)}\n`);
  const lines = createInterface({ input: child.stdout ?? process.stdin });
  const line = await new Promise<string>((resolve, reject) => {
    lines.once("line", resolve);
    child.once("exit", (code) => reject(new Error(`the load ended with ${code}`)));
  });
  return { result: JSON.parse(line) as LoadResult, end: () => child.stdin?.end() };
}

/** To core 0, with all its threads. */
export function pin(pid: number): void {
  execFileSync("taskset", ["-a", "-c", "-p", "0", String(pid)], { stdio: "ignore" });
}

/** A server on a copy of the population's folder, pinned to core 0. */
export async function serve(
  population: Population,
  environment: Readonly<Record<string, string>> = {},
): Promise<{ server: ServedServer; data: string } & AsyncDisposable> {
  const data = await population.copy();
  const server = await ServedServer.start({ data, environment });
  pin(server.pid);
  const dispose = async (): Promise<void> => {
    await server.stop();
    await rm(data, { recursive: true });
    await server[Symbol.asyncDispose]();
  };
  return { server, data, [Symbol.asyncDispose]: dispose };
}

/** One round of some work on a fresh server. */
export async function snugRound(
  population: Population,
  of: { readonly work: Work; readonly pairs: number; readonly tls?: boolean },
): Promise<LoadResult> {
  await using served = await serve(population);
  const { result, end } = await loadOn(served, population, of);
  end();
  return result;
}

/** Load on a running server; its connections stay until `end`. */
export async function loadOn(
  { server, data }: { readonly server: ServedServer; readonly data: string },
  population: Population,
  of: { readonly work: Work; readonly pairs: number; readonly tls?: boolean; readonly nice?: number },
): Promise<{ result: LoadResult; end: () => void }> {
  const { url, localUrl } = server.listening;
  const { incarnation } = population;
  const order: LoadOrder = {
    kind: "snug",
    url: (of.tls ? url : localUrl).replace(/^http/, "ws"),
    server: population.server,
    incarnation,
    people: population.people.slice(0, of.pairs * 2),
    work: of.work,
  };
  return load(order, { ca: of.tls ? `${data}/tls/authority.crt` : undefined, nice: of.nice });
}

/** The same work on the relay. */
export async function relayRound(population: Population, work: Work, pairs: number): Promise<LoadResult> {
  const relay = await startRelay();
  const { server, incarnation, people } = population;
  const { result, end } = await load({
    ...{ kind: "relay", url: relay.url, server, incarnation, work },
    people: people.slice(0, pairs * 2),
  });
  end();
  relay.end();
  return result;
}

/** The bare `ws` server, on core 0. */
export async function startRelay(
  environment: Readonly<Record<string, string>> = {},
): Promise<{ url: string; pid: number; end: () => void }> {
  const relay = spawn("taskset", ["-c", "0", process.execPath, `${here}/relay.ts`], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    env: { ...process.env, ...environment },
  });
  const port = await new Promise<number>((resolve) =>
    relay.once("message", (message: { port: number }) => resolve(message.port)),
  );
  return { url: `ws://127.0.0.1:${port}`, pid: relay.pid ?? 0, end: () => relay.disconnect() };
}

/** Resident memory of a process, bytes. */
export function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
}

/** User and system time of a process so far, ms (clock ticks of 10 ms). */
export function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

export type Figure = Exclude<keyof LoadResult, "letters">;

/** Median, least and most of one figure over the rounds. */
export function spread(results: readonly LoadResult[], pick: Figure): string {
  const values = results.map((one) => one[pick] ?? Number.NaN);
  const show = (value: number): string => (value >= 100 ? String(Math.round(value)) : value.toFixed(2));
  return `${show(median(values))} (${show(Math.min(...values))}–${show(Math.max(...values))})`;
}
