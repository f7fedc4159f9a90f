import assert from "node:assert/strict";
import { execFile, execFileSync, spawnSync } from "node:child_process";
import { copyFile, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { decodeInviteLink, ServerId, SnugError } from "@snug/protocol";
import { entry } from "../../packages/cli/test/place.ts";
import { Person } from "../../packages/client/test/people.ts";
import { eventually } from "../browser.ts";
import { refuses, take } from "../household.ts";
import { ServedServer } from "../served.ts";
import { Submitter } from "../submitter.ts";
import { inviteRaw, joinByInvite, type RawPerson, type Wire, type WireServer } from "../wire.ts";
import { SmallDisk, withoutDisks } from "./smallDisk.ts";

const sample = new URL("../../videos/Test card_240p.mp4", import.meta.url);
const unlimited = spawnSync("prlimit", ["--version"]).error ? "there is no prlimit" : false;

/** Ada, who rules, and Ben at real clients; Rita writes frames herself, to her own inbox. */
class Room implements AsyncDisposable {
  readonly served: ServedServer;
  readonly server: WireServer;
  readonly ada: Person;
  readonly ben: Person;
  readonly rita: RawPerson;
  readonly #kept: AsyncDisposableStack;

  private constructor(
    of: Pick<Room, "served" | "server" | "ada" | "ben" | "rita">,
    kept: AsyncDisposableStack,
  ) {
    this.served = of.served;
    this.server = of.server;
    this.ada = of.ada;
    this.ben = of.ben;
    this.rita = of.rita;
    this.#kept = kept;
  }

  static async open(how: Parameters<typeof ServedServer.start>[0]): Promise<Room> {
    await using opened = new AsyncDisposableStack();
    const served = opened.use(await ServedServer.start(how));
    const { localUrl, serverId, setupLink } = served.listening;
    const server = { localUrl, serverId: ServerId.parse(serverId), setupLink: async () => null };
    const ada = opened.use(await Person.join(setupLink ?? "", "Ada"));
    const link = await ada.client.invite({ uses: 9 });
    const ben = opened.use(await Person.join(link, "Ben"));
    const rita = await joinByInvite(server, "Rita", decodeInviteLink(link));
    await ada.until("Ben", (state) => state.phase === "joined" && state.people.length === 3);
    return new Room({ served, server, ada, ben, rita }, opened.move());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#kept.disposeAsync();
  }
}

/** How often the disk stops taking anything. */
const rounds = 4;

/** What a server must do whose disk takes nothing, and after that. */
async function outlasts(
  room: Room,
  disk: { stop(): Promise<void>; go(): Promise<void>; readonly takesLittle: boolean },
  videos: string,
): Promise<void> {
  const { ada, ben, rita, server } = room;
  await using wire = await rita.connect();
  const submitter = new Submitter(rita.inbox, { window: 32, bytes: 8192 });
  submitter.connect(wire);
  for (let round = 1; round <= rounds; round++) {
    const before = submitter.acknowledged.size;
    submitter.write(20);
    await eventually("letters are accepted", () => submitter.acknowledged.size > before);
    const unavailable = submitter.refusals.get("unavailable") ?? 0;
    await disk.stop();
    // 8 MiB: more than the database's files could take by overwriting what they have.
    submitter.write(1024);
    await eventually("letters are refused", () => (submitter.refusals.get("unavailable") ?? 0) > unavailable);

    const id = await ada.client.send(ben.account, `round ${round}`);
    // Of a full disk the files keep what they have: a small change may still find room between larger ones.
    if (disk.takesLittle) await eventually("a small change is refused", () => isRefused(wire));
    else await refusesWrites(room, wire);
    await readsOn(room, wire);
    if (round === 1) await copyFile(sample, join(videos, "While full_240p.mp4"));
    const [letter] = await ada.client.letters({ thread: ben.account, most: 1 });
    if (!disk.takesLittle) assert.equal(letter?.state.is, "queued");

    await disk.go();
    ada.platform.advance(30_000);
    await ada.client.settled(id);
    assert.equal((await ben.arrivals(round)).at(-1), `round ${round}`);
  }
  // Nor was the film forgotten whose index found no room.
  await ada.until(
    "the film",
    (state) =>
      state.phase === "joined" && state.library?.titles.some(({ name }) => name === "While full") === true,
  );
  assert.deepEqual(
    [...submitter.refusals.keys()].filter((code) => code !== "unavailable" && code !== "out-of-order"),
    [],
  );
  // Thousands were refused; the log has a line for it, not a stack for each: one for each round at most, where the
  // machine is so slow that the disk counts as calm between two.
  const told = [...room.served.log.matchAll(/"event":"(fault|disk-[a-z]+)".*/g)].map(([line]) => line);
  const refusing = told.filter((line) => /^"event":"disk-refuses","reason":"[^"]+"/.test(line));
  assert.ok(refusing.length >= 1 && refusing.length <= rounds, told.join("\n"));
  assert.deepEqual(
    told.filter((line) => !refusing.includes(line) && !line.startsWith('"event":"disk-takes"')),
    [],
  );
  await submitter.end();
  await wire[Symbol.asyncDispose]();
  // Whatever was said to be accepted is there after a kill, too.
  await room.served.restart("SIGKILL");
  await using again = await rita.connect(server);
  const { inbox: stream, incarnation } = rita;
  const { head } = await again.request("stream-read", { stream, incarnation, after: 0 });
  const rows = await take(again, head);
  for (const [at, row] of rows.entries()) assert.equal(row.counter, at + 1);
  const places = new Map(rows.map((row) => [row.id, row]));
  for (const [letter, { seq, rowHash }] of submitter.acknowledged) {
    assert.deepEqual([places.get(letter)?.seq, places.get(letter)?.rowHash], [seq, rowHash]);
  }
  assert.equal(submitter.acknowledged.size, head);
}

async function isRefused(wire: Wire): Promise<boolean> {
  const answer = wire.request("token-create", {}).then(() => null);
  const error = await answer.catch((cause: unknown) => cause);
  return error instanceof SnugError && error.code === "unavailable";
}

/** Every change is refused by its type, before anything of it can be lost; a cursor is taken, and written later. */
async function refusesWrites({ ada, rita, server }: Room, wire: Wire): Promise<void> {
  await refuses(wire.request("token-create", {}), "unavailable");
  await refuses(inviteRaw(wire, rita.account), "unavailable");
  await assert.rejects(ada.client.invite({ uses: 1 }), { code: "unavailable" });
  const { inbox: stream, incarnation } = rita;
  assert.deepEqual(await wire.request("stream-cursor", { stream, incarnation, seq: 1 }), {});
  assert.equal((await fetch(`${server.localUrl}/api/library`)).status, 401);
}

/** What needs no room goes on: signing in, the directory, reading. */
async function readsOn({ ben, rita }: Room, wire: Wire): Promise<void> {
  assert.equal((await wire.request("directory-read", { from: 0 })).size, 3);
  const { inbox: stream, incarnation } = rita;
  const { head } = await wire.request("stream-read", { stream, incarnation, after: 0 });
  // What the reading of an earlier round was pushed comes first.
  let last = 0;
  for (let begun = false; !begun || last < head; ) {
    const { rows } = await wire.next("rows");
    begun ||= rows[0]?.seq === 1;
    last = rows.at(-1)?.seq ?? 0;
  }
  await ben.unplug();
  await ben.plug();
}

test("D7: a full disk takes nothing, loses nothing, stops nothing else; once there is room letters go on without a restart", {
  skip: withoutDisks,
}, async () => {
  await using disk = await SmallDisk.mount(96);
  const videos = await mkdtemp(join(tmpdir(), "snug-videos-"));
  try {
    await using room = await Room.open({ data: join(disk.path, "data"), videos, under: disk.within });
    // The last page, one of several, none at all: it gets full at another place each time.
    let left = 0;
    await outlasts(
      room,
      {
        stop: async () => {
          await disk.fill(left);
          left += 37_000;
        },
        go: () => disk.empty(),
        takesLittle: true,
      },
      videos,
    );
  } finally {
    await rm(videos, { recursive: true, force: true });
  }
});

test("D7: so does a disk that fails each write while the server runs", { skip: unlimited }, async () => {
  const videos = await mkdtemp(join(tmpdir(), "snug-videos-"));
  try {
    await using room = await Room.open({ videos });
    // No file of its process may be written beyond so many bytes: EFBIG, which is no full disk to SQLite but a broken one.
    const limit = async (bytes: string): Promise<void> => {
      execFileSync("prlimit", ["--pid", String(room.served.pid), `--fsize=${bytes}:unlimited`]);
    };
    await outlasts(
      room,
      { stop: () => limit("0"), go: () => limit("unlimited"), takesLittle: false },
      videos,
    );
  } finally {
    await rm(videos, { recursive: true, force: true });
  }
});

test("P24: a folder on a read-only disk, and on a full one, is refused in one line, and as it was", {
  skip: withoutDisks,
}, async () => {
  await using disk = await SmallDisk.mount(12);
  const how = { data: join(disk.path, "data"), under: disk.within };
  const refused = (code: string, data = how.data): Promise<void> =>
    assert.rejects(ServedServer.start({ ...how, data }), {
      message: `the server ended with 1 before it listened:\nsnug: the data folder ${data} can't be written and fsynced (${code})\n`,
    });
  {
    await using _ = await ServedServer.start(how);
  }
  disk.remount("ro");
  await refused("EROFS");
  await refused("EROFS", join(disk.path, "another"));
  disk.remount("rw");
  await disk.fill();
  await refused("ENOSPC");
  await refused("ENOSPC", join(disk.path, "another"));
  await disk.empty();
  assert.deepEqual(await readdir(disk.outside(disk.path)), ["data"]);
  await using _ = await ServedServer.start(how);
});

test("C32: a device whose disk is full says so, sends nothing by halves, and goes on once there is room", {
  skip: withoutDisks,
}, async () => {
  await using disk = await SmallDisk.mount(8);
  await using served = await ServedServer.start();
  await using ada = await Person.join(served.listening.setupLink ?? "", "Ada");
  const home = join(disk.path, "ben");
  const snug = (...args: string[]): { code: number | null; out: string; said: string } => {
    const [command = "", ...rest] = [...disk.within, process.execPath, entry, ...args, "--home", home];
    const { status, stdout, stderr } = spawnSync(command, rest, { encoding: "utf8" });
    return { code: status, out: stdout, said: stderr };
  };
  const link = await ada.client.invite({ uses: 1 });
  await disk.fill();
  const full = /^snug: this device's disk takes nothing more \(.*full.*\): make room, then try again\n$/;
  const early = snug("join", link, "--name", "Ben");
  assert.deepEqual([early.code, early.out], [7, ""]);
  assert.match(early.said, full);
  await disk.empty();
  const joined = await new Promise<string>((resolve, reject) => {
    const [command = "", ...rest] = [...disk.within, process.execPath, entry];
    execFile(command, [...rest, "join", link, "--name", "Ben", "--home", home], (error, stdout) =>
      error ? reject(error) : resolve(stdout),
    );
  });
  assert.notEqual(joined, "");
  await disk.fill();
  // As much as can't hide in what its files have already.
  const large = "x".repeat(60_000);
  const refused = snug("send", "Ada", large);
  assert.equal(refused.code, 7);
  assert.match(refused.said, full);
  await ada.until("Ben", () => ada.state.people.length === 2);
  const ben = ada.state.people.find(({ name }) => name === "Ben");
  assert.ok(ben);
  await ada.client.settled(await ada.client.send(ben.account, large));
  const reading = snug("read");
  assert.deepEqual([reading.code, reading.out], [7, ""]);
  assert.match(reading.said, full);
  await disk.empty();
  const sent = snug("send", "Ada", "there is room");
  assert.equal(sent.code, 0, sent.said);
  assert.deepEqual(await ada.arrivals(1), ["there is room"]);
  const letters = await ada.client.letters({ thread: ben.account, most: 9 });
  const letter = letters.find(({ from }) => from === ben.account);
  assert.deepEqual(letter?.state, { is: "received", gapBefore: false });
});
