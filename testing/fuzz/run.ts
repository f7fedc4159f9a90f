// npm run fuzz -- [--cases N] [--seed S]: ends with 1 when something was found, each with the seed and bytes of its case.
import { parseArgs } from "node:util";
import { fuzz } from "./fuzz.ts";

const { values } = parseArgs({ options: { cases: { type: "string" }, seed: { type: "string" } } });
const cases = Number(values.cases ?? 200_000);
const seed = Number(values.seed ?? Date.now() % 2 ** 32);
if (!(Number.isInteger(cases) && cases > 0 && Number.isInteger(seed))) {
  process.stderr.write("usage: npm run fuzz -- [--cases N] [--seed S]\n");
  process.exit(2);
}
process.stdout.write(`${cases} cases, seed ${seed}\n`);
const start = performance.now();
const report = await fuzz({ cases, seed });
const { findings, decoders, wire, client } = report;
for (const [name, { taken, of }] of Object.entries(decoders.byTarget)) {
  process.stdout.write(`  ${name}: ${of} cases, ${taken} taken as valid\n`);
}
const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
process.stdout.write(
  `  on the wire: ${wire.frames} frames, ${wire.requests} HTTP requests; answers ${JSON.stringify(wire.answers)}\n` +
    `  slowest case: ${decoders.longest.ms} ms (${decoders.longest.target})\n` +
    `  an honest device asked ${wire.beats.count} times meanwhile, waited ${wire.beats.longest} ms at most, for ${wire.beats.longestWork} ms of the server's work\n` +
    `  to a client: ${client.cases}; links ended ${client.ended}, stopped ${client.stopped}\n` +
    `  left in memory: decoders ${mebibytes(decoders.growth)}, server ${mebibytes(wire.memory.end - wire.memory.warm)}\n`,
);
for (const finding of findings) process.stdout.write(`${JSON.stringify(finding)}\n`);
const seconds = Math.round((performance.now() - start) / 1000);
process.stdout.write(`${findings.length} found in ${report.cases} cases, ${seconds} s, seed ${seed}\n`);
process.exitCode = findings.length > 0 ? 1 : 0;
