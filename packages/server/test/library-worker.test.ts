import assert from "node:assert/strict";
import { copyFileSync, cpSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { randomId, SnugError, TitleDetail, TitleId, type TitleView } from "@snug/protocol";
import { createAnnouncing } from "../src/library/announcing.ts";
import { type Library, openLibrary } from "../src/library/index.ts";
import { type Answer, chunksAhead } from "../src/library/messages.ts";
import { createReceiving } from "../src/library/receiving.ts";
import { createSending } from "../src/library/sending.ts";
import { StartError } from "../src/startError.ts";
import { collect, sampleFolder, type TestFolders, testFolders, until } from "./library-fixtures.ts";

const log = (): void => undefined;
const isPlayable = (titles: readonly TitleView[]): boolean =>
  titles.some(({ state }) => state === "playable");

async function openSample(folders: TestFolders): Promise<{ library: Library; title: TitleView }> {
  cpSync(sampleFolder, folders.videos, { recursive: true, preserveTimestamps: true });
  const library = await openLibrary({ folder: folders.videos, data: folders.data, log });
  const [title] = await until(library, isPlayable);
  assert.ok(title);
  return { library, title };
}

test("VL12: the detail holds all that a player needs before its first segment", async () => {
  using folders = testFolders();
  const { library, title } = await openSample(folders);
  await using _ = library;
  const detail = TitleDetail.parse(await library.detail(title.id));
  const ids = title.renditions.map(({ id }) => id);
  assert.equal(detail.base, `/m/me/${title.id}/${title.version}/`);
  assert.deepEqual(Object.keys(detail.playlists), ids);
  for (const rendition of ids) {
    assert.match(detail.master, new RegExp(`${rendition}/index\\.m3u8`));
    const playlist = await library.open({
      title: title.id,
      version: title.version,
      rendition,
      file: "index.m3u8",
    });
    assert.equal((await collect(playlist?.body ?? assert.fail())).toString(), detail.playlists[rendition]);
    const init = await library.open({ title: title.id, version: title.version, rendition, file: "init.mp4" });
    assert.equal((await collect(init?.body ?? assert.fail())).toString("base64url"), detail.inits[rendition]);
  }
  assert.equal(library.duration(title.id), 24_000_000);
});

test("R11: an unknown title is answered at once, and nothing goes on", async () => {
  using folders = testFolders();
  const lines: string[] = [];
  await using library = await openLibrary({
    folder: folders.videos,
    data: folders.data,
    log: (line) => lines.push(line),
  });
  const unknown = randomId(TitleId);
  await assert.rejects(library.detail(unknown), new SnugError("not-found", "there is no such title"));
  assert.equal(library.duration(unknown), undefined);
  const request = { title: unknown, version: "A".repeat(43), rendition: "v0", file: "0.m4s" };
  assert.equal(await library.open(request), undefined);
  assert.deepEqual(lines, []);
});

test("VL6: an old version's address answers as if it had never been", async () => {
  using folders = testFolders();
  const { library, title } = await openSample(folders);
  await using _ = library;
  const request = { title: title.id, version: title.version, rendition: "v0", file: "0.m4s" };
  const found = await library.open(request);
  assert.equal((await collect(found?.body ?? assert.fail())).length, found?.length);
  rmSync(join(folders.videos, "Test card_720p.mp4"));
  const [changed] = await until(library, ([first]) => first?.version !== title.version);
  assert.equal(changed?.id, title.id);
  assert.equal(await library.open(request), undefined);
  assert.ok(await library.open({ ...request, version: changed.version }));
});

test("VL6: a file that was replaced is not served even before the change was noticed", async () => {
  using folders = testFolders();
  const { library, title } = await openSample(folders);
  await using _ = library;
  const request = { title: title.id, version: title.version, rendition: "v0", file: "0.m4s" };
  const path = join(folders.videos, "Test card_240p.mp4");
  rmSync(path);
  copyFileSync(join(folders.videos, "Test card_720p.mp4"), path);
  assert.equal(await library.open(request), undefined);
});

test("VL3: the folder is watched: a new, a renamed and a removed film show without a restart", async () => {
  using folders = testFolders();
  await using library = await openLibrary({ folder: folders.videos, data: folders.data, log });
  assert.deepEqual(library.view().titles, []);
  copyFileSync(join(sampleFolder, "Test card_240p.mp4"), join(folders.videos, "One.mp4"));
  const [one] = await until(library, isPlayable);
  assert.equal(one?.name, "One");
  renameSync(join(folders.videos, "One.mp4"), join(folders.videos, "Two.mp4"));
  const [two] = await until(library, ([title]) => title?.name === "Two");
  assert.deepEqual([two?.id, two?.version], [one.id, one.version]);
  rmSync(join(folders.videos, "Two.mp4"));
  await until(library, (titles) => titles.length === 0);
});

test("VL14: the revision rises with each change, also over a restart", async () => {
  using folders = testFolders();
  const revisions: number[] = [];
  {
    const { library } = await openSample(folders);
    await using _ = library;
    revisions.push(library.view().revision);
    library.onChange((revision) => revisions.push(revision));
    rmSync(join(folders.videos, "Test card_720p.mp4"));
    await until(library, ([title]) => title?.renditions.length === 3);
  }
  await using again = await openLibrary({ folder: folders.videos, data: folders.data, log });
  revisions.push(again.view().revision);
  assert.ok(revisions.length >= 3);
  assert.deepEqual(
    revisions,
    [...new Set(revisions)].sort((a, b) => a - b),
  );
});

test("VL14: changes that follow each other closely are announced together, the first at once", ({ mock }) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const told: [string[], string[]][] = [];
  using announcing = createAnnouncing((changed, removed) => {
    told.push([changed.map(({ name }) => name), [...removed]]);
  });
  const [one, two] = [randomId(TitleId), randomId(TitleId)];
  const named = (id: TitleId, name: string) => ({ id, name }) as TitleView;
  announcing.add([named(one, "first")], []);
  assert.deepEqual(told.splice(0), [[["first"], []]]);
  announcing.add([named(one, "second"), named(two, "other")], []);
  announcing.add([named(one, "third")], [two]);
  assert.equal(told.length, 0);
  mock.timers.tick(500);
  assert.deepEqual(told.splice(0), [[["third"], [two]]]);
  mock.timers.tick(500);
  announcing.add([named(one, "fourth")], []);
  assert.deepEqual(told, [[["fourth"], []]]);
});

test("VL11: a missing folder of videos, or an index that is none, ends the start in one line", async () => {
  using folders = testFolders();
  const folder = join(folders.videos, "missing");
  await assert.rejects(
    openLibrary({ folder, data: folders.data, log }),
    new StartError(`there is no folder of videos at ${folder}`),
  );
  copyFileSync(join(sampleFolder, "Test card_240p.mp4"), join(folders.data, "library.db"));
  await assert.rejects(openLibrary({ folder: folders.videos, data: folders.data, log }), (error) => {
    assert.ok(error instanceof StartError);
    assert.match(error.message, /^the index of the videos can't be used: .*library\.db/);
    return true;
  });
});

test("VL11: a worker that dies fails what it was asked, and the next one answers", async () => {
  using folders = testFolders();
  cpSync(sampleFolder, folders.videos, { recursive: true, preserveTimestamps: true });
  const lines: string[] = [];
  let starts = 0;
  const title = randomId(TitleId);
  const view = { id: title, name: "Gone", state: "preparing", reason: null, version: "", notes: [] };
  const dying = `
    const { parentPort } = require("node:worker_threads");
    parentPort.on("message", () => { throw new Error("planted"); });
    parentPort.postMessage({ type: "ready", titles: [${JSON.stringify(view)}] });`;
  await using library = await openLibrary(
    { folder: folders.videos, data: folders.data, log: (line) => lines.push(line) },
    (workerData) =>
      ++starts === 1
        ? new Worker(dying, { eval: true })
        : new Worker(new URL("../src/library/worker.ts", import.meta.url), { workerData }),
  );
  const request = { title, version: "A".repeat(43), rendition: "v0", file: "0.m4s" };
  const stopped = new SnugError("unavailable", "the video worker stopped; ask again in a moment");
  await Promise.all([
    assert.rejects(library.detail(title), stopped),
    assert.rejects(library.open(request), stopped),
  ]);
  const titles = await until(library, isPlayable);
  assert.deepEqual(
    titles.map(({ name }) => name),
    ["Test card"],
  );
  assert.equal((await library.detail(titles[0]?.id ?? title)).title.state, "playable");
  assert.equal(starts, 2);
  assert.deepEqual(lines, ["the video worker failed: planted"]);
});

/** A body that counts what is taken from it, and notes when it is let go. */
function countedBody(chunks: number): {
  body: AsyncIterable<Uint8Array>;
  taken: () => number;
  closed: () => boolean;
} {
  let taken = 0;
  let closed = false;
  async function* body(): AsyncGenerator<Uint8Array> {
    try {
      while (taken < chunks) {
        taken++;
        yield new Uint8Array([taken]);
      }
    } finally {
      closed = true;
    }
  }
  return { body: body(), taken: () => taken, closed: () => closed };
}

/** Lets everything run that does not wait for something from outside. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("VL10: no more than a few chunks leave their file for a reader that doesn't read", async () => {
  const answers: Answer[] = [];
  const sending = createSending((answer) => answers.push(answer));
  const { body, taken, closed } = countedBody(1000);
  sending.start(1, body);
  await settled();
  assert.equal(answers.length, chunksAhead);
  assert.equal(taken(), chunksAhead + 1);
  sending.more(1);
  await settled();
  assert.equal(answers.length, chunksAhead + 1);
  sending.cancel(1);
  await settled();
  assert.ok(closed());
  assert.equal(taken(), chunksAhead + 2);
  sending.more(1);
  await settled();
  assert.equal(answers.filter(({ type }) => type === "chunk").length, chunksAhead + 1);
});

test("VL10: sending and receiving together carry every chunk once and in order", async () => {
  const { body } = countedBody(50);
  const receiving = createReceiving({ more: () => sending.more(7), left: () => sending.cancel(7) });
  const sending = createSending((answer) => {
    if (answer.type === "chunk") receiving.chunk(answer.bytes);
    if (answer.type === "end") receiving.end();
  });
  sending.start(7, body);
  assert.deepEqual(
    [...(await collect(receiving))],
    Array.from({ length: 50 }, (_, at) => at + 1),
  );
});

test("VL10: a reader that leaves gives the file back, and gets no word more", async () => {
  const { body, closed } = countedBody(1000);
  const receiving = createReceiving({ more: () => sending.more(7), left: () => sending.cancel(7) });
  const sending = createSending((answer) => {
    if (answer.type === "chunk") receiving.chunk(answer.bytes);
    if (answer.type === "end") receiving.end();
  });
  sending.start(7, body);
  for await (const chunk of receiving) {
    assert.deepEqual([...chunk], [1]);
    break;
  }
  await settled();
  assert.ok(closed());
});

test("VL10: a body that breaks off reaches the reader as an error, after what came before it", async () => {
  const receiving = createReceiving({ more: () => undefined, left: () => undefined });
  receiving.chunk(new Uint8Array([1]));
  receiving.fail(new SnugError("unavailable", "broken"));
  const taken: number[] = [];
  const read = async (): Promise<void> => {
    for await (const chunk of receiving) taken.push(...chunk);
  };
  await assert.rejects(read(), new SnugError("unavailable", "broken"));
  assert.deepEqual(taken, [1]);
});
