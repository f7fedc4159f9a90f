import assert from "node:assert/strict";
import { once } from "node:events";
import { copyFileSync, cpSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { openLibrary } from "../src/library/index.ts";
import type { Answer } from "../src/library/messages.ts";
import { keepVigil } from "../src/library/vigil.ts";
import { signatureOf, walkFolder } from "../src/library/walk.ts";
import { collect, sampleFolder, testFolders, until } from "./library-fixtures.ts";

const log = (): void => undefined;

/** Counts how often it is woken, and resolves at the first time. */
function waking(): {
  readonly wake: () => void;
  readonly woken: Promise<void>;
  readonly count: () => number;
} {
  const { promise: woken, resolve } = Promise.withResolvers<void>();
  let count = 0;
  const wake = (): void => {
    count++;
    resolve();
  };
  return { wake, woken, count: () => count };
}

/** Opens a library on the sample. `settled` resolves when the newest worker has nothing left to do. */
async function openWatched(folders: { videos: string; data: string }) {
  cpSync(sampleFolder, folders.videos, { recursive: true, preserveTimestamps: true });
  const workers: { worker: Worker; settled: Promise<void> }[] = [];
  const library = await openLibrary({ folder: folders.videos, data: folders.data, log }, (workerData) => {
    // No ffmpeg is found: pictures are another test's.
    const env = { ...process.env, PATH: "" };
    const worker = new Worker(new URL("../src/library/worker.ts", import.meta.url), { workerData, env });
    const settled = new Promise<void>((resolve) => {
      worker.on("message", (answer: Answer) => {
        if (answer.type === "settled" && answer.seen !== null) resolve();
      });
    });
    workers.push({ worker, settled });
    return worker;
  });
  const [title] = await until(library, ([first]) => first?.state === "playable");
  assert.ok(title);
  const newest = () => workers.at(-1) ?? assert.fail();
  return { library, title, newest, starts: () => workers.length };
}

test("VL16: a worker that nobody needs for 30 s is ended; the next request starts it and is answered", async ({
  mock,
}) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  using folders = testFolders();
  const { library, title, newest, starts } = await openWatched(folders);
  await using _ = library;
  const first = newest();
  await first.settled;
  const { revision } = library.view();
  mock.timers.tick(29_000);
  assert.equal((await library.detail(title.id)).title.id, title.id);
  mock.timers.tick(29_000);
  assert.equal((await library.detail(title.id)).title.id, title.id);
  assert.equal(starts(), 1);
  mock.timers.tick(30_000);
  await once(first.worker, "exit");
  assert.equal(library.size, 1);
  assert.equal((await library.detail(title.id)).title.id, title.id);
  assert.equal(starts(), 2);
  await newest().settled;
  mock.timers.tick(30_000);
  // It has been told to end, and is still ending.
  const request = { title: title.id, version: title.version, rendition: "v0", file: "0.m4s" };
  const found = await library.open(request);
  assert.equal((await collect(found?.body ?? assert.fail())).length, found?.length);
  assert.equal(starts(), 3);
  assert.equal(library.view().revision, revision, "nobody is told of a change where there is none");
});

test("VL16: a segment that is still being read keeps the worker", async ({ mock }) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  using folders = testFolders();
  const { library, title, newest, starts } = await openWatched(folders);
  await using _ = library;
  await newest().settled;
  const request = { title: title.id, version: title.version, rendition: "v0", file: "0.m4s" };
  const found = (await library.open(request)) ?? assert.fail();
  const reader = found.body[Symbol.asyncIterator]();
  let bytes = (await reader.next()).value?.length ?? 0;
  mock.timers.tick(90_000);
  for (let part = await reader.next(); !part.done; part = await reader.next()) bytes += part.value.length;
  assert.equal(bytes, found.length);
  assert.equal(starts(), 1);
});

test("VL16: a film that comes while the worker rests is found", async ({ mock }) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  using folders = testFolders();
  const { library, newest } = await openWatched(folders);
  await using _ = library;
  const first = newest();
  await first.settled;
  mock.timers.tick(30_000);
  await once(first.worker, "exit");
  copyFileSync(join(sampleFolder, "Test card_240p.mp4"), join(folders.videos, "Other.mp4"));
  await until(library, (titles) =>
    titles.some(({ name, state }) => name === "Other" && state === "playable"),
  );
});

test("VL16: the folder of a resting worker is looked through at once, each minute, and the worker woken each day", async ({
  mock,
}) => {
  using folders = testFolders();
  const root = folders.videos;
  const signature = signatureOf(await walkFolder(root));
  const missed = waking();
  {
    using _ = keepVigil({ root, folders: [""], signature: "of before" }, missed.wake);
    await missed.woken;
  }
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  const unwatched = waking();
  using _minute = keepVigil({ root, folders: [], signature }, unwatched.wake);
  copyFileSync(join(sampleFolder, "Test card_240p.mp4"), join(root, "New.mp4"));
  mock.timers.tick(60_000);
  await unwatched.woken;

  const daily = waking();
  const now = signatureOf(await walkFolder(root));
  using _day = keepVigil({ root, folders: [], signature: now }, daily.wake);
  mock.timers.tick(23 * 3_600_000);
  assert.equal(daily.count(), 0);
  mock.timers.tick(3_600_000);
  await daily.woken;
});
