import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";

const scripts = join(dirname(import.meta.dirname), "scripts");
const COPIED = ["setup.mjs", "start.mjs", "test.mjs", "run-tests.ts", "pinned-version.cjs"];

/** Stands for the server: says how it was called, and ends in order when asked. */
const SERVER = `
if (process.argv.includes("--stay")) {
  const alive = setInterval(() => undefined, 1000);
  process.on("SIGTERM", () => { clearInterval(alive); process.exitCode = 7; });
}
console.log(JSON.stringify({ arguments: process.argv.slice(2) }));`;

/** Stands for npm: brings a bundler that only notes that it ran, and the lockfile that npm writes last. */
const NPM = `
const { appendFileSync, cpSync, mkdirSync, writeFileSync } = require("node:fs");
appendFileSync("calls", "npm " + process.argv.slice(2, 4).join(" ") + " as " + process.version + "\\n");
if (process.env.NPM_FAILS) { console.error("npm error 404 planted"); process.exit(1); }
mkdirSync("node_modules/vite/bin", { recursive: true });
writeFileSync("node_modules/vite/bin/vite.js", \`
  const { appendFileSync, mkdirSync } = require("node:fs");
  appendFileSync("calls", "vite " + process.argv[2] + "\\\\n");
  mkdirSync("packages/web/dist", { recursive: true });
\`);
cpSync("package-lock.json", "node_modules/.package-lock.json");
`;

const APT = `#!/bin/sh
echo "apt-get $*" >> calls
for tool in ffmpeg ffprobe chromium tmux strace pebble; do touch "bin/$tool"; done
`;

interface Clone extends AsyncDisposable {
  readonly path: string;
  /** Which tools were run so far, in order. */
  calls(): Promise<string[]>;
  write(file: string, content: string): Promise<void>;
  start(script: string, args?: readonly string[], env?: NodeJS.ProcessEnv): ChildProcess;
  run(script: string, args?: readonly string[], env?: NodeJS.ProcessEnv): Promise<Outcome>;
}

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A bare clone in a temporary folder with the real scripts, where npm, the bundler and the server are stand-ins. */
async function makeClone(): Promise<Clone> {
  const path = await mkdtemp(join(tmpdir(), "snug-clone-"));
  const write = async (file: string, content: string): Promise<void> => {
    await mkdir(dirname(join(path, file)), { recursive: true });
    await writeFile(join(path, file), content);
  };
  await write(
    "package.json",
    `{ "optionalDependencies": { "node-${process.platform}-${process.arch}": "99.1.2" } }`,
  );
  await write("package-lock.json", `{ "packages": { "": {}, "node_modules/a": { "version": "1.0.0" } } }`);
  for (const name of ["client", "crypto", "media", "protocol", "web"])
    await write(`packages/${name}/src/a.ts`, name);
  await write("packages/cli/bin/snug.mjs", SERVER);
  await write("calls", "");
  await write("bin/npm.cjs", NPM);
  await write("bin/npm", `#!/bin/sh\nexec "${process.execPath}" "$0.cjs" "$@"\n`);
  await chmod(join(path, "bin/npm"), 0o755);
  await mkdir(join(path, "scripts"));
  for (const file of COPIED) await copyFile(join(scripts, file), join(path, "scripts", file));
  const { npm_execpath: _, NODE_TEST_CONTEXT: __, ...inherited } = process.env;
  const start: Clone["start"] = (script, args = [], env = {}) =>
    spawn(process.execPath, [join("scripts", script), ...args], {
      cwd: path,
      env: { ...inherited, PATH: join(path, "bin"), ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
  return {
    path,
    write,
    start,
    calls: async () => (await readFile(join(path, "calls"), "utf8")).split("\n").slice(0, -1),
    run: (...call) => outcomeOf(start(...call)),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true }),
  };
}

async function outcomeOf(child: ChildProcess): Promise<Outcome> {
  assert.ok(child.stdout && child.stderr);
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close"),
  ]);
  return { code, stdout, stderr };
}

const INSTALLED = "npm ci --ignore-scripts as v99.1.2";

describe("npm start", () => {
  test("installs, builds and runs; nothing but the server writes to stdout", async () => {
    await using clone = await makeClone();
    const first = await clone.run("start.mjs", ["--json", "--port", "0"]);
    assert.equal(first.stdout, `{"arguments":["serve","--json","--port","0"]}\n`);
    assert.equal(first.code, 0, first.stderr);
    assert.deepEqual(await clone.calls(), [INSTALLED, "vite build"]);
  });

  test("does neither again when everything is up to date", async () => {
    await using clone = await makeClone();
    await clone.run("start.mjs");
    const second = await clone.run("start.mjs");
    assert.deepEqual(second, { code: 0, stdout: `{"arguments":["serve"]}\n`, stderr: "" });
    assert.equal((await clone.calls()).length, 2);
  });

  test("builds again when a source of the bundle changed, and not for a test", async () => {
    await using clone = await makeClone();
    await clone.run("start.mjs");
    await clone.write("packages/protocol/test/a.test.ts", "new");
    await clone.run("start.mjs");
    assert.equal((await clone.calls()).length, 2);
    await clone.write("packages/protocol/src/b.ts", "new");
    await clone.run("start.mjs");
    assert.deepEqual((await clone.calls()).slice(2), ["vite build"]);
  });

  test("installs again when the lockfile names another version", async () => {
    await using clone = await makeClone();
    await clone.run("start.mjs");
    await clone.write("package-lock.json", `{ "packages": { "node_modules/a": { "version": "1.0.1" } } }`);
    await clone.run("start.mjs");
    assert.deepEqual((await clone.calls()).slice(2), [INSTALLED, "vite build"]);
  });

  test("says what npm could not do, and starts nothing", async () => {
    await using clone = await makeClone();
    const failed = await clone.run("start.mjs", [], { NPM_FAILS: "1" });
    assert.deepEqual(failed, {
      code: 1,
      stdout: "",
      stderr: "snug: npm ci failed:\nnpm error 404 planted\n",
    });
  });

  test("hands SIGTERM to the server on another Node, and its exit code back", async () => {
    await using clone = await makeClone();
    await clone.run("start.mjs");
    const pinned = `node_modules/node-${process.platform}-${process.arch}/bin/node`;
    await clone.write(pinned, `#!/bin/sh\nexec "${process.execPath}" "$@"\n`);
    await chmod(join(clone.path, pinned), 0o755);
    const child = clone.start("start.mjs", ["--stay"]);
    const ended = outcomeOf(child);
    assert.ok(child.stdout);
    await once(child.stdout, "data");
    child.kill("SIGTERM");
    assert.equal((await ended).code, 7);
  });
});

describe("npm test", () => {
  test("says what to install where it may not install", async () => {
    await using clone = await makeClone();
    const { code, stdout, stderr } = await clone.run("test.mjs");
    assert.equal(
      stderr,
      "snug: the tests need ffmpeg, chromium, tmux, strace, pebble: apt-get install --no-install-recommends ffmpeg chromium tmux strace pebble\n",
    );
    assert.deepEqual({ code, stdout }, { code: 1, stdout: "" });
  });

  test("installs the system's tools by apt-get as root, then ends with the runner's count", async (context) => {
    if (process.getuid?.() !== 0) return context.skip("needs root");
    await using clone = await makeClone();
    await clone.write("bin/apt-get", APT);
    await chmod(join(clone.path, "bin/apt-get"), 0o755);
    await symlink("/usr/bin/touch", join(clone.path, "bin/touch"));
    const { code, stdout } = await clone.run("test.mjs");
    assert.deepEqual((await clone.calls()).slice(0, 2), [
      "apt-get -q update",
      "apt-get -q install -y --no-install-recommends ffmpeg chromium tmux strace pebble",
    ]);
    assert.deepEqual({ code, stdout }, { code: 1, stdout: "0 passed, 0 failed\n" });
  });
});
