import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { eventually } from "./browser.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const run = promisify(execFile);

/** The README's `sh` blocks, in order. */
async function blocks(): Promise<string[]> {
  const text = await readFile(join(root, "README.md"), "utf8");
  return [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, body]) => (body ?? "").trim());
}

/** Runs a block that starts a server until it shows its setup link, in a process group of its own. */
async function serving(block: string, env: NodeJS.ProcessEnv): Promise<AsyncDisposable> {
  const child = spawn("bash", ["-c", block], {
    cwd: root,
    env,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece) => (said += String(piece)));
  const ended = new Promise((resolve) => child.once("close", resolve));
  const stop = async () => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGTERM");
    await ended;
  };
  try {
    await eventually("the setup link", () => {
      assert.equal(child.exitCode, null, said);
      return /http:\/\/localhost:\d+\/join#/.test(said);
    });
  } catch (cause) {
    await stop();
    throw new Error(`${block} said:\n${said}`, { cause });
  }
  return { [Symbol.asyncDispose]: stop };
}

it("every block of the README runs as it stands", async () => {
  const folder = await mkdtemp(join(tmpdir(), "snug-readme-"));
  const { NODE_TEST_CONTEXT: _, ...inherited } = process.env;
  const env = {
    ...inherited,
    SNUG_DATA: join(folder, "data"),
    SNUG_HOME: join(folder, "home"),
    PATH: `${join(root, "node_modules/.bin")}${delimiter}${process.env.PATH}`,
  };
  const [start, named, script, test, ...more] = await blocks();
  assert.deepEqual([start, test, more], ["npm start", "npm test", []]);
  try {
    // The port stands in the second block as users read it; here it must be a free one.
    assert.match(named ?? "", /^npm start -- --name home\.example --port 10000$/);
    await (await serving((named ?? "").replace("10000", "0"), env))[Symbol.asyncDispose]();
    await using _server = await serving(start ?? "", { ...env, SNUG_PORT: "0" });
    // The commands find the running server by the data folder that they are given, as in the clone by ./data.
    const { stdout } = await run("bash", ["-euo", "pipefail", "-c", script ?? ""], { cwd: root, env });
    assert.match(stdout, /Anna\tonline\tyou/);
    assert.match(stdout, /https:\/\/\S+\/join#/);
    assert.match(stdout, /"name":"Test card"/);
    assert.match(stdout, /https?:\/\/\S+\/m\/\S+\.m3u8/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
