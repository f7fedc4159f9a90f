import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { decodeInviteLink, errorCodes, limits, ServerId, type TitleId } from "@snug/protocol";
import { WebSocket } from "ws";
import { Person } from "../../packages/client/test/people.ts";
import { patience } from "../patience.ts";
import { ServedServer } from "../served.ts";
import { addDevice } from "../statements.ts";
import { joinByInvite, type RawDevice, type RawPerson, signInRaw, type WireServer } from "../wire.ts";
import { Chance, caseSeed } from "./chance.ts";
import { type HostileDevice, sendFrames, timeout } from "./frames.ts";
import { type Finding, mostGrowth } from "./inProcess.ts";
import { type Door, httpRequest, ownPaths, type RawRequest } from "./requests.ts";
import { marker, type Pool } from "./values.ts";

export interface WireReport {
  readonly frames: number;
  readonly requests: number;
  /** How often the server answered what: error codes, close codes, HTTP statuses. */
  readonly answers: Readonly<Record<string, number>>;
  readonly findings: readonly Finding[];
  /** Of the honest device that asked all the time: how often, the longest wait, and the server's own time in it. ms */
  readonly beats: { readonly count: number; readonly longest: number; readonly longestWork: number };
  /** Resident bytes of the server's process after a quarter of the cases and at the end. */
  readonly memory: { readonly warm: number; readonly end: number };
}

/** Hostile accounts, each with all the devices it may have: of one alone the server would soon say `too-many` (P31). */
const accounts = 2;
/** Hostile HTTP connections at once. */
const sockets = 48;
/** A whole request is answered in so many ms, a bent one is given up when nothing comes for a while. */
const answerWithin = patience;
const idle = 150;

/** Sends cases to a real server in its own process, while honest people go on; then looks whether all is as before. */
export async function fuzzOverWire(of: {
  readonly frames: number;
  readonly requests: number;
  readonly seed: number;
}): Promise<WireReport> {
  await using kept = new AsyncDisposableStack();
  const served = kept.use(
    await ServedServer.start({ environment: { NODE_OPTIONS: "--inspect=127.0.0.1:0" } }),
  );
  const { setupLink, localUrl, serverId } = served.listening;
  const alice = kept.use(await Person.join(setupLink ?? "", "Alice"));
  const bob = kept.use(await Person.join(await alice.client.invite({ uses: 1 }), "Bob"));
  const server: WireServer = { localUrl, serverId: ServerId.parse(serverId), setupLink: async () => null };
  const invite = decodeInviteLink(await alice.client.invite({ uses: accounts + 1 }));
  const come = (name: string): Promise<RawPerson> => joinByInvite(server, name, invite);
  const hostile = await Promise.all(Array.from({ length: accounts }, (_, at) => come(`mallory${at}`)));
  const watcher = await come("watcher");
  const { pid } = served;
  const findings: Finding[] = [];
  const answers: Record<string, number> = {};
  const found = (finding: Finding): void => void (findings.length < 50 && findings.push(finding));
  const answered = (what: string): void => {
    answers[what] = (answers[what] ?? 0) + 1;
  };
  // The watcher's own pass: a hostile device may sign out, which ends all of its own.
  const door = await openDoor(server, watcher, hostile);
  let warm: Promise<number> | undefined;
  const counter = (most: number): (() => number | null) => {
    let number = 0;
    return () => {
      if (number >= most || findings.length >= 20) return null;
      // Whoever is first there: what the others leave behind until then is not to be missed.
      if (number === Math.floor(most / 4)) warm ??= residentBytes(served);
      return number++;
    };
  };
  const hostileDevices = await devicesOf(server, hostile, door.pool);
  const heart = new Heart(await watcher.connect(), pid);
  const frames = { server, seed: of.seed, next: counter(of.frames), found, answered };
  const requests = { door, port: served.port, seed: of.seed, next: counter(of.requests), found, answered };
  await Promise.all([
    ...hostileDevices.map((device) => sendFrames(frames, device)),
    ...Array.from({ length: sockets }, () => sendRequests(requests)),
  ]);
  const beats = await heart.stop();
  const memory = { warm: (await warm) ?? 0, end: await residentBytes(served) };
  await alice.client.send(bob.account, "still here");
  await bob.until("the letter", () => bob.arrived.some(({ text }) => text === "still here"));
  if (beats.longestWork > 1000)
    found(finding(`the server worked ${beats.longestWork} ms while somebody waited`));
  if (beats.longest > answerWithin) found(finding(`somebody waited ${beats.longest} ms`));
  if (memory.end - memory.warm > mostGrowth) found(finding(`${memory.end - memory.warm} bytes stay behind`));
  if (served.pid !== pid) found(finding("the server's process is another"));
  if (/"level":[56]0/.test(served.log))
    found(finding(`the server's log has faults: ${served.log.slice(-2000)}`));
  await served.stop();
  const sound = integrityOf(join(served.folder, "data", "snug.db"));
  if (sound !== "ok") found(finding(`the database is not sound: ${sound}`));
  return { frames: of.frames, requests: of.requests, answers, findings, beats, memory };
}

function finding(what: string): Finding {
  return { target: "server", seed: 0, what, bytes: "" };
}

async function openDoor(
  server: WireServer,
  watcher: RawPerson,
  hostile: readonly RawPerson[],
): Promise<Door> {
  await using wire = await watcher.connect();
  const { token } = await wire.request("token-create", {});
  const { signedIn } = wire;
  const session = await fetch(`${server.localUrl}/api/session`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: "{}",
  });
  const headers = { authorization: `Bearer ${token}` };
  const library = (await (await fetch(`${server.localUrl}/api/library`, { headers })).json()) as {
    titles: { id: TitleId; version: string; renditions: { id: string }[] }[];
  };
  const page = await (await fetch(server.localUrl)).text();
  const assets = [...page.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, path = "/"]) => path);
  const media = library.titles.flatMap(({ id, version, renditions }) => [
    `/m/me/${id}/${version}/master.m3u8`,
    ...renditions.flatMap((one) =>
      ["index.m3u8", "init.mp4", "0.m4s"].map((file) => `/m/me/${id}/${version}/${one.id}/${file}`),
    ),
  ]);
  const { entries } = await wire.request("directory-read", { from: 0 });
  const ids = hostile.flatMap(({ account, inbox, incarnation, created }) => [
    ...[account, inbox, incarnation, created.device],
  ]);
  const inboxes = entries.flatMap(({ inbox }) => inbox ?? []);
  return {
    host: `localhost:${new URL(server.localUrl).port}`,
    token,
    cookie: session.headers.get("set-cookie")?.split(";")[0] ?? "",
    paths: [...ownPaths, ...assets, ...media],
    pool: {
      texts: [
        ...ids,
        ...inboxes,
        signedIn.incarnation,
        signedIn.inbox,
        ...library.titles.map(({ id }) => id),
      ],
      bytes: [...entries.map(({ statement }) => statement), new Uint8Array(64), new Uint8Array(900)],
    },
  };
}

/** Everything that the accounts can send by; each names what is its own more often than what is others'. */
async function devicesOf(
  server: WireServer,
  people: readonly RawPerson[],
  { texts, bytes }: Pool,
): Promise<readonly HostileDevice[]> {
  const of = async (person: RawPerson): Promise<readonly HostileDevice[]> => {
    const devices: RawDevice[] = [person.created];
    while (devices.length < limits.devices) devices.push(await addDevice(server, person));
    const { account, inbox, incarnation } = person;
    return devices.map((device) => ({
      connect: () => signInRaw(server, device),
      inboxes: people.map((one) => one.inbox),
      counters: new Map(),
      pool: {
        texts: [...texts, ...Array(3).fill([account, inbox, incarnation, device.device]).flat()],
        bytes,
      },
    }));
  };
  return (await Promise.all(people.map(of))).flat();
}

interface RequestCases {
  readonly door: Door;
  readonly port: number;
  readonly seed: number;
  next(): number | null;
  found(finding: Finding): void;
  answered(what: string): void;
}

/** One hostile HTTP client after another, each with a connection of its own. */
async function sendRequests(of: RequestCases): Promise<void> {
  for (let number = of.next(); number !== null; number = of.next()) {
    const seed = caseSeed(of.seed + 1, number);
    const request = httpRequest(new Chance(seed), of.door);
    const answer = await exchange(of.port, request);
    const what = judge(request, answer);
    const [, status = "nothing"] = /^HTTP\/1\.1 (\d{3})/.exec(answer.toString("latin1", 0, 20)) ?? [];
    of.answered(`HTTP ${status}`);
    if (what === null) continue;
    const shown = Buffer.from(request.bytes.subarray(0, 4096)).toString("base64");
    of.found({ target: "HTTP on the wire", seed, what, bytes: shown });
  }
}

function exchange(port: number, { bytes, whole }: RawRequest): Promise<Buffer> {
  return new Promise((resolve) => {
    const pieces: Buffer[] = [];
    const socket = connect({ port, host: "127.0.0.1" });
    socket.setTimeout(whole ? answerWithin : idle, () => socket.destroy());
    socket.on("data", (piece: Buffer) => {
      pieces.push(piece);
      // An upgraded connection stays open: its first bytes are the answer.
      if (pieces.length === 1 && piece.toString("latin1", 0, 12).endsWith(" 101")) socket.destroy();
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => resolve(Buffer.concat(pieces)));
    socket.write(bytes);
  });
}

/** What is wrong with an answer, or null. */
function judge({ whole }: RawRequest, answer: Buffer): string | null {
  if (answer.length === 0) return whole ? "no answer to a whole request" : null;
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(answer.toString("latin1", 0, 20))?.[1]);
  if (!(status >= 100 && status < 500)) return `answered with status ${status}`;
  if (answer.includes(marker)) return "repeated what was sent";
  const code = /\r\n\r\n\{"code":"([^"]*)"/.exec(answer.toString("latin1", 0, 4000))?.[1];
  if (code !== undefined && !(errorCodes as readonly string[]).includes(code))
    return `answered the code ${code}`;
  return null;
}

/** An honest device that asks the server for something all the time. */
class Heart {
  readonly #wire: Awaited<ReturnType<RawPerson["connect"]>>;
  readonly #pid: number;
  readonly #done: Promise<void>;
  #count = 0;
  #longest = 0;
  #longestWork = 0;
  #stopped = false;

  constructor(wire: Awaited<ReturnType<RawPerson["connect"]>>, pid: number) {
    this.#wire = wire;
    this.#pid = pid;
    this.#done = this.#beat();
  }

  async #beat(): Promise<void> {
    while (!this.#stopped) {
      const [start, work] = [performance.now(), await workOf(this.#pid)];
      await this.#wire.request("delivery-read", { ids: [] });
      this.#count++;
      this.#longest = Math.max(this.#longest, performance.now() - start);
      this.#longestWork = Math.max(this.#longestWork, (await workOf(this.#pid)) - work);
      await timeout(20);
    }
  }

  async stop(): Promise<WireReport["beats"]> {
    this.#stopped = true;
    await this.#done;
    await this.#wire[Symbol.asyncDispose]();
    return {
      count: this.#count,
      longest: Math.round(this.#longest),
      longestWork: Math.round(this.#longestWork),
    };
  }
}

/**
 * Processor time of the server's main thread, ms: a loaded machine makes an answer late, a server that is kept busy by
 * one case works all the while (proc(5): utime, stime in ticks of 10 ms).
 */
async function workOf(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/task/${pid}/stat`, "latin1");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return 10 * (Number(fields[11]) + Number(fields[12]));
}

/** Resident bytes once everything that nobody needs is let go: what a run leaves behind, not when V8 last cleaned up. */
async function residentBytes({ pid, log }: ServedServer): Promise<number> {
  const [, inspector = ""] = /Debugger listening on (ws:\S+)/.exec(log) ?? [];
  const socket = new WebSocket(inspector);
  await once(socket, "open");
  for (let id = 0; id < 3; id++) {
    socket.send(JSON.stringify({ id, method: "HeapProfiler.collectGarbage" }));
    await once(socket, "message");
  }
  socket.close();
  const status = await readFile(`/proc/${pid}/status`, "latin1");
  return 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]);
}

function integrityOf(file: string): string {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    const rows = database.prepare("PRAGMA integrity_check").all();
    return rows.map((row) => String(row.integrity_check)).join("; ");
  } finally {
    database.close();
  }
}
