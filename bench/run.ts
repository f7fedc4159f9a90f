/**
 * `npm run bench -- [ROUNDS] [letters|connections|server|video]…`: what is claimed, measured beside a floor or a peer
 * in the same run. The server is pinned to core 0, the load to core 1 in a process of its own; rounds are interleaved.
 * Prints only; what is kept goes into RESULTS.md by hand.
 */
import { cpus } from "node:os";
import { setTimeout } from "node:timers/promises";
import { ServedServer } from "../testing/served.ts";
import { connectionFigures, open } from "./connections.ts";
import { cpuFloor, fsyncFloor, median } from "./floors.ts";
import {
  cpuMs,
  type Figure,
  loadOn,
  relayRound,
  residentBytes,
  serve,
  snugRound,
  spread,
} from "./letters.ts";
import type { LoadOrder, LoadResult } from "./load.ts";
import { type Population, populate } from "./population.ts";
import { videoFigures } from "./video.ts";

const pairs = 100;
const [times = "5", ...chosen] = process.argv.slice(2);
const rounds = Number(times);
const parts = { letters, connections, server, video };

function say(what: string, ...figures: string[]): void {
  process.stdout.write(`${what.padEnd(52)} ${figures.join("   ")}\n`);
}

async function repeat<T>(act: () => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let round = 0; round < rounds; round++) results.push(await act());
  return results;
}

async function letters(): Promise<void> {
  await using population = await populate(2 * pairs);
  const closed = { is: "closed", window: 4, seconds: 5 } as const;
  const offline = { is: "offline", window: 4, letters: 400 } as const;
  const all: Record<"relay" | "plain" | "tls" | "away", LoadResult[]> = {
    relay: [],
    plain: [],
    tls: [],
    away: [],
  };
  await repeat(async () => {
    all.relay.push(await relayRound(population, closed, pairs));
    all.plain.push(await snugRound(population, { work: closed, pairs }));
    all.tls.push(await snugRound(population, { work: closed, pairs, tls: true }));
    all.away.push(await snugRound(population, { work: offline, pairs }));
  });
  for (const [name, results] of [
    ["bare relay + append", all.relay],
    ["Snug, plain", all.plain],
    ["Snug, TLS", all.tls],
  ] as const) {
    say(`durable 1:1, ${pairs} pairs, window 4: ${name}`, ...closedFigures(results));
  }
  const ratios = all.plain.map((one, n) => (one.accepted ?? 0) / (all.relay[n]?.accepted ?? 0));
  say("  Snug, plain, of the relay, round by round", ratios.map((ratio) => ratio.toFixed(2)).join(" "));
  say("accepted for somebody offline", `${spread(all.away, "accepted")}/s`);
  say("drain after coming back", `${spread(all.away, "drained")}/s`);
  for (const [name, results, tls] of [
    ["plain", all.plain, false],
    ["TLS", all.tls, true],
  ] as const) {
    const perSecond = Math.round(median(results.map(({ accepted }) => accepted ?? 0)) / 2);
    const work = { is: "open", perSecond, seconds: 14 } as const;
    const found: Record<"snug" | "relay", LoadResult[]> = { snug: [], relay: [] };
    await repeat(async () => {
      found.snug.push(await snugRound(population, { work, pairs, tls }));
      if (!tls) found.relay.push(await relayRound(population, work, pairs));
    });
    for (const who of tls ? (["snug"] as const) : (["snug", "relay"] as const)) {
      const times = (["p50", "p99", "cold"] as const).map((pick) => `${pick} ${spread(found[who], pick)} ms`);
      say(`open loop, ${perSecond}/s, half load of Snug, ${name}: ${who}`, ...times);
    }
  }
  await beside(population);
  const one = { work: { is: "closed", window: 1, seconds: 3 }, pairs: 1 } as const;
  say(
    "one letter in flight: bare relay + append",
    ...closedFigures(await repeat(() => relayRound(population, one.work, 1))),
  );
  say("one letter in flight: Snug, plain", ...closedFigures(await repeat(() => snugRound(population, one))));
  const change = { is: "directory", statements: population.statements } as const;
  const heard = await repeat(() => snugRound(population, { work: change, pairs }));
  say(`directory change to ${2 * pairs}`, `p50 ${spread(heard, "p50")} ms`, `p99 ${spread(heard, "p99")} ms`);
}

function closedFigures(results: readonly LoadResult[]): string[] {
  const figure = (pick: Figure): string => spread(results, pick);
  return [
    `accepted ${figure("accepted")}/s`,
    `delivered ${figure("delivered")}/s`,
    `p50 ${figure("p50")} ms`,
    `p99 ${figure("p99")} ms`,
  ];
}

/** Chat alone and beside readers of film. */
async function beside(population: Population): Promise<void> {
  const chat = { is: "open", perSecond: 200, seconds: 12 } as const;
  const quiet: LoadResult[] = [];
  const busy: LoadResult[] = [];
  const watched: LoadResult[] = [];
  await repeat(async () => {
    await using served = await serve(population);
    const work = { is: "watch", readers: 50, seconds: 14 } as const;
    quiet.push(await once(served, population, chat));
    const watching = loadOn(served, population, { work, pairs: 1, nice: 19 });
    busy.push(await once(served, population, chat, 1));
    const { result, end } = await watching;
    end();
    watched.push(result);
  });
  const chatted = (of: readonly LoadResult[]): string =>
    `p99 ${spread(of, "p99")} ms, of which the load itself ${spread(of, "late")}`;
  say("chat at 200/s", chatted(quiet));
  say("the same beside 50 readers of segments", chatted(busy), `${spread(watched, "bytes")} B/s`);
}

/** `skip` pairs are somebody else's in this round. */
async function once(
  served: Awaited<ReturnType<typeof serve>>,
  population: Population,
  work: LoadOrder["work"],
  skip = 0,
): Promise<LoadResult> {
  const people = population.people.slice(
    2 * (skip === 0 ? pairs / 2 : 1),
    2 * (skip === 0 ? pairs : pairs / 2),
  );
  const { result, end } = await loadOn(served, { ...population, people }, { work, pairs: people.length / 2 });
  end();
  return result;
}

async function connections(): Promise<void> {
  await using population = await populate(open);
  await starts(population);
  for (const [what, ...figures] of await connectionFigures(population, rounds)) say(what, ...figures);
}

/** What accounts add to a start that is not a folder's first: CPU until it listens. */
async function starts(population: Population): Promise<void> {
  await using none = await ServedServer.start();
  await using many = await ServedServer.start({ data: await population.copy() });
  const spent = { none: [] as number[], many: [] as number[] };
  await repeat(async () => {
    for (const [name, served] of Object.entries({ none, many }) as ["none" | "many", ServedServer][]) {
      await served.restart("SIGTERM");
      spent[name].push(cpuMs(served.pid));
    }
  });
  say(`CPU of a start, no accounts | ${open}`, `${median(spent.none)} | ${median(spent.many)} ms`);
}

/** Within 50 s of rest the library's thread has ended (VL15) and the others have tidied up (O60); a busy machine is later. ms */
const restTime = 60_000;

/** Memory just after the start and at rest, and spawn → first answered request on a folder that exists. */
async function server(): Promise<void> {
  const took: number[] = [];
  const memory = { first: [] as number[], second: [] as number[] };
  const atRest = { first: [] as number[], second: [] as number[] };
  const measure = async (pid: number, start: "first" | "second"): Promise<void> => {
    memory[start].push(residentBytes(pid) / 1e6);
    await setTimeout(restTime);
    atRest[start].push(residentBytes(pid) / 1e6);
  };
  await repeat(async () => {
    await using served = await ServedServer.start();
    await measure(served.pid, "first");
    await served.stop();
    const begin = performance.now();
    await served.restart("SIGTERM");
    // Asked once it says that it listens: who asks without a pause takes a core from what starts on two.
    await (await fetch(served.listening.localUrl)).text();
    took.push(performance.now() - begin);
    await measure(served.pid, "second");
  });
  say("start → first answered request, second start", `${Math.round(median(took))} ms`);
  for (const [when, { first, second }] of [
    ["just started", memory],
    [`at rest (${restTime / 1000} s)`, atRest],
  ] as const) {
    const figures = `${Math.round(median(first))} | ${Math.round(median(second))} MB`;
    say(`memory of the server ${when}, first | second start`, figures);
  }
}

async function video(): Promise<void> {
  for (const [what, ...figures] of await videoFigures()) say(what, ...figures);
}

say("machine", `${cpus()[0]?.model ?? "?"} × ${cpus().length}`, `node ${process.version}`);
const floor = fsyncFloor();
say("disk floor: fdatasync of 1 KiB", `${Math.round(floor.perSecond)}/s`, `p50 ${floor.p50.toFixed(3)} ms`);
say("CPU floor: SHA-256 of 1 KiB", `${Math.round(await cpuFloor())}/s`);
for (const [name, part] of Object.entries(parts)) {
  if (chosen.length === 0 || chosen.includes(name)) await part();
}
