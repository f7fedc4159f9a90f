/** What connections cost: memory and signing in of 10,000, and 5,000 who come at once. */
import { execFileSync } from "node:child_process";

import { median, quantile } from "./floors.ts";
import { cpuMs, load, loadOn, pin, residentBytes, serve, spread, startRelay } from "./letters.ts";
import type { LoadResult } from "./load.ts";
import type { Population } from "./population.ts";

export const open = 10_000;
const back = 5_000;
/** Of connections by TLS each handshake costs milliseconds. */
const openTls = 2_000;
/** Pairs who write to each other meanwhile, and how much. */
const pairs = 100;
const chat = { is: "open", perSecond: 1000, seconds: 8 } as const;

const environment = {
  NODE_OPTIONS: `--expose-gc --import ${new URL("collecting.ts", import.meta.url).href}`,
} as const;

function passed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Resident memory without garbage. bytes */
async function heldBytes(pid: number): Promise<number> {
  process.kill(pid, "SIGUSR2");
  await passed(2000);
  return residentBytes(pid);
}

interface Idle {
  /** Of one connection. */
  readonly kib: number;
  /** For opening one and signing in. ms */
  readonly cpu: number;
  readonly seconds: number;
}

/** `act` opens `count` connections and says how to end them. */
async function idle(
  pid: number,
  count: number,
  act: () => Promise<{ result: LoadResult; end: () => void }>,
): Promise<Idle> {
  const [before, cpu] = [await heldBytes(pid), cpuMs(pid)];
  const { result, end } = await act();
  const spent = cpuMs(pid) - cpu;
  const kib = ((await heldBytes(pid)) - before) / count / 1024;
  end();
  return { kib, cpu: spent / count, seconds: result.connected ?? Number.NaN };
}

async function bareIdle(population: Population): Promise<Idle> {
  const relay = await startRelay(environment);
  const { server, incarnation, people } = population;
  const work = { is: "connect", atOnce: 64 } as const;
  const figures = await idle(relay.pid, open, () =>
    load({ kind: "relay", url: relay.url, server, incarnation, people: people.slice(0, open), work }),
  );
  relay.end();
  return figures;
}

async function snugIdle(population: Population, tls = false): Promise<Idle> {
  await using served = await serve(population, environment);
  const work = { is: "connect", atOnce: 64 } as const;
  const count = tls ? openTls : open;
  return await idle(served.server.pid, count, () =>
    loadOn(served, population, { work, pairs: count / 2, tls }),
  );
}

/** As many at once to a bare `ws` server: what the load itself takes. */
async function bareStorm({ server, incarnation, people }: Population): Promise<LoadResult> {
  const relay = await startRelay();
  const work = { is: "connect", atOnce: back } as const;
  const coming = { work, people: people.slice(0, back) } as const;
  const { result, end } = await load({ kind: "relay", url: relay.url, server, incarnation, ...coming });
  end();
  relay.end();
  return result;
}

/** What the letters took that were due while those of `coming` came. */
function meanwhile(
  { letters = [] }: LoadResult,
  { began = 0, connected = 0 }: LoadResult,
): Pick<LoadResult, "p50" | "p99"> {
  const took = letters.filter(([due]) => due >= began && due < began + connected * 1000).map(([, ms]) => ms);
  return { p50: quantile(took, 0.5), p99: quantile(took, 0.99) };
}

/** After kill -9 `back` come at once; then all are gone, `pairs` write to each other, and as many come once more. */
async function storm(
  population: Population,
): Promise<{ restart: number; alone: LoadResult; quiet: LoadResult; beside: LoadResult; chat: LoadResult }> {
  await using served = await serve(population);
  const coming = { work: { is: "connect", atOnce: back }, pairs: back / 2 } as const;
  const first = await loadOn(served, population, coming);
  const begin = performance.now();
  await served.server.restart("SIGKILL");
  const restart = (performance.now() - begin) / 1000;
  first.end();
  pin(served.server.pid);
  const alone = await loadOn(served, population, coming);
  alone.end();
  // Both sides are busy with so many ends for a while.
  await passed(5000);
  const few = { work: chat, pairs };
  const from = (first: number): Population => ({ ...population, people: population.people.slice(first) });
  const quiet = await loadOn(served, population, few);
  quiet.end();
  const chatting = loadOn(served, from(2 * pairs), few);
  await passed(2500);
  const beside = await loadOn(served, from(4 * pairs), { ...coming, nice: 5 });
  const talk = await chatting;
  for (const { end } of [beside, talk]) end();
  return {
    restart,
    alone: alone.result,
    quiet: quiet.result,
    beside: beside.result,
    chat: { ...talk.result, ...meanwhile(talk.result, beside.result) },
  };
}

/** A process needs a descriptor for each; Node takes as many as it may. */
function checkDescriptors(): void {
  const most = execFileSync("sh", ["-c", "ulimit -Hn"], { encoding: "utf8" }).trim();
  if (Number(most) < open + 500) throw new Error(`ulimit -Hn is ${most}: raise it above ${open + 500}`);
}

/** Lines of what is measured with these `open` people, and its figures. */
export async function connectionFigures(
  population: Population,
  rounds: number,
): Promise<[string, ...string[]][]> {
  checkDescriptors();
  const idles: Record<"bare" | "plain" | "tls", Idle[]> = { bare: [], plain: [], tls: [] };
  const bareStorms: LoadResult[] = [];
  const storms: Awaited<ReturnType<typeof storm>>[] = [];
  for (let round = 0; round < rounds; round++) {
    idles.bare.push(await bareIdle(population));
    idles.plain.push(await snugIdle(population));
    idles.tls.push(await snugIdle(population, true));
    bareStorms.push(await bareStorm(population));
    storms.push(await storm(population));
  }
  const idleLine = (name: string, all: readonly Idle[], count = open): [string, ...string[]] => [
    `${count} idle connections: ${name}`,
    `${median(all.map(({ kib }) => kib)).toFixed(1)} KiB each (${all.map(({ kib }) => kib.toFixed(1)).join(" ")})`,
    `${median(all.map(({ cpu }) => cpu)).toFixed(2)} ms CPU to come`,
    `all there after ${median(all.map(({ seconds }) => seconds)).toFixed(1)} s, 64 at a time`,
  ];
  const of = (pick: "alone" | "quiet" | "beside" | "chat"): LoadResult[] => storms.map((one) => one[pick]);
  return [
    idleLine("bare ws", idles.bare),
    idleLine("Snug, plain, each another account", idles.plain),
    idleLine("Snug, TLS, each another account", idles.tls, openTls),
    [
      `restart after kill -9 with ${open} accounts`,
      `${median(storms.map(({ restart }) => restart)).toFixed(2)} s`,
    ],
    [
      `${back} coming to a bare ws server at once`,
      `${spread(bareStorms, "connected")} s`,
      `of the load's own CPU ${spread(bareStorms, "cpu")} s`,
    ],
    [
      `${back} coming back at once, until all are signed in`,
      `${spread(of("alone"), "connected")} s`,
      `of the load's own CPU ${spread(of("alone"), "cpu")} s`,
      `begun anew ${spread(of("alone"), "again")}`,
    ],
    [`letters at ${chat.perSecond}/s, alone`, ...chatFigures(of("quiet"))],
    [
      `the same while ${back} come at once`,
      ...chatFigures(of("chat")),
      `all there after ${spread(of("beside"), "connected")} s`,
    ],
  ];
}

function chatFigures(results: readonly LoadResult[]): string[] {
  return [
    `p50 ${spread(results, "p50")} ms`,
    `p99 ${spread(results, "p99")} ms`,
    `of it the load's own ${spread(results, "late")} ms`,
  ];
}
