import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { AccountId, limits, randomId, TitleId, type TitleView } from "@snug/protocol";
import fastify from "fastify";
import { eventually } from "../../../testing/browser.ts";
import { type Library, mediaRoutes, openLibrary } from "../src/library/index.ts";
import { makeVideo, sampleFolder, type TestFolders, testFolders, until } from "./library-fixtures.ts";

const run = promisify(execFile);
const grant = "GRANTgrantGRANTgrantGQ";
const watcher = AccountId.parse("A".repeat(43));

/** A real server of nothing but the library, where `grant` opens one title. */
interface Served extends AsyncDisposable {
  readonly origin: string;
  readonly port: number;
  readonly library: Library;
  readonly title: TitleView;
  /** `/m/{grant}/{title}/{version}` */
  readonly base: string;
  /** How often the right was asked for. */
  asked(): number;
}

async function serve(videos: string, { data }: TestFolders): Promise<Served> {
  const library = await openLibrary({ folder: videos, data, log: () => undefined });
  const [title] = await until(library, ([first]) => first?.state === "playable");
  assert.ok(title);
  let asked = 0;
  // `fetch` keeps connections; closing is not to wait for them.
  const app = fastify({ forceCloseConnections: true });
  mediaRoutes(app, {
    library,
    authorize: async (_, presented, wanted) => {
      asked++;
      return presented === grant && wanted === title.id ? watcher : undefined;
    },
  });
  await app.listen({ port: 0, host: "127.0.0.1" });
  const address = app.server.address();
  assert.ok(address !== null && typeof address === "object");
  return {
    origin: `http://127.0.0.1:${address.port}`,
    port: address.port,
    library,
    title,
    base: `/m/${grant}/${title.id}/${title.version}`,
    asked: () => asked,
    [Symbol.asyncDispose]: async () => {
      await app.close();
      await library[Symbol.asyncDispose]();
    },
  };
}

test("VL9: each file has its type, its length, and is stored nowhere", async () => {
  using folders = testFolders();
  await using at = await serve(sampleFolder, folders);
  await until(at.library, ([title]) => title?.still === true);
  const expected = {
    "master.m3u8": "application/vnd.apple.mpegurl",
    "v0/index.m3u8": "application/vnd.apple.mpegurl",
    "v2/init.mp4": "video/mp4",
    "v2/0.m4s": "video/mp4",
    "a0/init.mp4": "audio/mp4",
    "a0/3.m4s": "audio/mp4",
    "still.jpg": "image/jpeg",
  };
  for (const [file, type] of Object.entries(expected)) {
    const got = await fetch(`${at.origin}${at.base}/${file}`);
    assert.deepEqual([got.status, got.headers.get("content-type")], [200, type], file);
    assert.equal(got.headers.get("cache-control"), "no-store");
    const body = await got.bytes();
    assert.equal(got.headers.get("content-length"), String(body.length));
    const head = await fetch(`${at.origin}${at.base}/${file}`, { method: "HEAD" });
    assert.deepEqual([head.status, head.headers.get("content-length")], [200, String(body.length)], file);
    assert.equal((await head.bytes()).length, 0);
  }
});

test("VL9: a stranger's answer is the same for what there is and what there isn't", async () => {
  using folders = testFolders();
  await using at = await serve(sampleFolder, folders);
  const { base, title } = at;
  const other = randomId(TitleId);
  const paths = [
    `${base.replace(grant, "me")}/master.m3u8`,
    `${base.replace(grant, other)}/v0/0.m4s`,
    `/m/${grant}/${other}/${title.version}/v0/0.m4s`,
    `/m/${grant}/${title.id}/${"A".repeat(43)}/v0/0.m4s`,
    `${base}/v9/0.m4s`,
    `${base}/v0/99999.m4s`,
    `${base}/v0/master.m3u8`,
    `${base}/index.m3u8`,
    `${base}/`,
    "/m/",
  ];
  const answers = new Set<string>();
  for (const path of paths) {
    const got = await fetch(at.origin + path);
    const headers = [...got.headers].filter(([name]) => name !== "date");
    answers.add(JSON.stringify([got.status, headers, await got.text()]));
  }
  assert.equal(answers.size, 1, [...answers].join("\n"));
  assert.match([...answers][0] ?? "", /^\[404,.*"no-store".*not-found/);
});

test("R12: no text of a request reaches the file system", async () => {
  using folders = testFolders();
  await using at = await serve(sampleFolder, folders);
  writeFileSync(join(folders.data, "y_240p.mp4"), readFileSync(join(sampleFolder, "Test card_240p.mp4")));
  const attempts = [
    `${at.base}/../../../../data/y_240p.mp4`,
    `${at.base}/..%2f..%2fdata%2fy_240p.mp4`,
    `${at.base}/v0/..%2f0.m4s`,
    `${at.base}/v0/%30.m4s`,
    `${at.base}/v0/00.m4s`,
    `${at.base}/v0/-1.m4s`,
    `${at.base}/v0/0.m4s/`,
    `${at.base}//v0/0.m4s`,
    `${at.base}/v0\\0.m4s`,
    `${at.base}/v0/0.m4s%00`,
    `${at.base}/__proto__/0.m4s`,
    `${at.base}/constructor/init.mp4`,
    `/m/${grant}/../x/y_240p.mp4`,
    `/m/${grant}/%2e%2e/y_240p.mp4`,
    `/m/${grant}/Test card/Test card_240p.mp4`.replaceAll(" ", "%20"),
    `/m/${grant}/${at.title.id}/${at.title.version}/${"v".repeat(5000)}/0.m4s`,
  ];
  const before = at.asked();
  for (const path of attempts) assert.match(await raw(at.port, path), /^HTTP\/1\.1 404 /, path);
  assert.equal(at.asked() - before, 1, "only the one that has the form of an address was looked at");
  assert.match(await raw(at.port, `${at.base}/v0/0.m4s`), /^HTTP\/1\.1 200 /);
});

/** The answer's head to a path as it stands, which `fetch` would tidy up. */
async function raw(port: number, path: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
  const parts = await Array.fromAsync(socket as AsyncIterable<Buffer>);
  return Buffer.concat(parts).toString("latin1");
}

test("VL9: only GET and HEAD; each request is authorised anew", async () => {
  using folders = testFolders();
  await using at = await serve(sampleFolder, folders);
  for (const method of ["POST", "PUT", "DELETE"]) {
    const got = await fetch(`${at.origin}${at.base}/v0/0.m4s`, { method });
    assert.equal(got.status, 404);
    await got.bytes();
  }
  const before = at.asked();
  for (let n = 0; n < 3; n++) await (await fetch(`${at.origin}${at.base}/v0/0.m4s`)).bytes();
  assert.equal(at.asked() - before, 3);
});

test("VL10: a segment fetched over HTTP decodes with its init to exactly its own frames", async () => {
  using folders = testFolders();
  await using at = await serve(sampleFolder, folders);
  const parts = ["init.mp4", "1.m4s"].map(async (file) => {
    return await (await fetch(`${at.origin}${at.base}/v1/${file}`)).bytes();
  });
  const path = join(folders.data, "segment.mp4");
  writeFileSync(path, Buffer.concat(await Promise.all(parts)));
  const hashes = async (args: string[]): Promise<string[]> => {
    const { stdout } = await run("ffmpeg", ["-v", "error", ...args, "-map", "0:v", "-f", "framemd5", "-"]);
    return stdout.split("\n").flatMap((line) => /, ([0-9a-f]{32})$/.exec(line)?.[1] ?? []);
  };
  const all = await hashes(["-i", join(sampleFolder, "Test card_720p.mp4")]);
  const playlist = (await at.library.detail(at.title.id)).playlists.v1 ?? "";
  const lengths = Array.from(playlist.matchAll(/#EXTINF:([0-9.]+)/g), ([, seconds]) => Number(seconds) * 24);
  const [first = 0, second = 0] = lengths;
  assert.deepEqual(await hashes(["-i", path]), all.slice(first, first + second));
});

test("VL9: ffmpeg plays the whole title by a grant's address, every rendition", async () => {
  using folders = testFolders();
  await using at = await serve(sampleFolder, folders);
  const { stdout } = await run("ffprobe", [
    ...[
      "-v",
      "error",
      "-count_packets",
      "-show_entries",
      "stream=codec_type,nb_read_packets",
      "-of",
      "csv=p=0",
    ],
    `${at.origin}${at.base}/master.m3u8`,
  ]);
  const streams = [...new Set(stdout.trim().split("\n"))].sort();
  const sound = streams.filter((line) => line.startsWith("audio"));
  assert.deepEqual(
    streams.filter((line) => line.startsWith("video")),
    ["video,576"],
  );
  assert.ok(sound.length === 1 && Number(sound[0]?.split(",")[1]) >= 1034, stdout);
});

test("VL10: a reader that stops reading holds up a few chunks, not the film, and leaving frees them", async () => {
  using folders = testFolders();
  makeVideo(join(folders.videos, "Large.mp4"), { seconds: 8, height: 480, noise: true, keyframes: 200 });
  await using at = await serve(folders.videos, folders);
  const before = bytesRead();
  const socket = connect(at.port, "127.0.0.1");
  using _ = { [Symbol.dispose]: () => socket.destroy() };
  socket.write(`GET ${at.base}/v0/0.m4s HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  const head: string = await new Promise((resolve) => {
    socket.once("data", (part) => {
      socket.pause();
      resolve(part.toString("latin1"));
    });
  });
  const length = Number(/content-length: (\d+)/.exec(head)?.[1]);
  // Exchanges with the same worker: had it not stopped, it would have read on between them.
  for (let n = 0; n < 20; n++) await at.library.detail(at.title.id);
  const taken = bytesRead() - before;
  // Both ends' socket buffers may swallow 10 MB or so.
  assert.ok(length > 80_000_000, `the segment has ${length} bytes`);
  assert.ok(taken < length / 3, `${taken} of ${length} bytes were read for a reader that takes none`);
  socket.destroy();
  const got = await fetch(`${at.origin}${at.base}/a0/0.m4s`);
  assert.equal((await got.bytes()).length, Number(got.headers.get("content-length")));
});

test("VL10: whoever leaves, whenever, leaves nothing open", async () => {
  using folders = testFolders();
  makeVideo(join(folders.videos, "Large.mp4"), { seconds: 2, height: 480, noise: true });
  await using at = await serve(folders.videos, folders);
  const released = Promise.withResolvers<void>();
  const visitors = 60;
  let [opened, closed] = [0, 0];
  const { open } = at.library;
  at.library.open = async (request) => {
    const found = await open(request);
    assert.ok(found);
    opened++;
    const inner = found.body[Symbol.asyncIterator]();
    let left = false;
    const ended = (): void => {
      if (!left && ++closed === visitors) released.resolve();
      left = true;
    };
    const iterator: AsyncIterator<Uint8Array> = {
      next: async () => {
        const result = await inner.next();
        if (result.done === true) ended();
        return result;
      },
      return: async () => {
        ended();
        return (await inner.return?.()) ?? { done: true, value: undefined };
      },
    };
    return { ...found, body: { [Symbol.asyncIterator]: () => iterator } };
  };
  for (let visitor = 0; visitor < visitors; visitor++) {
    const socket = connect(at.port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write(`GET ${at.base}/v0/${visitor % 2}.m4s HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    // At the first bytes, in the middle, at the end.
    const enough = [1, 1_000_000, Number.POSITIVE_INFINITY][visitor % 3] ?? 1;
    let taken = 0;
    socket.on("data", (part) => {
      taken += part.length;
      if (taken >= enough) socket.destroy();
    });
    if (enough > 1_000_000) socket.end();
  }
  await released.promise;
  assert.equal(opened, visitors);
});

test("P37 watching: one account has so many answers with media at once; one that ends makes room", async () => {
  using folders = testFolders();
  await using at = await serve(sampleFolder, folders);
  const { open } = at.library;
  const endless = async function* (): AsyncGenerator<Uint8Array> {
    for (;;) yield new Uint8Array(65_536);
  };
  at.library.open = async () => ({ type: "video/mp4", body: endless() });
  const taking: Socket[] = [];
  for (let count = 0; count < limits.watching; count++) {
    const socket = connect(at.port, "127.0.0.1").pause();
    socket.on("error", () => socket.destroy());
    socket.write(`GET ${at.base}/v0/0.m4s HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    await once(socket, "readable");
    taking.push(socket);
  }
  at.library.open = open;
  const ask = async (): Promise<number> => {
    const answer = await fetch(`${at.origin}${at.base}/v0/0.m4s`);
    await answer.arrayBuffer();
    return answer.status;
  };
  assert.equal(await ask(), 429);
  taking[0]?.destroy();
  await eventually("there is room again", async () => (await ask()) === 200);
  for (const socket of taking) socket.destroy();
});

/** Bytes that this process has read from anywhere so far. */
const bytesRead = (): number => Number(/^rchar: (\d+)/m.exec(readFileSync("/proc/self/io", "latin1"))?.[1]);
