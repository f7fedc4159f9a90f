/**
 * The load: a process of its own, on the other core. Sealed bytes are of no meaning: the server can't tell, and
 * sealing is not what is measured here. Reads one {@link LoadOrder} as JSON on stdin, answers one {@link LoadResult}
 * as JSON on stdout and lives on, with its connections, until stdin ends.
 */
import { once } from "node:events";
import { signSignIn } from "@snug/crypto/sealing";
import {
  decodeServerFrame,
  encodeRequest,
  fromBase64url,
  type Incarnation,
  LibraryView,
  type ServerId,
  signInBytes,
  socketPath,
  subprotocol,
  TitleDetail,
} from "@snug/protocol";
import { WebSocket } from "ws";
import { quantile } from "./floors.ts";
import { FrameTemplate, hear } from "./frames.ts";
import { inGroups } from "./groups.ts";
import type { Person } from "./population.ts";

export interface LoadOrder {
  readonly kind: "relay" | "snug";
  /** ws:// or wss:// origin. */
  readonly url: string;
  readonly server: ServerId;
  readonly incarnation: string;
  /** Senders and recipients in turn. */
  readonly people: readonly Person[];
  readonly work: /** Each pair keeps `window` letters in flight; recipients are online and move their cursors. */
    | { readonly is: "closed"; readonly window: number; readonly seconds: number }
    /** Letters at a rate, whatever comes back. */
    | { readonly is: "open"; readonly perSecond: number; readonly seconds: number }
    /** Each sender writes `letters` to a recipient who is away; then all recipients come back and read. */
    | { readonly is: "offline"; readonly window: number; readonly letters: number }
    /** Everybody connects, so many at once. */
    | { readonly is: "connect"; readonly atOnce: number }
    /** Everybody is online while statements are appended, base64url; how long until the last one has heard of each. */
    | { readonly is: "directory"; readonly statements: readonly string[] }
    /** That many read segments of the library's first title, one each second. */
    | { readonly is: "watch"; readonly readers: number; readonly seconds: number };
}

export interface LoadResult {
  /** Letters acknowledged, and received, a second. */
  readonly accepted?: number;
  readonly delivered?: number;
  /** Rows read a second after coming back. */
  readonly drained?: number;
  /** From sending to the acknowledgement, ms. */
  readonly p50?: number;
  readonly p99?: number;
  /** The same p99 of an open loop's start, which does not count in the others. */
  readonly cold?: number;
  /** How late letters left, p99 in ms: the load's own part of the above. */
  readonly late?: number;
  /** Of an open loop, each letter: when it was due, ms since 1970, and its ms to the acknowledgement. */
  readonly letters?: readonly (readonly [number, number])[];
  /** Until everybody was signed in, s; since when, ms since 1970; the load's own CPU for it, s. */
  readonly connected?: number;
  readonly began?: number;
  readonly cpu?: number;
  /** How often somebody had to begin anew. */
  readonly again?: number;
  /** Segments read, and their bytes a second. */
  readonly segments?: number;
  readonly bytes?: number;
}

const payload = new Uint8Array(1024).fill(0x5a);

/** Up to this rate a timer wakes often enough; spinning would take the core from another load beside it. letters/s */
const byTimer = 1000;

/** So long a server that was just started compiles what a load needs. s */
const warming = 4;

/** One who sends: `send` one letter; `acked` is called with the number of each acknowledged one. */
interface Sender {
  send(number: number): void;
  acked: (number: number) => void;
}

let received = 0;
let again = 0;
let onReceived = (): void => undefined;

const order = JSON.parse(await readStdinLine()) as LoadOrder;
const { kind, people } = order;
const senders = people.filter((_, n) => n % 2 === 0);
const result = await work();
process.stdout.write(`${JSON.stringify(result)}\n`);
process.stdin.resume();
await once(process.stdin, "end");
process.exit(0);

async function readStdinLine(): Promise<string> {
  let text = "";
  for (;;) {
    const [piece] = (await once(process.stdin, "data")) as [Buffer];
    text += piece.toString();
    if (text.endsWith("\n")) break;
  }
  process.stdin.pause();
  return text;
}

async function work(): Promise<LoadResult> {
  const { work: of } = order;
  if (of.is === "connect") {
    const [began, begin, before] = [Date.now(), performance.now(), process.cpuUsage()];
    if (kind === "relay") await inGroups(people, of.atOnce, openBare);
    else await inGroups(people, of.atOnce, connectAtLast);
    const { user, system } = process.cpuUsage(before);
    const connected = (performance.now() - begin) / 1000;
    return { connected, began, cpu: (user + system) / 1e6, again };
  }
  if (of.is === "offline") return offline(of);
  if (of.is === "directory") return directory(of.statements);
  if (of.is === "watch") return watch(of.readers, of.seconds);
  const all = kind === "relay" ? await relaySenders() : await snugSenders();
  return of.is === "closed" ? closed(all, of.window, of.seconds) : open(all, of.perSecond, of.seconds);
}

function openBare(): Promise<unknown> {
  return once(new WebSocket(order.url, { perMessageDeflate: false }), "open");
}

/** Until it succeeds: who is kept waiting too long is let go by the server, and comes again. */
async function connectAtLast(person: Person): Promise<WebSocket> {
  for (;;) {
    try {
      return await connect(person);
    } catch (cause) {
      if (++again > people.length) throw cause;
    }
  }
}

/** Rejects when the connection ends before it is signed in. */
async function connect(person: Person): Promise<WebSocket> {
  const socket = new WebSocket(`${order.url}${socketPath}`, subprotocol, { perMessageDeflate: false });
  const ended = new AbortController();
  const { signal } = ended;
  socket.once("close", () => ended.abort());
  const key = crypto.subtle.importKey("pkcs8", fromBase64url(person.key), "Ed25519", false, ["sign"]);
  const [hello] = (await once(socket, "message", { signal })) as [Buffer];
  const frame = decodeServerFrame(hello);
  if (frame.type !== "event" || frame.event.name !== "hello") throw new Error("no hello");
  const { server, incarnation, nonce } = frame.event.body;
  const { account, device } = person;
  const signature = await signSignIn({
    key: await key,
    bytes: signInBytes({ server, incarnation, nonce, device }),
  });
  const body = { version: 1, account, device, signature: new Uint8Array(signature) };
  socket.send(encodeRequest({ number: 0, name: "sign-in", body }));
  for (;;) {
    const [answer] = (await once(socket, "message", { signal })) as [Buffer];
    if (hear(answer).is === "answer") return socket;
  }
}

/** Reads a person's inbox, counts rows and tells the cursor as a client does: one word under way, the newest after it. */
function read(socket: WebSocket, person: Person): void {
  const stream = person.inbox;
  const incarnation = order.incarnation as Incarnation;
  const cursor = new FrameTemplate("stream-cursor", { stream, incarnation, seq: 0 });
  let [number, seq, told, telling] = [1, 0, 0, false];
  const tell = (): void => {
    if (telling || told === seq) return;
    telling = true;
    told = seq;
    socket.send(cursor.write({ number: ++number, seq }));
  };
  socket.on("message", (data) => {
    const heard = hear(data as Buffer);
    if (heard.is === "answer" && heard.number === number) telling = false;
    if (heard.is === "rows") {
      received += heard.count;
      seq += heard.count;
      onReceived();
    }
    tell();
  });
  const body = { stream, incarnation, after: 0 };
  socket.send(encodeRequest({ number, name: "stream-read", body }));
}

function senderOf(socket: WebSocket, to: Person): Sender {
  const template = new FrameTemplate("submit", {
    stream: to.inbox,
    kind: "letter",
    class: "durable",
    id: "",
    counter: 0,
    sealed: payload,
    expires: null,
  });
  const sender: Sender = {
    send: (number) => socket.send(template.write({ number, counter: number })),
    acked: () => undefined,
  };
  socket.on("message", (data) => {
    const heard = hear(data as Buffer);
    if (heard.is === "answer") sender.acked(heard.number);
  });
  return sender;
}

async function snugSenders(): Promise<Sender[]> {
  const sockets = await inGroups(people, 16, connect);
  const all: Sender[] = [];
  for (const [n, to] of people.entries()) {
    const [from, own] = [sockets[n - 1], sockets[n]];
    if (n % 2 === 0 || !from || !own) continue;
    read(own, to);
    all.push(senderOf(from, to));
  }
  return all;
}

async function relaySenders(): Promise<Sender[]> {
  const sockets: WebSocket[] = [];
  for (const _ of people) {
    const socket = new WebSocket(order.url, { perMessageDeflate: false });
    await once(socket, "open");
    sockets.push(socket);
  }
  return senders.map((_, pair) => {
    const [from, to] = [sockets[2 * pair], sockets[2 * pair + 1]];
    const sender: Sender = {
      send(number) {
        const bytes = Buffer.allocUnsafe(6 + payload.length);
        bytes.writeUInt16BE(2 * pair + 1, 0);
        bytes.writeUInt32BE(number, 2);
        bytes.set(payload, 6);
        from?.send(bytes);
      },
      acked: () => undefined,
    };
    from?.on("message", (data: Buffer) => sender.acked(data.readUInt32BE(0)));
    to?.on("message", () => {
      received++;
    });
    return sender;
  });
}

/** The first second warms up and does not count. */
async function closed(all: readonly Sender[], window: number, seconds: number): Promise<LoadResult> {
  const took: number[] = [];
  let running = true;
  for (const sender of all) {
    const sent = new Map<number, number>();
    let number = 0;
    const next = (): void => {
      sent.set(++number, performance.now());
      sender.send(number);
    };
    sender.acked = (acked) => {
      took.push(performance.now() - (sent.get(acked) ?? 0));
      sent.delete(acked);
      if (running) next();
    };
    for (let n = 0; n < window; n++) next();
  }
  await passed(1000);
  const [warm, before, begin] = [took.length, received, performance.now()];
  await passed(seconds * 1000);
  running = false;
  const real = (performance.now() - begin) / 1000;
  const counted = took.slice(warm);
  return {
    accepted: Math.round(counted.length / real),
    delivered: Math.round((received - before) / real),
    p50: quantile(counted, 0.5),
    p99: quantile(counted, 0.99),
  };
}

/** Letters leave when they are due, in the order of the senders: a slow answer delays none (no coordinated omission). */
async function open(all: readonly Sender[], perSecond: number, seconds: number): Promise<LoadResult> {
  const begin = performance.now();
  const dueAt = (place: number): number => begin + (place * 1000) / perSecond;
  const letters: [number, number][] = [];
  const late: number[] = [];
  for (const [at, sender] of all.entries()) {
    sender.acked = (number) => {
      const due = dueAt((number - 1) * all.length + at);
      letters.push([performance.timeOrigin + due, performance.now() - due]);
    };
  }
  let sent = 0;
  for (const total = perSecond * seconds; sent < total; ) {
    for (const now = performance.now(); sent < total && dueAt(sent) <= now; sent++) {
      late.push(performance.now() - dueAt(sent));
      all[sent % all.length]?.send(Math.floor(sent / all.length) + 1);
    }
    await (perSecond > byTimer ? new Promise((resolve) => setImmediate(resolve)) : passed(1));
  }
  await passed(1000);
  const warm = performance.timeOrigin + begin + warming * 1000;
  const took = letters.filter(([due]) => due >= warm).map(([, ms]) => ms);
  const cold = letters.filter(([due]) => due < warm).map(([, ms]) => ms);
  return {
    ...{ accepted: perSecond, letters, late: quantile(late, 0.99), cold: quantile(cold, 0.99) },
    ...{ p50: quantile(took, 0.5), p99: quantile(took, 0.99) },
  };
}

async function offline({ window, letters }: { window: number; letters: number }): Promise<LoadResult> {
  const sockets = await inGroups(senders, 16, connect);
  const recipients = people.filter((_, n) => n % 2 === 1);
  const begin = performance.now();
  await Promise.all(
    sockets.map((socket, n) => {
      const to = recipients[n];
      if (!to) throw new RangeError("everybody has a recipient");
      const sender = senderOf(socket, to);
      const done = Promise.withResolvers<void>();
      let [number, acked] = [0, 0];
      sender.acked = () => {
        if (++acked === letters) done.resolve();
        if (number < letters) sender.send(++number);
      };
      while (number < window) sender.send(++number);
      return done.promise;
    }),
  );
  const total = sockets.length * letters;
  const accepted = Math.round((total * 1000) / (performance.now() - begin));
  const back = await inGroups(recipients, 16, connect);
  const all = Promise.withResolvers<void>();
  onReceived = () => {
    if (received === total) all.resolve();
  };
  const start = performance.now();
  for (const [n, person] of recipients.entries()) {
    const socket = back[n];
    if (socket) read(socket, person);
  }
  await all.promise;
  return { accepted, drained: Math.round((total * 1000) / (performance.now() - start)) };
}

/** `people[0]` is whose statements they are. */
async function directory(statements: readonly string[]): Promise<LoadResult> {
  const sockets = await inGroups(people, 16, connect);
  const [own] = sockets;
  const took: number[] = [];
  for (const [n, statement] of statements.entries()) {
    const heard = sockets.map(
      (socket) =>
        new Promise<void>((resolve) => {
          const listen = (data: Buffer): void => {
            if (data.indexOf("\x69directory", data.length - 24, "latin1") < 0) return;
            socket.off("message", listen);
            resolve();
          };
          socket.on("message", listen);
        }),
    );
    const begin = performance.now();
    const body = { statement: fromBase64url(statement) };
    own?.send(encodeRequest({ number: n + 1, name: "statement-append", body }));
    await Promise.all(heard);
    took.push(performance.now() - begin);
  }
  return { p50: quantile(took, 0.5), p99: quantile(took, 0.99) };
}

async function watch(readers: number, seconds: number): Promise<LoadResult> {
  const [person] = people;
  if (!person) throw new RangeError("nobody is there to watch");
  const socket = await connect(person);
  socket.send(encodeRequest({ number: 1, name: "token-create", body: {} }));
  let frame: ReturnType<typeof decodeServerFrame>;
  // What the server tells everybody may come in front of the answer.
  do {
    const [bytes] = (await once(socket, "message")) as [Buffer];
    frame = decodeServerFrame(bytes);
  } while (frame.type === "event");
  if (frame.type !== "response") throw new Error("no token");
  const { token } = frame.body as { token: string };
  const origin = order.url.replace(/^ws/, "http");
  const get = (path: string): Promise<Response> =>
    fetch(origin + path, { headers: { authorization: `Bearer ${token}` } });
  const { titles } = LibraryView.parse(await (await get("/api/library")).json());
  const { base, playlists, title } = TitleDetail.parse(
    await (await get(`/api/titles/${titles[0]?.id}`)).json(),
  );
  const rendition = title.renditions.findLast(({ kind }) => kind === "video")?.id ?? "";
  const segments = (playlists[rendition] ?? "").split("\n").filter((line) => line.endsWith(".m4s"));
  let [count, bytes] = [0, 0];
  const read = async (reader: number): Promise<void> => {
    await passed((reader * 1000) / readers);
    for (let second = 0; second < seconds; second++) {
      const due = passed(1000);
      const answer = await get(`${base}${rendition}/${segments[(reader + second) % segments.length]}`);
      bytes += (await answer.arrayBuffer()).byteLength;
      if (!answer.ok) throw new Error(`${answer.status}`);
      count++;
      await due;
    }
  };
  await Promise.all(Array.from({ length: readers }, (_, n) => read(n)));
  return { segments: count, bytes: Math.round(bytes / seconds) };
}

function passed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
