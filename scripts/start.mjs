// `npm start`: whatever is missing, then the server on the pinned Node.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { endLike, endOf, forwardSignals, orExit, root, runsOn, setup } from "./setup.mjs";

const entry = join(root, "packages", "cli", "bin", "snug.mjs");
const args = ["serve", ...process.argv.slice(2)];
const node = await orExit(setup());

if (runsOn(node)) {
  process.argv = [process.argv[0], entry, ...args];
  await import(pathToFileURL(entry).href);
} else {
  const child = spawn(node, [entry, ...args], { stdio: "inherit" });
  forwardSignals(child);
  endLike(await endOf(child));
}
