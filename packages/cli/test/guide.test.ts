import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { createPlace, entry, sampleVideos } from "./place.ts";

const guideOf = (name: string): URL => new URL(`../../../docs/guides/${name}`, import.meta.url);
const guide = guideOf("command-line.md");

interface Block {
  readonly script: string;
  /** What stdout must be; `…` stands for anything on its line. */
  readonly output: string | null;
}

test("the guide's blocks do what it says", () => runBlocks(guide, 8));

test("D24, D25: the blocks of the guide to backups do what it says", () =>
  runBlocks(guideOf("backup.md"), 6));

async function runBlocks(of: URL, least: number): Promise<void> {
  await using place = await createPlace();
  for (const height of [240, 720, 1440]) {
    const name = `Test card_${height}p.mp4`;
    await copyFile(join(sampleVideos, name), place.path("videos", name));
  }
  await using server = await place.serve(["--data", "data"]);
  assert.ok(server.listening.setupLink);
  const shims = place.path("bin");
  await mkdir(shims);
  // `npx snug` without npm's half second.
  const shim = `#!/bin/sh\n[ "$1" = snug ] || exit 99\nshift\nexec "${process.execPath}" "${entry}" "$@"\n`;
  await writeFile(join(shims, "npx"), shim, { mode: 0o755 });
  const env = { PATH: `${shims}:${process.env.PATH}`, HOME: place.folder };

  const blocks = blocksOf(await readFile(of, "utf8"));
  assert.ok(blocks.length >= least, `${blocks.length} blocks`);
  for (const { script, output } of blocks) {
    const bash = ["--norc", "-euo", "pipefail", "-c", script];
    const { stdout } = await promisify(execFile)("bash", bash, { cwd: place.folder, env });
    if (output !== null) assert.match(stdout, patternOf(output), script);
  }
}

test("the guide names every flag of serve, and every command", async () => {
  await using place = await createPlace();
  const text = await readFile(guide, "utf8");
  const help = `${await place.ok(["serve", "--help"])}\n${await place.ok(["--help"])}`;
  const flags = [...help.matchAll(/^ {2}(--[a-z-]+)/gm)].flatMap(([, flag]) => flag ?? []);
  const commands = [...help.matchAll(/^ {2}([a-z-]+) .*$/gm)].flatMap(([, name]) => name ?? []);
  assert.ok(flags.length > 8 && commands.length > 10, `${dirname(entry)}: ${help}`);
  const obvious = ["--help", "--version", "help"];
  for (const word of [...flags, ...commands]) {
    if (!obvious.includes(word)) assert.ok(text.includes(word), `the guide does not name ${word}`);
  }
});

function blocksOf(text: string): Block[] {
  const fences = [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, kind, body]) => ({
    kind,
    body: body ?? "",
  }));
  return fences.flatMap((fence, at) => {
    if (fence.kind !== "sh") return [];
    const next = fences[at + 1];
    return [{ script: fence.body, output: next?.kind === "output" ? next.body : null }];
  });
}

/** Each line must match; a last line that begins with the expected one's pattern may go on over several. */
function patternOf(output: string): RegExp {
  const escaped = output.trimEnd().split("…").map(RegExp.escape).join("[^\\n]+");
  return new RegExp(`^${escaped}(\\n\\t\\t[^\\n]*)*\\n$`);
}
