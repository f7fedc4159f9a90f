import assert from "node:assert/strict";
import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";
import { eventually } from "./browser.ts";

const root = dirname(import.meta.dirname);
const bin = join(root, "node_modules", ".bin");

interface LockEntry {
  version?: string;
  resolved?: string;
  integrity?: string;
  link?: boolean;
  optional?: boolean;
  os?: string | string[];
  cpu?: string | string[];
  libc?: string[];
  optionalDependencies?: Record<string, string>;
}

/** Packages of systems that Snug is not tested on may lack a hash: npm takes them as the registry serves them. */
function isForTestedSystem({ optional, os, cpu, libc }: LockEntry): boolean {
  if (!optional || os === undefined || cpu === undefined) return true;
  const tested = [cpu].flat().some((name) => name === "x64" || name === "arm64");
  return tested && [os].flat().includes("linux") && libc?.includes("musl") !== true;
}

interface Outcome {
  code: number;
  output: string;
}

/** A runner inside this runner must not take itself for a part of it. */
function apart(): { cwd: string; env: NodeJS.ProcessEnv } {
  const { NODE_TEST_CONTEXT: _, ...inherited } = process.env;
  return { cwd: root, env: { ...inherited, NO_COLOR: "1" } };
}

/** Runs a tool as `npm` would. */
function runTool(file: string, args: readonly string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(file, args, { ...apart(), maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
      resolve({ code, output: `${stdout}${stderr}` });
    });
  });
}

async function assertGreen(file: string, args: readonly string[]): Promise<void> {
  const { code, output } = await runTool(file, args);
  assert.equal(code, 0, output);
}

/** Writes files into a temporary folder, which is gone when the test ends. */
async function plant(files: Readonly<Record<string, string>>): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), "snug-gates-"));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(path, name)), { recursive: true });
    await writeFile(join(path, name), text);
  }
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

describe("the sources", () => {
  test("format and lint", () =>
    assertGreen(join(bin, "biome"), ["ci", "--colors=off", "--max-diagnostics=60", "."]));
  test("types", () => assertGreen(join(bin, "tsc"), ["--noEmit", "-p", "tsconfig.json"]));
  test("dependency rules", () => assertGreen(process.execPath, ["scripts/check-dependencies.ts"]));
  test("dead code", () => assertGreen(join(bin, "knip"), ["--no-progress"]));

  test("no tracked file switches a check off, names this machine or takes a URL for a path", async () => {
    const files = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "-z"], { cwd: root });
    const own = "testing/gates.test.ts";
    const suspects = [
      `${root}/`,
      `${homedir()}/`,
      "biome-ignore",
      "@ts-ignore",
      "@ts-expect-error",
      "@ts-nocheck",
      // Encoded: no file is there when the clone's path has a space or an umlaut. fileURLToPath is right.
      "import.meta.url).pathname",
    ];
    const found: string[] = [];
    for (const file of files.toString("utf8").split("\0").slice(0, -1)) {
      if (file === own || !existsSync(join(root, file)) || /\.(mp4|png|jpg|woff2)$/.test(file)) continue;
      const text = await readFile(join(root, file), "utf8");
      found.push(...suspects.filter((suspect) => text.includes(suspect)).map((what) => `${file}: ${what}`));
    }
    assert.deepEqual(found, []);
  });

  test("the lockfile fixes every package by hash and names no registry", async () => {
    const lock: { packages: Record<string, LockEntry> } = JSON.parse(
      await readFile(join(root, "package-lock.json"), "utf8"),
    );
    for (const [path, entry] of Object.entries(lock.packages)) {
      if (entry.link) {
        assert.match(entry.resolved ?? "", /^packages\/[a-z]+$/, path);
        continue;
      }
      assert.equal(entry.resolved, undefined, path);
      if (!path.includes("node_modules/")) continue;
      assert.ok(entry.version, path);
      if (isForTestedSystem(entry)) assert.match(entry.integrity ?? "", /^sha512-/, path);
      for (const name of Object.keys(entry.optionalDependencies ?? {})) {
        const known = [`${path}/node_modules/${name}`, `node_modules/${name}`];
        assert.ok(
          known.some((place) => place in lock.packages),
          `${name} is missing: npm ci would refuse`,
        );
      }
    }
  });
});

describe("a planted violation is red:", () => {
  const manifests = {
    "packages/crypto/package.json": `{ "exports": { "./identity": "./src/identity/index.ts", "./sealing": "./src/sealing/index.ts" } }`,
    "packages/crypto/src/identity/index.ts": "export const identity = 1;",
    "packages/crypto/src/sealing/index.ts": "export const open = 1;",
    "packages/server/src/index.ts": `import { identity } from "@snug/crypto/identity"; export const started = identity;`,
  };

  async function check(files: Readonly<Record<string, string>>): Promise<Outcome> {
    await using folder = await plant({ ...manifests, ...files });
    return await runTool(process.execPath, ["scripts/check-dependencies.ts", folder.path]);
  }

  test("nothing planted is green", async () => {
    assert.deepEqual(await check({}), { code: 0, output: "3 files, 1 imports, 0 violations\n" });
  });

  const planted: readonly { what: string; files: Record<string, string>; says: RegExp }[] = [
    {
      what: "the server imports sealing",
      files: { "packages/server/src/a.ts": `import { open } from "@snug/crypto/sealing"; open;` },
      says: /server\/src\/a\.ts:1 server may not import @snug\/crypto\/sealing/,
    },
    {
      what: "the server reaches sealing through identity",
      files: { "packages/crypto/src/identity/index.ts": `export type { open } from "../sealing/index.ts";` },
      says: /server\/src\/index\.ts → .*identity\/index\.ts → .*sealing\/index\.ts: the server can't import/,
    },
    {
      what: "the server reaches sealing through another package's worker and a relative path",
      files: {
        "packages/media/package.json": `{ "exports": { ".": "./src/index.ts" } }`,
        "packages/media/src/index.ts": `new Worker(new URL("./worker.ts", import.meta.url));`,
        "packages/media/src/worker.ts": `await import("../../crypto/src/sealing/index.ts");`,
        "packages/server/src/a.ts": `import "@snug/media";`,
      },
      says: /server\/src\/a\.ts → .*media\/src\/index\.ts → .*worker\.ts → .*sealing\/index\.ts: the server can't/,
    },
    {
      what: "a relative path out of a package",
      files: { "packages/media/src/worker.ts": `await import("../../crypto/src/identity/index.ts");` },
      says: /media\/src\/worker\.ts:1 reaches out of its package/,
    },
    {
      what: "an import that can't be followed",
      files: { "packages/server/src/a.ts": `const name: string = "x"; await import(name);` },
      says: /a\.ts:1 imports what no literal names/,
    },
    {
      what: "Node in a neutral package",
      files: { "packages/media/src/index.ts": `import { open } from "node:fs/promises"; open;` },
      says: /media\/src\/index\.ts:1 imports node:fs\/promises, which only Node has/,
    },
    {
      what: "a Node global in a neutral package",
      files: { "packages/protocol/src/a.ts": `export const a = 1;\nexport const b = Buffer.alloc(a);` },
      says: /protocol\/src\/a\.ts:2 uses Buffer, which only Node has/,
    },
    {
      what: "the page in the client's neutral part",
      files: { "packages/client/src/a.ts": "export const a = globalThis.indexedDB;" },
      says: /client\/src\/a\.ts:1 uses indexedDB, which only browser has/,
    },
    {
      what: "the client's door loads its Node part",
      files: {
        "packages/client/src/index.ts": `export { a } from "./node/a.ts";`,
        "packages/client/src/node/a.ts": "export const a = process.pid;",
      },
      says: /client\/src\/index\.ts:1 imports packages\/client\/src\/node\/a\.ts, which is Node code/,
    },
    {
      what: "a cycle of types",
      files: {
        "packages/media/src/a.ts": `import type { B } from "./b.ts"; export type A = B;`,
        "packages/media/src/b.ts": `import type { A } from "./a.ts"; export type B = A;`,
      },
      says: /media\/src\/a\.ts → packages\/media\/src\/b\.ts → packages\/media\/src\/a\.ts: import cycle/,
    },
    {
      what: "a folder called utils",
      files: { "packages/media/src/utils/a.ts": "export const a = 1;" },
      says: /packages\/media\/src\/utils\/: a folder with such a name/,
    },
  ];
  for (const { what, files, says } of planted) {
    test(what, async () => {
      const { code, output } = await check(files);
      assert.match(output, says);
      assert.equal(code, 1);
    });
  }
});

describe("the runner's count", () => {
  const passing = `import { test } from "node:test"; test("holds", () => undefined);`;

  async function runOn(files: Readonly<Record<string, string>>, ...paths: string[]): Promise<Outcome> {
    await using folder = await plant(files);
    return await runTool(process.execPath, ["scripts/run-tests.ts", folder.path, ...paths]);
  }

  async function assertCount(
    files: Readonly<Record<string, string>>,
    code: number,
    line: string,
  ): Promise<void> {
    const outcome = await runOn(files);
    assert.equal(outcome.output.trimEnd().split("\n").at(-1), line, outcome.output);
    assert.equal(outcome.code, code);
  }

  test("all pass", () => assertCount({ "testing/a.test.ts": passing }, 0, "1 passed, 0 failed"));

  test("one planted failure", () =>
    assertCount(
      { "testing/a.test.ts": `${passing} test("fails", () => { throw new Error("planted"); });` },
      1,
      "1 passed, 1 failed",
    ));

  test("a file that does not load", () =>
    assertCount(
      { "testing/a.test.ts": passing, "docs/b.test.ts": `import "./missing.ts"; ${passing}` },
      1,
      "1 passed, 1 failed",
    ));

  test("a file that leaves before its tests ended", () =>
    assertCount({ "packages/a/test/a.test.ts": `${passing} process.exit(0);` }, 1, "0 passed, 1 failed"));

  test("a file without a test", () =>
    assertCount({ "testing/a.test.ts": passing, "testing/b.test.ts": "" }, 1, "1 passed, 1 failed"));

  test("a hook that fails", () =>
    assertCount(
      { "testing/a.test.ts": `import { before } from "node:test"; before(() => { throw 1; }); ${passing}` },
      1,
      "0 passed, 1 failed",
    ));

  test("a skipped test is named", () =>
    assertCount(
      { "testing/a.test.ts": `${passing} test("later", { skip: true }, () => undefined);` },
      0,
      "1 passed, 0 failed, 1 skipped",
    ));

  test("a reader that is slow gets all of it, through a pipe that does not wait either", async () => {
    const many = `import { test } from "node:test"; for (let n = 0; n < 2500; n++) test("x".repeat(150), () => 0);`;
    const last = `import { writeFileSync } from "node:fs"; writeFileSync("begun", ""); ${passing}`;
    const files = { "testing/a.test.ts": many, "testing/b.test.ts": many, "testing/c.test.ts": last };
    await using folder = await plant(files);
    // As npm does: whoever has looked at its output has made the pipe one that waits for nobody.
    const outer = `process.stdout; require("child_process").spawn(process.execPath, process.argv.slice(1), { stdio: "inherit" })
      .once("exit", (code) => { process.exitCode = code; });`;
    const run = spawn(process.execPath, ["-e", outer, "scripts/run-tests.ts", folder.path], apart());
    const closed = once(run, "close");
    // Of the two before this one more was said by then than the pipe holds.
    await eventually("the last file is run", () => existsSync(join(folder.path, "begun")));
    assert.match(await text(run.stdout), /\n5001 passed, 0 failed\n$/);
    assert.deepEqual(await closed, [0, null]);
  });

  test("no test at all", () => assertCount({}, 1, "0 passed, 0 failed"));

  test("a path picks files", async () => {
    const { code, output } = await runOn(
      { "testing/a.test.ts": passing, "testing/b.test.ts": "throw 1" },
      "testing/a",
    );
    assert.match(output, /\n1 passed, 0 failed\n$/);
    assert.equal(code, 0);
  });
});
