// `npm run check`: only the gates that need no running server: format, lint, types, dependency rules, dead code.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { endLike, endOf, findNode, forwardSignals, installPackages, orExit, root } from "./setup.mjs";

const node = await orExit(installPackages().then(findNode));
const child = spawn(node, [join(root, "scripts", "run-tests.ts"), root, "testing/gates"], {
  cwd: root,
  stdio: "inherit",
});
forwardSignals(child);
endLike(await endOf(child));
