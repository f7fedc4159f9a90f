#!/usr/bin/env node
// The entry of every `snug` command. Plain JavaScript for any Node >= 18: it finds the Node that runs the sources.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const OLDEST_NODE = 25;

if (!existsSync(new URL("../../../node_modules/commander/package.json", import.meta.url))) {
  process.stderr.write(
    "snug: its packages are not installed yet; run `npm start` or `npm ci --ignore-scripts` once\n",
  );
  process.exitCode = 1;
} else if (Number.parseInt(process.versions.node, 10) >= OLDEST_NODE) {
  const { setFlagsFromString } = await import("node:v8");
  // V8 allocates in the old generation at once what it saw live long from the same place in the code. An idle connection
  // keeps the empty list for its next message (ws), so every later message's list, and bytes, stayed until a full
  // collection: half a megabyte in each of a busy server's young collections. Before the cache, which is kept by flags.
  setFlagsFromString("--no-allocation-site-pretenuring");
  const { enableCompileCache, registerHooks } = await import("node:module");
  // Half the files of the schema library are its messages in sixty languages, which nobody is shown: 2 MB of a server.
  registerHooks({
    resolve: (name, from, next) =>
      next(
        name === "../locales/index.js" && from.parentURL?.includes("/node_modules/zod/")
          ? "../locales/en.js"
          : name,
        from,
      ),
  });
  // A third of a start is reading and compiling sources; where the folder can't be written it just isn't kept.
  enableCompileCache(fileURLToPath(new URL("../../../node_modules/.cache/snug", import.meta.url)));
  const { main } = await import("../src/main.ts");
  await main(process.argv.slice(2));
} else {
  await runOnPinnedNode();
}

async function runOnPinnedNode() {
  const { spawn } = await import("node:child_process");
  const { endLike, endOf, findNode, forwardSignals, orExit } = await import("../../../scripts/setup.mjs");
  const node = await orExit(Promise.resolve().then(findNode));
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: "inherit" });
  forwardSignals(child);
  endLike(await endOf(child));
}
