import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const unit = join(root, "deploy", "snug.service");
const missing = spawnSync("systemd-analyze", ["--version"]).error
  ? "systemd-analyze is not installed"
  : false;

/** The unit with the paths of this clone, so that what it names is there to be looked at. */
async function installed(folder: string): Promise<string> {
  const path = join(folder, "snug.service");
  // A unit splits at spaces, which a clone's path may have; /opt/snug has none.
  const opt = join(folder, "opt");
  await symlink(root, opt);
  const node = join(folder, "node");
  await symlink(process.execPath, node);
  const text = await readFile(unit, "utf8");
  const here = text
    .replaceAll("/opt/snug/node_modules/.bin/node", node)
    .replaceAll("/opt/snug/", `${opt}/`)
    .replace(/^(User|Group)=snug$/gm, "$1=root");
  await writeFile(path, here);
  return path;
}

test("O40: systemd takes the unit as it stands, and finds little that it leaves open", {
  skip: missing,
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), "snug-unit-"));
  try {
    const path = await installed(folder);
    const verified = spawnSync("systemd-analyze", ["verify", "--man=no", path], { encoding: "utf8" });
    assert.equal(verified.status, 0, verified.stderr);
    const about = verified.stderr.split("\n").filter((line) => line.includes("snug"));
    assert.deepEqual(about, []);
    // 0 is a service that can do nothing, 10 one that can do everything; ours must keep network and files.
    const options = ["security", "--offline=true", "--no-pager", "--threshold=20", path];
    const judged = spawnSync("systemd-analyze", options, { encoding: "utf8" });
    assert.equal(judged.status, 0, `${judged.stdout.split("\n").at(-2)}\n${judged.stderr}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test("O40: the unit starts the real entry, with flags that serve knows", async () => {
  const text = await readFile(unit, "utf8");
  const command = /^ExecStart=(.*)$/m.exec(text)?.[1]?.replace(" $SNUG_FLAGS", "").split(" ") ?? [];
  const [node, entry, ...flags] = command;
  assert.equal(node, "/opt/snug/node_modules/.bin/node");
  assert.equal(entry, "/opt/snug/packages/cli/bin/snug.mjs");
  // A wrong flag is refused before the port is; --port is wrong on purpose, so that nothing starts.
  const ran = spawnSync(
    process.execPath,
    [join(root, entry.slice("/opt/snug/".length)), ...flags, "--port", "x"],
    {
      encoding: "utf8",
    },
  );
  assert.equal(ran.status, 2);
  assert.match(ran.stderr, /--port/);
});

test("the blocks of the guide to running a server do what it says", async () => {
  const folder = await mkdtemp(join(tmpdir(), "snug-running-"));
  try {
    const text = await readFile(join(root, "docs/guides/running-a-server.md"), "utf8");
    const blocks = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, body]) => body ?? "");
    assert.equal(blocks.length, 1);
    await mkdir(join(folder, "bin"));
    const entry = join(root, "packages/cli/bin/snug.mjs");
    const shim = `#!/bin/sh\n[ "$1" = snug ] || exit 99\nshift\nexec "${process.execPath}" "${entry}" "$@"\n`;
    await writeFile(join(folder, "bin", "npx"), shim, { mode: 0o755 });
    for (const block of blocks) {
      const env = { ...process.env, PATH: `${join(folder, "bin")}${delimiter}${process.env.PATH}` };
      const ran = spawnSync("bash", ["--norc", "-euo", "pipefail", "-c", block], {
        cwd: folder,
        env,
        encoding: "utf8",
      });
      assert.equal(ran.status, 0, ran.stderr);
      assert.match(ran.stdout, /^ok +node +Node/);
    }
    const findings = (await readFile(join(folder, "findings.jsonl"), "utf8")).trim().split("\n");
    assert.ok(findings.length >= 10);
    for (const line of findings) assert.equal(typeof JSON.parse(line).verdict, "string");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
