import assert from "node:assert/strict";
import { copyFileSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import type { TitleView } from "@snug/protocol";
import { openLibrary } from "../src/library/index.ts";
import { Stills } from "../src/library/stills.ts";
import { collect, makeVideo, sampleFolder, testFolders, until } from "./library-fixtures.ts";

const log = (): void => undefined;
const isReady = (titles: readonly TitleView[]): boolean =>
  titles.some(({ still }) => still) && titles.every(({ state }) => state !== "preparing");

test("VL13: each playable title gets its picture once, 640 wide, whatever its file is called", async () => {
  using folders = testFolders();
  const name = "-i 'evil' $(touch pwned) `x` %03d \"q\" : [0].mp4";
  copyFileSync(join(sampleFolder, "Test card_240p.mp4"), join(folders.videos, name));
  makeVideo(join(folders.videos, "hevc.mp4"), { codec: "libx265" });
  let versions: string[];
  {
    await using library = await openLibrary({ folder: folders.videos, data: folders.data, log });
    const titles = await until(library, isReady);
    versions = titles.map(({ version }) => version);
    assert.deepEqual(titles.map(({ still, state }) => [state, still]).sort(), [
      ["playable", true],
      ["unplayable", false],
    ]);
    const title = titles.find(({ still }) => still);
    const file = { title: title?.id ?? "", version: title?.version ?? "", rendition: "", file: "still.jpg" };
    const found = await library.open(file);
    assert.deepEqual(jpegSize(await collect(found?.body ?? assert.fail())), [640, 360]);
  }
  assert.deepEqual(readdirSync(folders.videos).sort(), [name, "hevc.mp4"].sort());
  // Kept: there from the first moment on.
  await using again = await openLibrary({ folder: folders.videos, data: folders.data, log });
  assert.deepEqual(
    again
      .view()
      .titles.map(({ version, still }) => [version, still])
      .sort(),
    [
      ["", false],
      [versions.find((version) => version !== ""), true],
    ],
  );
});

test("VL13: without ffmpeg films play, and say that they have no picture", async () => {
  using folders = testFolders();
  copyFileSync(join(sampleFolder, "Test card_240p.mp4"), join(folders.videos, "Film.mp4"));
  const bin = join(folders.data, "bin");
  mkdirSync(bin);
  symlinkSync("/bin/sh", join(bin, "sh"));
  await using library = await openLibrary(
    { folder: folders.videos, data: folders.data, log },
    (workerData) =>
      new Worker(new URL("../src/library/worker.ts", import.meta.url), { workerData, env: { PATH: bin } }),
  );
  const [title] = await until(library, ([first]) => first?.state === "playable");
  assert.ok(title);
  const names = { title: title.id, version: title.version };
  const segment = await library.open({ ...names, rendition: "v0", file: "0.m4s" });
  assert.equal((await collect(segment?.body ?? assert.fail())).length, segment?.length);
  assert.equal(await library.open({ ...names, rendition: "", file: "still.jpg" }), undefined);
  assert.equal((await library.detail(title.id)).title.still, false);
});

test("VL13: a picture that a busy machine had no time for is not given up: the next start makes it", async ({
  mock,
}) => {
  using folders = testFolders();
  const file = { path: "Film.mp4", size: 1 };
  copyFileSync(join(sampleFolder, "Test card_240p.mp4"), join(folders.videos, file.path));
  const view = { state: "playable", version: "v1", durationMicroseconds: 24_000_000 };
  const kept: (Uint8Array | null)[] = [];
  const parts = {
    folder: folders.videos,
    catalog: { titles: () => [{ view, draft: { files: [file] } }], publish: () => undefined },
    records: {
      hasStill: () => (kept.length > 0 ? true : undefined),
      keepStill: (_: string, picture: Uint8Array | null) => kept.push(picture),
    },
  } as unknown as ConstructorParameters<typeof Stills>[0];
  const bin = join(folders.data, "bin");
  mkdirSync(bin);
  const begun = join(folders.data, "begun");
  writeFileSync(join(bin, "ffmpeg"), `#!/bin/sh\nmkdir "${begun}"\nexec sleep 3600\n`, { mode: 0o755 });
  const path = process.env.PATH;
  using _ = { [Symbol.dispose]: () => void Object.assign(process.env, { PATH: path }) };
  {
    process.env.PATH = `${bin}:${path}`;
    mock.timers.enable({ apis: ["setTimeout"] });
    using stills = new Stills(parts);
    const woken = stills.wake();
    while (!existsSync(begun)) await setImmediate();
    mock.timers.tick(599_999);
    await setImmediate();
    assert.equal(stills.isWorking, true);
    mock.timers.tick(1);
    await woken;
    assert.deepEqual(kept, []);
    process.env.PATH = path;
    await stills.wake();
    assert.deepEqual(kept, [], "not again and again");
  }
  using again = new Stills(parts);
  await again.wake();
  assert.deepEqual(jpegSize(Buffer.from(kept[0] ?? [])), [640, 360]);
});

/** Width and height from a JPEG's frame header (ITU-T T.81, B.2.2). */
function jpegSize(bytes: Buffer): [number, number] {
  for (let at = 2; at + 9 < bytes.length; at += 2 + bytes.readUInt16BE(at + 2)) {
    if (bytes[at] !== 0xff) break;
    if (bytes[at + 1] === 0xc0) return [bytes.readUInt16BE(at + 7), bytes.readUInt16BE(at + 5)];
  }
  assert.fail("no JPEG");
}
