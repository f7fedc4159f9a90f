// `npm test [-- PATH…]`: whatever is missing, then every gate and test in one runner on the pinned Node.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { endLike, endOf, forwardSignals, orExit, root, setup } from "./setup.mjs";

const node = await orExit(setup({ forTests: true }));
const runner = join(root, "scripts", "run-tests.ts");
const child = spawn(node, [runner, root, ...process.argv.slice(2)], { cwd: root, stdio: "inherit" });
forwardSignals(child);
endLike(await endOf(child));
