// `npm run kill [-- --times N] [--seed N]`: kills a server under load so often, and prints what was lost.
import { parseArgs } from "node:util";
import { type Killed, killRepeatedly } from "./killing.ts";

const { values } = parseArgs({ options: { times: { type: "string" }, seed: { type: "string" } } });
const [times, seed] = [Number(values.times ?? 20), Number(values.seed ?? Date.now() % 2 ** 32)];
if (!Number.isSafeInteger(times) || times < 1 || !Number.isSafeInteger(seed)) {
  process.stderr.write("--times takes a number from 1, --seed a number\n");
  process.exit(2);
}
const started = performance.now();
const progress = (line: string): void => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`);
};
const killed = await killRepeatedly({ times, seed, progress });
progress("");
process.stdout.write(report(killed));
process.exitCode = isClean(killed) ? 0 : 1;

function report(of: Killed): string {
  const sorted = of.restarts.toSorted((a, b) => a - b);
  const [median = 0, worst = 0] = [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)];
  const flying = of.inFlight.reduce((sum, count) => sum + count, 0) / of.kills;
  const lines = [
    `kills          ${of.kills} of the server, ${of.clientKills} of clients (seed ${seed}, ${seconds(performance.now() - started)})`,
    `in flight      ${flying.toFixed(0)} submits at a kill on average, ${Math.min(...of.inFlight)} at least`,
    `acknowledged   ${of.acknowledged}`,
    `lost           ${of.lost.length}`,
    `shown twice    ${of.twice.length}`,
    `out of order   ${of.outOfOrder.length}`,
    `restart        median ${seconds(median)}, worst ${seconds(worst)} (from the kill to the next acknowledgement)`,
  ];
  const wrong = [...of.faults, ...of.lost, ...of.twice, ...of.outOfOrder].slice(0, 20);
  return `${[...lines, ...wrong].join("\n")}\n`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

function isClean({ lost, twice, outOfOrder, faults }: Killed): boolean {
  return [lost, twice, outOfOrder, faults].every(({ length }) => length === 0);
}
