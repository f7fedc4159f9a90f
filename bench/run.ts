/**
 * `npm run bench`: what is claimed, measured beside a floor or a peer in the same run.
 * The server is pinned to core 0, the load to core 1. Print only; what is kept goes into RESULTS.md by hand.
 */
import { execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { ServedServer } from "../testing/served.ts";
import { cpuFloor, fsyncFloor, median } from "./floors.ts";
import type { LoadOrder, PhaseResult } from "./load.ts";
import { videoFigures } from "./video.ts";

const here = import.meta.dirname;
const rounds = Number(process.argv[2] ?? 3);
const phases: LoadOrder["phases"] = [
  { name: "one in flight", inFlight: 1, seconds: 3 },
  { name: "400 in flight", inFlight: 50, seconds: 6 },
];
const pairs = 8;

function say(what: string, ...figures: string[]): void {
  process.stdout.write(`${what.padEnd(44)} ${figures.join("   ")}\n`);
}

/** Runs the load in its own process on core 1 and returns its phases. */
async function load(order: Omit<LoadOrder, "phases" | "pairs">, ca?: string): Promise<PhaseResult[]> {
  const child = spawn(
    "taskset",
    ["-c", "1", process.execPath, `${here}/load.ts`, JSON.stringify({ ...order, phases, pairs })],
    {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, ...(ca ? { NODE_EXTRA_CA_CERTS: ca } : {}) },
    },
  );
  let out = "";
  for await (const piece of child.stdout) out += String(piece);
  return JSON.parse(out) as PhaseResult[];
}

function pin(pid: number, core: number): void {
  execFileSync("taskset", ["-a", "-c", "-p", String(core), String(pid)], { stdio: "ignore" });
}

function residentMiB(pid: number): number {
  const line = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Math.round(Number(line?.[1]) / 1024);
}

async function relayRound(): Promise<PhaseResult[]> {
  const relay = spawn("taskset", ["-c", "0", process.execPath, `${here}/relay.ts`], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const port = await new Promise<number>((resolve) =>
    relay.once("message", (message: { port: number }) => resolve(message.port)),
  );
  const result = await load({
    kind: "relay",
    localUrl: `ws://127.0.0.1:${port}`,
    serverId: "",
    setupLink: "",
  });
  relay.disconnect();
  return result;
}

async function snugRound(tls: boolean): Promise<{ phases: PhaseResult[]; idle: number; loaded: number }> {
  await using server = await ServedServer.start();
  pin(server.pid, 0);
  const idle = residentMiB(server.pid);
  const { listening } = server;
  const result = await load(
    {
      kind: "snug",
      localUrl: tls ? listening.url : listening.localUrl,
      serverId: listening.serverId,
      setupLink: listening.setupLink ?? "",
    },
    tls ? `${server.folder}/data/tls/authority.crt` : undefined,
  );
  return { phases: result, idle, loaded: residentMiB(server.pid) };
}

/** Spawn → first answered request, on a folder that exists. Milliseconds. */
async function starts(): Promise<number[]> {
  await using server = await ServedServer.start();
  const took: number[] = [];
  for (let n = 0; n < 5; n++) {
    const { localUrl } = server.listening;
    await server.stop();
    const begin = performance.now();
    const again = server.restart("SIGTERM");
    for (;;) {
      const answer = await fetch(localUrl).catch(() => null);
      if (answer?.ok) break;
    }
    took.push(performance.now() - begin);
    await again;
  }
  return took;
}

say("machine", `${cpus()[0]?.model ?? "?"} × ${cpus().length}`, `node ${process.version}`);
const floor = fsyncFloor();
say("disk floor: fdatasync of 1 KiB", `${Math.round(floor.perSecond)}/s`, `p50 ${floor.p50.toFixed(3)} ms`);
say("CPU floor: SHA-256 of 1 KiB", `${Math.round(await cpuFloor())}/s`);

const rows: Record<string, PhaseResult[][]> = {
  "bare relay + append": [],
  "Snug, plain": [],
  "Snug, TLS": [],
};
const memory: { idle: number; loaded: number }[] = [];
for (let round = 0; round < rounds; round++) {
  rows["bare relay + append"]?.push(await relayRound());
  const plain = await snugRound(false);
  memory.push(plain);
  rows["Snug, plain"]?.push(plain.phases);
  rows["Snug, TLS"]?.push((await snugRound(true)).phases);
}
for (const [at, phase] of phases.entries()) {
  for (const [name, all] of Object.entries(rows)) {
    const of = (pick: (one: PhaseResult) => number) =>
      median(all.map((one) => one[at]).map((one) => (one ? pick(one) : Number.NaN)));
    say(
      `durable 1 KiB, ${phase.name}: ${name}`,
      `accepted ${of((one) => one.acceptedPerSecond)}/s`,
      `delivered ${of((one) => one.deliveredPerSecond)}/s`,
      `p50 ${of((one) => one.p50).toFixed(2)} ms`,
      `p99 ${of((one) => one.p99).toFixed(2)} ms`,
    );
  }
}
say(
  "memory of the server, idle | after the load",
  `${median(memory.map((one) => one.idle))} MiB | ${median(memory.map((one) => one.loaded))} MiB`,
);
say("start → first answered request, second start", `${Math.round(median(await starts()))} ms`);
for (const [what, ...figures] of await videoFigures()) say(what, ...figures);
