import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect as tlsConnect } from "node:tls";
import { fromBase64url, LibraryView, randomId, TitleDetail, TitleId, type TitleView } from "@snug/protocol";
import { makeVideo } from "../packages/server/test/library-fixtures.ts";
import { eventually } from "./browser.ts";
import { FaultProxy } from "./faultProxy.ts";
import { exchange, Household, refuses, take } from "./household.ts";

let home: Household;
let port: number;
/** The right to fetch anything of the library. */
let headers: { readonly authorization: string };
let card: TitleDetail;
let large: TitleDetail;

before(async () => {
  // One segment that no socket's buffers can swallow.
  const made = { seconds: 8, height: 480, noise: true, keyframes: 200 } as const;
  home = await Household.open((videos) => makeVideo(join(videos, "Large.mp4"), made));
  port = home.served.port;
  await using wire = await home.alice.connect();
  const { token } = await wire.request("token-create", {});
  headers = { authorization: `Bearer ${token}` };
  const bothReady = async (): Promise<TitleView[] | undefined> => {
    const view = LibraryView.parse(await (await get("/api/library")).json());
    return view.titles.length === 2 && view.titles.every(isReady) ? view.titles : undefined;
  };
  const titles = await eventually("both titles are playable", bothReady);
  const detail = async (name: string): Promise<TitleDetail> => {
    const id = titles.find((title) => title.name === name)?.id;
    return TitleDetail.parse(await (await get(`/api/titles/${id}`)).json());
  };
  [card, large] = [await detail("Test card"), await detail("Large")];
});
after(() => home?.[Symbol.asyncDispose]());

const isReady = ({ state, still }: TitleView): boolean => state === "playable" && still;

function get(path: string, from: { readonly port: number } = { port }): Promise<Response> {
  return fetch(`http://127.0.0.1:${from.port}${path}`, { headers });
}

/** An answer whose body is not read before the test does. */
async function ask(path: string, from: { readonly port: number } = { port }): Promise<IncomingMessage> {
  const request = httpRequest({ host: "127.0.0.1", port: from.port, path, headers, agent: false }).end();
  const [answer] = (await once(request, "response")) as [IncomingMessage];
  assert.equal(answer.statusCode, 200);
  return answer;
}

async function drain(answer: IncomingMessage): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(answer as AsyncIterable<Buffer>));
}

const lengthOf = (answer: IncomingMessage): number => Number(answer.headers["content-length"]);

/** Bytes that the server's process has read, from wherever. */
async function bytesRead(): Promise<number> {
  const text = await readFile(`/proc/${home.served.pid}/io`, "latin1");
  return Number(/^rchar: (\d+)/m.exec(text)?.[1]);
}

/** Seconds from the title's beginning to each segment of a rendition, by its playlist. */
function starts(playlist: string): number[] {
  let at = 0;
  return Array.from(playlist.matchAll(/#EXTINF:([0-9.]+)/g), ([, seconds]) => {
    const start = at;
    at += Number(seconds);
    return start;
  });
}

/** The payload of the first box of a type, whatever it is inside. */
function box(bytes: Uint8Array, type: string): Buffer {
  const at = Buffer.from(bytes).indexOf(type);
  assert.ok(at > 0, `no ${type}`);
  return Buffer.from(bytes).subarray(at + 4);
}

/** The media in a segment: the payload of each `mdat` (ISO/IEC 14496-12, 8.1.1). */
function* payloads(segment: Buffer): Iterable<Buffer> {
  for (let at = 0; at < segment.length; at += segment.readUInt32BE(at)) {
    if (segment.toString("latin1", at + 4, at + 8) === "mdat") {
      yield segment.subarray(at + 8, at + segment.readUInt32BE(at));
    }
  }
}

describe("what must never happen again: video", () => {
  it("R11: a video that is not there is said so once, and nothing goes on behind it", async () => {
    await using wire = await home.alice.connect();
    // The log is written in order: when it has this line, it has all that came before.
    const logged = async (from: number): Promise<string[]> => {
      await (await get("/authority.crt")).text();
      return eventually("the log has it all", () => {
        const lines = home.served.log.slice(from).split("\n").slice(0, -1);
        return lines.some((line) => line.includes('"/authority.crt"')) ? lines : undefined;
      });
    };
    await logged(home.served.log.length);
    const from = home.served.log.length;
    const nowhere = randomId(TitleId);
    const paths = [
      `/api/titles/${nowhere}`,
      `${card.base.replace(card.title.id, nowhere)}master.m3u8`,
      `${card.base}v9/0.m4s`,
      `${card.base}v0/99999.m4s`,
    ];
    for (const path of paths) {
      const answer = await get(path);
      assert.deepEqual([answer.status, (await answer.json()).code], [404, "not-found"], path);
    }
    await refuses(wire.request("grant-create", { title: nowhere }), "not-found");
    await home.rests();
    const requests = (await logged(from)).map((line) => {
      const { event, route, status } = JSON.parse(line) as Record<string, unknown>;
      return [event, route, status];
    });
    assert.deepEqual(requests, [
      ["request", "/api/titles/:title", 404],
      ...Array.from({ length: 3 }, () => ["request", "/m/*", 404]),
      ["request", "/authority.crt", 200],
    ]);
  });

  it("R12: no path leads out of the folder, as it stands or encoded, plain or TLS, whoever asks", async () => {
    const outside = await readFile(join(home.folder, "y_240p.mp4"));
    const ups = ["..", "%2e%2e", ".%2e", "%2E.", "..%00", "%252e%252e", "..;", "%c0%ae%c0%ae", "．．"];
    const slashes = ["/", "%2f", "\\", "%5c", "%252f", "//"];
    // The film lies one level above the folder, and as the original read it, behind a name without its ending.
    const traversals = ups.flatMap((up) =>
      slashes.flatMap((slash) => [
        `${up}${slash}y_240p.mp4`,
        `${up}${slash}${up}${slash}y_240p.mp4`,
        `${up}${slash}y`,
      ]),
    );
    const paths = [
      ...traversals.flatMap((path) => [`${card.base}${path}`, `/m/me/${path}`, `/assets/${path}`]),
      ...["/../y_240p.mp4", "/y_240p.mp4", "/videos/../y_240p.mp4", `/api/titles/..%2f..%2fy`],
      ...[`//${home.folder}/y_240p.mp4`, `/m/me${home.folder}/y_240p.mp4`, "/m/me/Test%20card_240p.mp4"],
    ];
    const request = (path: string): Buffer =>
      Buffer.from(
        `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${headers.authorization}\r\nConnection: close\r\n\r\n`,
      );
    const dial = [
      () => connect(port, "127.0.0.1"),
      () => tlsConnect({ port, host: "127.0.0.1", servername: "localhost" }),
    ];
    for (const open of dial) {
      for (const path of paths) {
        const answer = await exchange(open(), request(path));
        assert.match(answer.toString("latin1"), /^HTTP\/1\.1 40[04] /, path);
        assert.ok(!answer.includes(outside.subarray(4096, 4160)), path);
      }
      const control = await exchange(open(), request(`${card.base}v0/0.m4s`));
      assert.match(control.toString("latin1"), /^HTTP\/1\.1 200 /);
    }
    assert.ok(paths.length > 150);
  });

  it("R19: letters go through while six films are read slowly", async () => {
    await using proxy = await FaultProxy.to(port);
    await using fromAlice = await home.alice.connect();
    await using toBob = await home.openInbox(home.bob);
    /** ms that each of so many letters took, sorted. */
    const letters = async (count: number, meanwhile: () => void = () => undefined): Promise<number[]> => {
      const times: number[] = [];
      while (times.length < count) {
        const start = performance.now();
        meanwhile();
        await home.submit(fromAlice, home.next(home.alice, home.bob));
        await take(toBob, 1);
        times.push(performance.now() - start);
      }
      return times.sort((one, other) => one - other);
    };
    const alone = await letters(20);
    const readers = await Promise.all(Array.from({ length: 6 }, () => ask(`${large.base}v0/0.m4s`, proxy)));
    // Each takes 256 KiB while a letter is on its way: however long that takes, no film comes to its end.
    let next = Promise.withResolvers<void>();
    const slow = readers.map(async (reader) => {
      let taken = 0;
      for await (const part of reader as AsyncIterable<Buffer>) {
        taken += part.length;
        for (; taken >= 262_144; taken -= 262_144) await next.promise;
      }
    });
    const over = Promise.allSettled(slow);
    const times = await letters(60, () => {
      next.resolve();
      next = Promise.withResolvers();
    });
    assert.ok(
      readers.every(({ complete }) => !complete),
      "the films were still being read",
    );
    const [half = Number.NaN, longest = Number.NaN] = [times[30], times.at(-1)];
    const [usualHalf = 0, usualLongest = 0] = [alone[10], alone.at(-1)];
    assert.ok(
      half < Math.max(250, 10 * usualHalf),
      `half of the letters took over ${half} ms, ${usualHalf} alone`,
    );
    assert.ok(
      longest < Math.max(5000, 20 * usualLongest),
      `a letter took ${longest} ms, ${usualLongest} alone`,
    );
    for (const reader of readers) reader.destroy();
    next.resolve();
    await over;
  });

  it("R24: who takes one byte at a time gets the segment's bytes, each once and in order", async () => {
    const [whole, second] = await Promise.all(
      [0, 1].map(async (n) => Buffer.from(await (await get(`${card.base}v0/${n}.m4s`)).bytes())),
    );
    assert.ok(whole && second && !whole.equals(second));
    await using proxy = await FaultProxy.to(port);
    proxy.split = "every byte";
    const answer = await ask(`${card.base}v0/0.m4s`, proxy);
    assert.equal(lengthOf(answer), whole.length);
    const taken: number[] = [];
    answer.on("readable", () => {
      for (let byte = answer.read(1) as Buffer | null; byte; byte = answer.read(1) as Buffer | null) {
        taken.push(...byte);
      }
    });
    await once(answer, "end");
    assert.ok(proxy.pieces > whole.length);
    assert.ok(Buffer.from(taken).equals(whole));
    // What they are bytes of: the film's own, going on and never again from the same place.
    const film = await readFile(join(home.served.videos, "Test card_240p.mp4"));
    const places = [...payloads(Buffer.from(taken)), ...payloads(second)].map((of) =>
      film.indexOf(of.subarray(0, 64)),
    );
    assert.ok(places.length >= 4);
    assert.deepEqual(
      places,
      [...new Set(places)].sort((one, other) => one - other),
    );
    assert.ok((places[0] ?? -1) > 0);
  });

  it("R25: a seek needs nothing of what lies before it, and its segment says when it plays", async () => {
    const last = starts(card.playlists.v2 ?? "").length - 1;
    assert.ok(last > 5);
    for (const rendition of ["v2", "v0"]) {
      const segment = await (await get(`${card.base}${rendition}/${last}.m4s`)).bytes();
      const timescale = box(fromBase64url(card.inits[rendition] ?? ""), "mdhd").readUInt32BE(12);
      const due = starts(card.playlists[rendition] ?? "")[last] ?? Number.NaN;
      const decoded = Number(box(segment, "tfdt").readBigUInt64BE(4)) / timescale;
      assert.ok(Math.abs(decoded - due) < 0.001, `${decoded} s, not ${due} s`);
    }
  });

  it("R25: there is sound, as a rendition of its own", async () => {
    const sound = card.title.renditions.filter(({ kind }) => kind === "audio");
    assert.deepEqual(
      sound.map(({ id }) => id),
      ["a0"],
    );
    assert.match(card.master, /TYPE=AUDIO.*URI="a0\/index\.m3u8"/);
    const answer = await ask(`${card.base}a0/3.m4s`);
    assert.equal(answer.headers["content-type"], "audio/mp4");
    assert.equal((await drain(answer)).length, lengthOf(answer));
  });

  it("R25: who pauses makes the server read no further, and goes on where it was", async () => {
    const before = await bytesRead();
    const answer = await ask(`${large.base}v0/0.m4s`);
    const length = lengthOf(answer);
    await home.rests();
    const read = (await bytesRead()) - before;
    assert.ok(length > 80_000_000, `the segment has ${length} bytes`);
    assert.ok(read < length / 2, `${read} of ${length} bytes were read for a reader that takes none`);
    const taken = await drain(answer);
    assert.ok((await bytesRead()) - before > length, "control: what is read is counted");
    const again = await drain(await ask(`${large.base}v0/0.m4s`));
    assert.equal(taken.length, length);
    assert.ok(taken.equals(again));
  });
});
