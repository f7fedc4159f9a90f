import assert from "node:assert/strict";
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setDefaultCACertificates } from "node:tls";
import { fileURLToPath } from "node:url";
import { type Directory, sealingKeyOf } from "@snug/crypto/identity";
import { sealLetter } from "@snug/crypto/sealing";
import {
  type ErrorCode,
  type RequestOf,
  type ResponseOf,
  type Row,
  ServerId,
  SnugError,
  type StreamId,
  textContent,
} from "@snug/protocol";
import { eventually } from "./browser.ts";
import { ended } from "./ended.ts";
import type { FaultProxy } from "./faultProxy.ts";
import { ServedServer } from "./served.ts";
import { joinRaw, letterTo, type RawPerson, type Wire, type WireServer } from "./wire.ts";

const sample = fileURLToPath(new URL("../videos", import.meta.url));
/** Plain, and TLS by the server's own authority. */
export const schemes = ["http", "https"] as const;
type Scheme = (typeof schemes)[number];
type SignedIn = Awaited<ReturnType<RawPerson["connect"]>>;

/** A server in a process of its own, with a library and three people who write frames themselves. */
export class Household implements AsyncDisposable {
  readonly served: ServedServer;
  readonly room: WireServer;
  /** Holds the folder of the videos, and beside that a film that is not in it. */
  readonly folder: string;
  readonly alice: RawPerson;
  readonly bob: RawPerson;
  readonly mallory: RawPerson;
  /** How far each inbox has come. */
  readonly heads = new Map<StreamId, number>();
  readonly #counters = new Map<string, number>();

  readonly #kept: AsyncDisposableStack;

  private constructor(
    of: Pick<Household, "served" | "room" | "folder" | "alice" | "bob" | "mallory">,
    kept: AsyncDisposableStack,
  ) {
    this.#kept = kept;
    this.served = of.served;
    this.room = of.room;
    this.folder = of.folder;
    this.alice = of.alice;
    this.bob = of.bob;
    this.mallory = of.mallory;
  }

  /** Its library is the sample and what `film` writes to the folder beside it. The whole process trusts its authority from then on. */
  static async open(film: (videos: string) => void = () => undefined): Promise<Household> {
    await using opened = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), "snug-household-"));
    opened.defer(() => rm(folder, { recursive: true, force: true }));
    const videos = join(folder, "videos");
    await mkdir(videos);
    for (const height of [240, 720, 1440]) {
      const name = `Test card_${height}p.mp4`;
      await copyFile(join(sample, name), join(videos, name));
    }
    film(videos);
    await copyFile(join(sample, "Test card_240p.mp4"), join(folder, "y_240p.mp4"));
    const served = opened.use(await ServedServer.start({ videos }));
    const { localUrl, serverId, setupLink } = served.listening;
    const room = { localUrl, serverId: ServerId.parse(serverId), setupLink: async () => setupLink };
    setDefaultCACertificates([await (await fetch(`${localUrl}/authority.crt`)).text()]);
    const alice = await joinRaw(room, "Alice");
    const [bob, mallory] = [await joinRaw(room, "Bob"), await joinRaw(room, "Mallory")];
    return new Household({ served, room, folder, alice, bob, mallory }, opened.move());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#kept.disposeAsync();
  }

  /** The server as it is reached over a proxy. */
  over(proxy: FaultProxy, scheme: Scheme = "http"): WireServer {
    return { ...this.room, localUrl: `${scheme}://127.0.0.1:${proxy.port}` };
  }

  /** The next letter of a person to another's inbox. */
  next(from: RawPerson, to: RawPerson, sealed?: Uint8Array<ArrayBuffer>): RequestOf<"submit"> {
    const key = `${from.created.device} ${to.inbox}`;
    const counter = (this.#counters.get(key) ?? 0) + 1;
    this.#counters.set(key, counter);
    return letterTo(to.inbox, counter, sealed);
  }

  async submit(wire: Wire, letter: RequestOf<"submit">): Promise<ResponseOf<"submit">> {
    const answer = await wire.request("submit", letter);
    this.heads.set(letter.stream, Math.max(this.heads.get(letter.stream) ?? 0, answer.seq));
    return answer;
  }

  /** ms until twenty letters were accepted, one after the other. */
  async timeLetters(wire: Wire, from: RawPerson, to: RawPerson): Promise<number> {
    const start = performance.now();
    for (let times = 0; times < 20; times++) await this.submit(wire, this.next(from, to));
    return performance.now() - start;
  }

  /** Signs in and reads what comes from now on. */
  async openInbox(person: RawPerson, server: WireServer = this.room): Promise<SignedIn> {
    const wire = await person.connect(server);
    const { inbox: stream, incarnation } = person;
    await wire.request("stream-read", { stream, incarnation, after: this.heads.get(stream) ?? 0 });
    return wire;
  }

  /** The next letter of one person, who claims inside the seal to be `claiming`, and whose key `keyOf` is to have signed it. */
  async sealed(of: {
    readonly directory: Directory;
    readonly text: string;
    readonly from: RawPerson;
    readonly claiming: RawPerson;
    readonly keyOf: RawPerson;
    readonly to: RawPerson;
  }): Promise<RequestOf<"submit">> {
    const { directory, from, claiming, keyOf, to } = of;
    const letter = this.next(from, to);
    const account = directory.accounts.get(to.account);
    const device = directory.accounts.get(keyOf.account)?.devices.get(keyOf.created.device);
    assert.ok(account && device);
    const { id, counter } = letter;
    const sealed = await sealLetter({
      ...{ server: this.room.serverId, id, counter, time: 1, checkpoint: "" },
      ...{ content: textContent(of.text), copyOf: null },
      from: {
        ...{ account: claiming.account, device: claiming.created.device },
        ...{ key: from.created.keys.device, deviceKeyId: device.keyId },
      },
      to: { account: to.account, ...sealingKeyOf(account) },
    });
    return { ...letter, sealed };
  }

  /** A line of the server's /proc/PID/status: a count, or kB. */
  async status(name: "Threads" | "VmHWM" | "VmPeak"): Promise<number> {
    const text = await readFile(`/proc/${this.served.pid}/status`, "latin1");
    return Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)?.[1]);
  }

  /** Waits until the server's process rests: a thread that spins wants all of one processor, whoever else has it. */
  async rests(): Promise<void> {
    const tasks = `/proc/${this.served.pid}/task`;
    // ns that its threads ran, and that they waited for a processor (kernel: sched-stats.rst).
    const used = async (): Promise<number> => {
      const threads = await readdir(tasks);
      const texts = threads.map((thread) =>
        readFile(join(tasks, thread, "schedstat"), "latin1").catch(() => ""),
      );
      const times = (await Promise.all(texts)).flatMap((text) => text.split(" ").slice(0, 2).map(Number));
      return times.reduce((sum, time) => sum + time, 0) / 1e6;
    };
    let [at, before] = [performance.now(), await used()];
    await eventually("the server rests", async () => {
      if (performance.now() - at < 300) return false;
      const [now, after] = [performance.now(), await used()];
      const share = (after - before) / (now - at);
      [at, before] = [now, after];
      return share < 0.5;
    });
  }
}

/** Rows that come, no more and no fewer than so many. */
export async function take(wire: Wire, count: number): Promise<Row[]> {
  const rows: Row[] = [];
  while (rows.length < count) rows.push(...(await wire.next("rows")).rows);
  assert.equal(rows.length, count);
  return rows;
}

/** Asserts that something is refused with this code. */
export function refuses(what: Promise<unknown>, code: ErrorCode): Promise<void> {
  return assert.rejects(what, (error) => {
    assert.ok(error instanceof SnugError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  });
}

/** The socket below a WebSocket: for bytes that no library would send. */
export function rawOf(wire: Wire): Socket {
  return (wire.socket as unknown as { _socket: Socket })._socket;
}

/** Sends bytes; all that comes over the connection until its end. */
export async function exchange(socket: Socket, bytes: string | Uint8Array): Promise<Buffer> {
  const pieces: Buffer[] = [];
  socket.on("data", (piece: Buffer) => pieces.push(piece));
  socket.write(bytes);
  await ended(socket);
  return Buffer.concat(pieces);
}
