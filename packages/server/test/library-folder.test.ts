import assert from "node:assert/strict";
import { linkSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openInside } from "../src/library/folder.ts";
import { matchIds } from "../src/library/identity.ts";
import { harmlessName, isVideoName, isVisibleName, parseVideoName } from "../src/library/names.ts";
import { walkFolder } from "../src/library/walk.ts";
import { testFolders } from "./library-fixtures.ts";

test("VL1: files of one name and different heights are one title, whatever the case of the extension", () => {
  const parsed = ["Test card_240p.mp4", "Test card_1440p.MP4", "Test card_720P.mov"].map(parseVideoName);
  assert.deepEqual(
    parsed.map(({ title, height }) => [title, height]),
    [
      ["Test card", 240],
      ["Test card", 1440],
      ["Test card", 720],
    ],
  );
  assert.equal(new Set(parsed.map(({ key }) => key)).size, 1);
});

test("VL1: every other video is a title of its own, and folders belong to the name", () => {
  assert.deepEqual(
    ["Film.mp4", "Film.mkv", "Series/One_720p.mp4", "_720p.mp4", "a_0720p.mp4", "a_720px.mp4"].map(
      (path) => parseVideoName(path).title,
    ),
    ["Film", "Film", "Series/One", "_720p", "a_0720p", "a_720px"],
  );
  const keys = ["Film.mp4", "Film.mkv", "Film_720p.mp4", "Series/Film_720p.mp4"].map(
    (path) => parseVideoName(path).key,
  );
  assert.equal(new Set(keys).size, 4);
});

test("VL1: decomposed and composed spellings are one name; a long path keeps its end within 255", () => {
  assert.equal(parseVideoName("Cafe\u0301_240p.mp4").key, parseVideoName("Caf\u00e9_720p.mp4").key);
  const { title } = parseVideoName(`${"folder/".repeat(60)}Film.mp4`);
  assert.ok(title.length <= 255 && title.startsWith("…") && title.endsWith("/Film"));
  // Cut between characters, never through one.
  for (const before of ["", "x"]) {
    const { title } = parseVideoName(`${"\u{1f3ac}".repeat(200)}${before}.mp4`);
    assert.ok(title.isWellFormed() && title.length > 250 && title.length <= 255, title);
  }
});

test("VL2: dotfiles, control characters, endless and undecodable names are not looked at", () => {
  for (const name of [".hidden.mp4", "a\nb.mp4", "\u009b.mp4", "\ufffd.mp4", `${"x".repeat(256)}.mp4`]) {
    assert.equal(isVisibleName(name), false, name);
  }
  assert.ok(isVisibleName("Ordinary name (2024).mp4"));
  assert.ok(isVideoName("A.MKV") && isVideoName("a.b.webm") && !isVideoName("a.txt") && !isVideoName("mp4"));
});

test("VL2: links that leave the folder, pipes' places and dot folders yield nothing", async () => {
  using folders = testFolders();
  const { videos, data } = folders;
  writeFileSync(join(data, "secret.mp4"), "outside");
  symlinkSync(join(data, "secret.mp4"), join(videos, "link.mp4"));
  symlinkSync(data, join(videos, "linked folder"));
  mkdirSync(join(videos, ".dot"));
  writeFileSync(join(videos, ".dot", "a.mp4"), "hidden");
  mkdirSync(join(videos, "sub"));
  writeFileSync(join(videos, "sub", "b.mp4"), "seen");
  mkdirSync(join(videos, "folder.mp4"));
  const { files, complete } = await walkFolder(videos);
  assert.deepEqual(
    files.map(({ path }) => path),
    ["sub/b.mp4"],
  );
  assert.equal(complete, true);
});

test("VL2: a file that was replaced by a link, or its folder by one, is not opened", async () => {
  using folders = testFolders();
  const { videos, data } = folders;
  for (const folder of [join(videos, "sub"), join(data, "sub")]) mkdirSync(folder);
  writeFileSync(join(videos, "sub", "a.mp4"), "inside");
  writeFileSync(join(data, "sub", "a.mp4"), "outside");
  const [file] = (await walkFolder(videos)).files;
  assert.ok(file);
  const open = openInside(videos);
  using honest = open(file);
  assert.equal(Buffer.from((await honest?.read(0, 6)) ?? []).toString(), "inside");
  renameSync(join(videos, "sub"), join(videos, "old"));
  symlinkSync(join(data, "sub"), join(videos, "sub"));
  assert.equal(open(file), undefined);
});

test("VL2: the walk is bounded in depth and says when it left something out", async () => {
  using folders = testFolders();
  const deep = join(folders.videos, ..."123456789".split(""));
  mkdirSync(deep, { recursive: true });
  writeFileSync(join(deep, "a.mp4"), "");
  const { files, folders: walked, complete } = await walkFolder(folders.videos);
  assert.deepEqual({ files, complete }, { files: [], complete: false });
  assert.deepEqual(walked.slice(0, 2), ["", "1"]);
});

test("VL3: one stamp stands for the same bytes: kept by a rename, changed by a write", async () => {
  using folders = testFolders();
  const { videos } = folders;
  const stamps = async (): Promise<string[]> => (await walkFolder(videos)).files.map(({ stamp }) => stamp);
  writeFileSync(join(videos, "a.mp4"), "one");
  const [first] = await stamps();
  renameSync(join(videos, "a.mp4"), join(videos, "b.mp4"));
  assert.deepEqual(await stamps(), [first]);
  linkSync(join(videos, "b.mp4"), join(videos, "c.mp4"));
  assert.deepEqual(await stamps(), [first, first]);
  writeFileSync(join(videos, "b.mp4"), "three");
  assert.notEqual((await stamps())[0], first);
});

test("VL5: an id goes to key and contents first, then to contents, then to the key, and to one title only", () => {
  const known = ["A", "B", "C"].map((key, at) => ({
    id: `${"A".repeat(20)}${key}${"A"}`,
    key,
    contents: [`bytes ${at}`],
  }));
  const [a, b, c] = known.map(({ id }) => id);
  const match = (...sightings: [string, string[]][]) =>
    matchIds(
      sightings.map(([key, contents]) => ({ key, contents })),
      known,
    ) as string[];
  assert.deepEqual(match(["A", ["bytes 0"]], ["copy", ["bytes 0"]])[0], a);
  assert.deepEqual(match(["B", ["bytes 0"]], ["A", ["bytes 1"]]), [a, b], "two names were swapped");
  assert.deepEqual(match(["renamed", ["bytes 2"]], ["C", []])[0], c);
  assert.deepEqual(match(["C", ["other bytes"]]), [c]);
  const fresh = match(["copy", ["bytes 0"]], ["A", ["bytes 0"]]);
  assert.equal(fresh[1], a);
  assert.match(fresh[0] ?? "", /^[A-Za-z0-9_-]{22}$/);
  assert.ok(!known.some(({ id }) => id === fresh[0]));
});

test("VL1: a name that would turn its line round is shown with its controls replaced, and stays its own key", () => {
  const hostile = parseVideoName("Film\u202e4pm.exe\u2066_720p.mp4");
  assert.equal(hostile.title, "Film\ufffd4pm.exe\ufffd");
  assert.notEqual(hostile.key, parseVideoName("Film\ufffd4pm.exe\ufffd_720p.mp4").key);
  assert.equal(harmlessName("a\u200f\u2069b"), "a\u200f\ufffdb");
});
