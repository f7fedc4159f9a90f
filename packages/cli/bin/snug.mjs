#!/usr/bin/env node
// The entry of every `snug` command. Plain JavaScript for any Node >= 18: it finds the Node that runs the sources.
import { existsSync } from "node:fs";

const OLDEST_NODE = 24;

if (!existsSync(new URL("../../../node_modules/commander/package.json", import.meta.url))) {
  process.stderr.write(
    "snug: its packages are not installed yet; run `npm start` or `npm ci --ignore-scripts` once\n",
  );
  process.exitCode = 1;
} else if (Number.parseInt(process.versions.node, 10) >= OLDEST_NODE) {
  const { main } = await import("../src/main.ts");
  await main(process.argv.slice(2));
} else {
  await runOnPinnedNode();
}

async function runOnPinnedNode() {
  const { spawn } = await import("node:child_process");
  const { fileURLToPath } = await import("node:url");
  const { endLike, endOf, findNode, forwardSignals, orExit } = await import("../../../scripts/setup.mjs");
  const node = await orExit(Promise.resolve().then(findNode));
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: "inherit" });
  forwardSignals(child);
  endLike(await endOf(child));
}
