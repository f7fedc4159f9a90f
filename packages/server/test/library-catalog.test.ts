import assert from "node:assert/strict";
import {
  appendFileSync,
  copyFileSync,
  cpSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { INDEX_VERSION } from "@snug/media";
import { TitleView } from "@snug/protocol";
import { Catalog } from "../src/library/catalog.ts";
import { openInside } from "../src/library/folder.ts";
import { openRecords, type Records } from "../src/library/records.ts";
import { walkFolder } from "../src/library/walk.ts";
import { makeVideo, sampleFolder, type TestFolders, testFolders } from "./library-fixtures.ts";

/** A catalog whose clock and reads are in the test's hands. */
interface Rig extends Disposable {
  readonly catalog: Catalog;
  readonly records: Records;
  /** Files opened for reading so far. */
  opened(): number;
  advance(milliseconds: number): void;
  /** Its time: moved by the test alone. */
  now(): number;
  /** Whether the system refuses to open anything. */
  forbid(now: boolean): void;
  /** Walks, reads what can be read, and gives the titles by name. */
  look(): Promise<TitleView[]>;
  /** Titles in the order in which they were published. */
  readonly published: TitleView[];
  readonly lines: string[];
}

function rig({ videos, data }: TestFolders, format = INDEX_VERSION): Rig {
  let time = Date.now();
  let opened = 0;
  let forbidden = false;
  const now = (): number => time;
  const records = openRecords(join(data, "library.db"), { format, now });
  const open = openInside(videos);
  const published: TitleView[] = [];
  const lines: string[] = [];
  const catalog = new Catalog({
    walk: () => walkFolder(videos),
    open: (file) => {
      opened++;
      return forbidden ? undefined : open(file);
    },
    records,
    now,
    log: (line) => lines.push(line),
    onChanged: (titles) => published.push(...titles),
  });
  const look = async (): Promise<TitleView[]> => {
    await catalog.walk();
    await catalog.read();
    const views = Array.from(catalog.titles(), ({ view }) => TitleView.parse(view));
    return views.sort((a, b) => (a.name < b.name ? -1 : 1));
  };
  return {
    catalog,
    records,
    opened: () => opened,
    forbid: (now) => {
      forbidden = now;
    },
    advance: (milliseconds) => {
      time += milliseconds;
    },
    now,
    look,
    published,
    lines,
    [Symbol.dispose]: () => records[Symbol.dispose](),
  };
}

function withSample(): TestFolders {
  const folders = testFolders();
  cpSync(sampleFolder, folders.videos, { recursive: true, preserveTimestamps: true });
  return folders;
}

test("VL1: the sample is one playable title of three qualities and one sound", async () => {
  using folders = withSample();
  using at = rig(folders);
  const [title, ...others] = await at.look();
  assert.deepEqual(others, []);
  assert.equal(title?.name, "Test card");
  assert.equal(title.state, "playable");
  assert.deepEqual(
    title.renditions.map(({ kind, height }) => [kind, height]),
    [
      ["video", 240],
      ["video", 720],
      ["video", 1440],
      ["audio", undefined],
    ],
  );
  assert.equal(title.durationMicroseconds, 24_000_000);
  assert.deepEqual(title.notes, []);
});

test("VL3: a file that is being written waits, is read when it rests, and again when it grew after all", async () => {
  using folders = testFolders();
  using at = rig(folders);
  const path = join(folders.videos, "Film.mp4");
  const whole = readFileSync(join(sampleFolder, "Test card_240p.mp4"));
  writeFileSync(path, whole.subarray(0, 100_000));
  assert.equal((await at.look())[0]?.state, "preparing");
  at.advance(400);
  appendFileSync(path, whole.subarray(100_000, 150_000));
  utimesSync(path, new Date(), new Date(at.now()));
  at.advance(700);
  assert.equal((await at.look())[0]?.state, "preparing");
  assert.equal(at.opened(), 0);

  // It rests, but is not whole: the copy stalled for long.
  at.advance(10_000);
  const [half] = await at.look();
  assert.equal(half?.state, "unplayable");
  assert.match(half.reason ?? "", /^damaged: /);

  appendFileSync(path, whole.subarray(150_000));
  at.advance(10_000);
  const [title] = await at.look();
  assert.equal(title?.state, "playable");
  assert.equal(title.id, half.id);
});

test("VL3: a file dated into the future counts as whole once it was seen unchanged for a second", async () => {
  using folders = testFolders();
  using at = rig(folders);
  const path = join(folders.videos, "Film.mp4");
  copyFileSync(join(sampleFolder, "Test card_240p.mp4"), path);
  utimesSync(path, new Date(), new Date(at.now() + 86_400_000));
  assert.equal((await at.look())[0]?.state, "preparing");
  at.advance(1000);
  assert.equal((await at.look())[0]?.state, "playable");
});

test("VL4: the next start reads no file again, and neither does a rename", async () => {
  using folders = withSample();
  makeVideo(join(folders.videos, "broken.mp4"));
  writeFileSync(join(folders.videos, "broken.mp4"), "not a film");
  let before: TitleView[];
  {
    using first = rig(folders);
    first.advance(10_000);
    before = await first.look();
    assert.equal(first.opened(), 4);
  }
  using second = rig(folders);
  second.advance(10_000);
  await second.catalog.walk();
  assert.deepEqual(
    Array.from(second.catalog.titles(), ({ view }) => view.state).sort(),
    ["playable", "unplayable"],
    "all is known before anything is read",
  );
  assert.deepEqual(await second.look(), before);
  renameSync(join(folders.videos, "broken.mp4"), join(folders.videos, "still broken.mp4"));
  assert.deepEqual(
    (await second.look()).map(({ name }) => name),
    ["Test card", "still broken"],
  );
  assert.equal(second.opened(), 0);
});

test("VL4: an index of another format is read anew", async () => {
  using folders = withSample();
  {
    using first = rig(folders);
    await first.look();
  }
  using second = rig(folders, INDEX_VERSION + 1);
  await second.look();
  assert.equal(second.opened(), 3);
});

test("VL4: an index file of a newer version is refused in one line", () => {
  using folders = testFolders();
  const path = join(folders.data, "library.db");
  const newer = new DatabaseSync(path);
  newer.exec("PRAGMA user_version = 99");
  newer.close();
  const open = () => openRecords(path, { format: 1, now: Date.now });
  assert.throws(open, { message: `${path}: made by a newer version of Snug (99 > 1)` });
});

test("VL5: a renamed title keeps its id, also while nobody watched, and from a copy on another disk", async () => {
  using folders = withSample();
  const { videos } = folders;
  let id: string | undefined;
  {
    using first = rig(folders);
    id = (await first.look())[0]?.id;
  }
  for (const height of [240, 720, 1440]) {
    // A copy: other inode, other time, same bytes.
    copyFileSync(join(videos, `Test card_${height}p.mp4`), join(videos, `Renamed_${height}p.mp4`));
    rmSync(join(videos, `Test card_${height}p.mp4`));
  }
  using second = rig(folders);
  second.advance(10_000);
  const [title, ...others] = await second.look();
  assert.deepEqual(others, []);
  assert.equal(title?.name, "Renamed");
  assert.equal(title.id, id);
});

test("VL6: changed bytes under the same name: same title, new version; a rename changes neither", async () => {
  using folders = withSample();
  using at = rig(folders);
  const [first] = await at.look();
  const path = join(folders.videos, "Test card_240p.mp4");
  const bytes = readFileSync(path);
  const middle = bytes.length >> 1;
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  writeFileSync(path, bytes);
  at.advance(10_000);
  const [second] = await at.look();
  assert.equal(second?.id, first?.id);
  assert.notEqual(second?.version, first?.version);
  for (const height of [240, 720, 1440]) {
    renameSync(
      join(folders.videos, `Test card_${height}p.mp4`),
      join(folders.videos, `Other_${height}p.mp4`),
    );
  }
  const [third] = await at.look();
  assert.deepEqual([third?.id, third?.version, third?.name], [second?.id, second?.version, "Other"]);
});

test("VL7: what can't be played is listed with the reason", async () => {
  using folders = testFolders();
  const { videos } = folders;
  makeVideo(join(videos, "hevc.mp4"), { codec: "libx265" });
  writeFileSync(join(videos, "text.mkv"), "this is no film at all");
  writeFileSync(join(videos, "empty.mp4"), "");
  writeFileSync(
    join(videos, "cut off.mp4"),
    readFileSync(join(sampleFolder, "Test card_240p.mp4")).subarray(0, 9000),
  );
  using at = rig(folders);
  at.advance(10_000);
  const titles = await at.look();
  assert.deepEqual(
    titles.map(({ name, state }) => [name, state]),
    [
      ["cut off", "unplayable"],
      ["empty", "unplayable"],
      ["hevc", "unplayable"],
      ["text", "unplayable"],
    ],
  );
  assert.match(titles[0]?.reason ?? "", /^damaged: /);
  assert.match(titles[1]?.reason ?? "", /^damaged: /);
  assert.match(titles[2]?.reason ?? "", /codec h[ev][vc]1/);
  assert.match(titles[3]?.reason ?? "", /not an MP4 or MOV file/);
});

test("VL7: a quality that can't be cut is a note of its title, and the title plays", async () => {
  using folders = testFolders();
  makeVideo(join(folders.videos, "Film_72p.mp4"));
  makeVideo(join(folders.videos, "Film_144p.mp4"), { codec: "libx265", height: 144 });
  using at = rig(folders);
  at.advance(10_000);
  const [title, ...others] = await at.look();
  assert.deepEqual(others, []);
  assert.equal(title?.state, "playable");
  assert.equal(title.renditions.filter(({ kind }) => kind === "video").length, 1);
  assert.match(title.notes[0] ?? "", /^Film_144p\.mp4: video codec /);
});

test("VL7: a file that twice ended the program while it was read is left alone", async () => {
  using folders = withSample();
  using at = rig(folders);
  const { files } = await walkFolder(folders.videos);
  for (const { stamp } of files) for (let crash = 0; crash < 2; crash++) at.records.begin(stamp);
  const [title] = await at.look();
  assert.equal(title?.state, "unplayable");
  assert.equal(title.reason, "damaged: it could not be read");
});

test("VL7: a file that can't be opened is listed so, and plays as soon as it can be", async () => {
  using folders = testFolders();
  copyFileSync(join(sampleFolder, "Test card_240p.mp4"), join(folders.videos, "Film.mp4"));
  using at = rig(folders);
  at.advance(10_000);
  at.forbid(true);
  const [closed] = await at.look();
  assert.deepEqual([closed?.state, closed?.reason], ["unplayable", "it can't be opened for reading"]);
  at.published.length = 0;
  await at.look();
  assert.equal(at.published.length, 0);
  at.forbid(false);
  const [open] = await at.look();
  assert.deepEqual([open?.state, open?.id], ["playable", closed?.id]);
});

test("VL8: a file on another timeline becomes a title of its own, and both say why", async () => {
  using folders = testFolders();
  const { videos } = folders;
  makeVideo(join(videos, "Film_72p.mp4"));
  makeVideo(join(videos, "Film_144p.mp4"), { height: 144 });
  makeVideo(join(videos, "Film_108p.mp4"), { height: 108, seconds: 3 });
  using at = rig(folders);
  at.advance(10_000);
  const titles = await at.look();
  assert.deepEqual(
    titles.map(({ name, state }) => [name, state]),
    [
      ["Film", "playable"],
      ["Film (108p)", "playable"],
    ],
  );
  assert.match(
    titles[0]?.notes[0] ?? "",
    /^Film_108p\.mp4: a title of its own, the picture is 1000 ms longer/,
  );
  assert.match(titles[1]?.notes[0] ?? "", /^Not part of “Film”: the picture is 1000 ms longer/);
  assert.notEqual(titles[0]?.id, titles[1]?.id);
  const before = titles.map(({ id, version }) => [id, version]);
  assert.deepEqual(
    (await at.look()).map(({ id, version }) => [id, version]),
    before,
  );
});

test("VL14: only what changed is published", async () => {
  using folders = withSample();
  makeVideo(join(folders.videos, "Film.mp4"));
  using at = rig(folders);
  at.advance(10_000);
  await at.look();
  at.published.length = 0;
  await at.look();
  assert.equal(at.published.length, 0);
  rmSync(join(folders.videos, "Test card_240p.mp4"));
  await at.look();
  const changed = at.published.map(({ name, renditions }) => [name, renditions.length]);
  assert.deepEqual(changed, [["Test card", 3]]);
});

test("VL4: what is gone for long is forgotten, what is in use is not", async () => {
  using folders = withSample();
  using at = rig(folders);
  await at.look();
  const stamps = (await walkFolder(folders.videos)).files.map(({ stamp }) => stamp);
  at.advance(100 * 86_400_000);
  at.catalog.sweep();
  assert.ok(stamps.every((stamp) => at.records.file(stamp) !== undefined));
  rmSync(folders.videos, { recursive: true });
  assert.equal(at.records.titles().length, 1);
  cpSync(sampleFolder, folders.videos, { recursive: true });
  rmSync(join(folders.videos, "Test card_240p.mp4"));
  await at.look();
  at.advance(100 * 86_400_000);
  at.catalog.sweep();
  assert.ok(stamps.every((stamp) => at.records.file(stamp) === undefined));
});
