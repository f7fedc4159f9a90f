import { EventEmitter } from "node:events";
import type { SocketEvents } from "@snug/client";
import { decodeCbor } from "@snug/protocol";
import type { Chance } from "./chance.ts";
import type { Course } from "./course.ts";

/** How a device's line is now: ms of the way there, and bytes that pass in a ms. */
export interface Weather {
  readonly latency: number;
  readonly spread: number;
  readonly rate: number;
}

type Item =
  | { readonly is: "frame"; readonly bytes: Uint8Array }
  | { readonly is: "ping" | "pong" }
  | { readonly is: "close"; readonly code: number; readonly reason: string };
type Side = "device" | "server";
type Hold = "network" | "sleep" | "reader";

/** What the systems of both sides hold of one direction before the sender has to wait. */
const windowBytes = 65_536;

/**
 * One direction of a connection, as TCP gives it: in order, whole or not at all. What is held on the way goes on when it
 * is let go; a cut loses what has not arrived, in the middle of a frame or between two.
 */
class Pipe {
  readonly #course: Course;
  readonly #weather: () => Weather;
  readonly #chance: Chance;
  readonly #take: (item: Item) => void;
  readonly #holds = new Set<Hold>();
  readonly #waiting: { item: Item; sent: () => void }[] = [];
  readonly #arrived: Item[] = [];
  #onTheWay = 0;
  #last = 0;
  #cut = false;

  constructor(of: { course: Course; weather: () => Weather; chance: Chance; take: (item: Item) => void }) {
    this.#course = of.course;
    this.#weather = of.weather;
    this.#chance = of.chance;
    this.#take = of.take;
  }

  /** Bytes that wait at the sender. */
  get buffered(): number {
    return this.#waiting.reduce((sum, { item }) => sum + sizeOf(item), 0);
  }

  send(item: Item, sent: () => void): void {
    if (this.#cut) {
      this.#course.after(0, sent);
      return;
    }
    this.#waiting.push({ item, sent });
    this.#leave();
  }

  hold(why: Hold, held: boolean): void {
    if (held) this.#holds.add(why);
    else this.#holds.delete(why);
    this.#hand();
  }

  cut(): void {
    this.#cut = true;
    this.#arrived.length = 0;
    for (const { sent } of this.#waiting.splice(0)) this.#course.after(0, sent);
  }

  #leave(): void {
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      const size = sizeOf(next.item);
      if (this.#onTheWay > 0 && this.#onTheWay + size > windowBytes) return;
      this.#waiting.shift();
      const { item, sent } = next;
      this.#onTheWay += size;
      const { latency, spread, rate } = this.#weather();
      const arrives = this.#course.now + latency + spread * this.#chance.next() + size / rate;
      this.#last = Math.max(this.#last, arrives);
      this.#course.after(this.#last - this.#course.now, () => {
        this.#arrived.push(item);
        this.#hand();
      });
      this.#course.after(0, sent);
    }
  }

  #hand(): void {
    while (this.#holds.size === 0 && !this.#cut) {
      const item = this.#arrived.shift();
      if (!item) return;
      this.#onTheWay -= sizeOf(item);
      this.#leave();
      this.#take(item);
    }
  }
}

/** With RFC 6455's header. */
function sizeOf(item: Item): number {
  return item.is === "frame" ? item.bytes.length + 8 : 8;
}

/** The server's side of a connection: what the server uses of `ws`. */
export class ServerSocket extends EventEmitter {
  readonly #line: Line;
  isPaused = false;
  #closing = false;
  #closed = false;

  constructor(line: Line) {
    super();
    this.#line = line;
  }

  get bufferedAmount(): number {
    return this.#line.down.buffered;
  }

  send(bytes: Uint8Array, sent: () => void): void {
    if (!this.#closing) this.#line.leaves(bytes);
    this.#line.down.send({ is: "frame", bytes: bytes.slice() }, sent);
  }

  ping(): void {
    this.#line.down.send({ is: "ping" }, () => undefined);
  }

  pause(): void {
    this.isPaused = true;
    this.#line.up.hold("reader", true);
  }

  resume(): void {
    this.isPaused = false;
    this.#line.up.hold("reader", false);
  }

  close(code: number, reason: string): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#line.trace(`server closes: ${reason}`);
    this.#line.down.send({ is: "close", code, reason }, () => undefined);
  }

  terminate(): void {
    this.#line.cut("device");
  }

  /** Something came from the device. */
  take(item: Item): void {
    if (this.#closed) return;
    if (item.is === "frame") {
      this.emit("message", item.bytes, true);
    } else if (item.is === "pong") {
      this.emit("pong");
    } else if (item.is === "close") {
      if (!this.#closing) this.#line.down.send(item, () => undefined);
      this.#line.end();
      this.ended();
    }
  }

  ended(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.emit("close");
  }
}

/** One connection between a device and the server, from its handshake to its end. */
export class Line {
  readonly up: Pipe;
  readonly down: Pipe;
  readonly name: string;
  readonly #course: Course;
  readonly #events: SocketEvents;
  readonly #socket: ServerSocket;
  readonly #latency: () => number;
  readonly #ended: () => void;
  readonly #watch: (frame: Uint8Array) => void;
  #deviceKnows = false;

  constructor(of: {
    readonly course: Course;
    readonly name: string;
    readonly weather: () => Weather;
    readonly chance: Chance;
    readonly events: SocketEvents;
    readonly ended: () => void;
    /** What leaves the server for this device. */
    readonly watch: (frame: Uint8Array) => void;
  }) {
    this.#course = of.course;
    this.#watch = of.watch;
    this.name = of.name;
    this.#events = of.events;
    this.#ended = of.ended;
    this.#latency = () => of.weather().latency + of.weather().spread * of.chance.next();
    this.#socket = new ServerSocket(this);
    const shared = { course: of.course, weather: of.weather, chance: of.chance };
    this.up = new Pipe({ ...shared, take: (item) => this.#socket.take(item) });
    this.down = new Pipe({ ...shared, take: (item) => this.#taken(item) });
  }

  get socket(): ServerSocket {
    return this.#socket;
  }

  trace(what: string): void {
    this.#course.trace(this.name, what);
  }

  traceFrame(way: "up" | "down", bytes: Uint8Array): void {
    const {
      type,
      name = "",
      number = "",
    } = decodeCbor(bytes) as { type: string; name?: string; number?: number };
    this.trace(`${way === "up" ? "→" : "←"} ${type} ${name} ${number} (${bytes.length} bytes)`);
  }

  /** A frame leaves the server. */
  leaves(bytes: Uint8Array): void {
    this.traceFrame("down", bytes);
    this.#watch(bytes);
  }

  /** Device side. */
  send(bytes: Uint8Array): void {
    this.traceFrame("up", bytes);
    this.up.send({ is: "frame", bytes: bytes.slice() }, () => undefined);
  }

  /** Device side: what was sent before still arrives. */
  close(): void {
    if (this.#deviceKnows) return;
    this.up.send({ is: "close", code: 1000, reason: "" }, () => undefined);
    this.#tellDevice(1000, "");
  }

  hold(why: Hold, held: boolean, ways: readonly ("up" | "down")[] = ["up", "down"]): void {
    for (const way of ways) this[way].hold(why, held);
  }

  /** Breaks the connection now; `silent` is the side that learns nothing of it. */
  cut(silent?: Side): void {
    this.up.cut();
    this.down.cut();
    if (silent !== "server") this.#course.after(0, () => this.#socket.ended());
    const knows = silent === "device" ? this.#latency() : 0;
    // A side that terminates sends a reset, which may come late, or as the answer to the next packet.
    this.#course.after(knows, () => this.#tellDevice(1006, "the connection was broken"));
    this.#ended();
  }

  /** The device's program is gone; its system still delivers what it had sent, and the end behind it. */
  finish(): void {
    this.#deviceKnows = true;
    this.up.send({ is: "close", code: 1006, reason: "" }, () => undefined);
  }

  /** Broken without a word to anybody: each side finds out by itself, or never. */
  vanish(): void {
    this.up.cut();
    this.down.cut();
    this.#ended();
  }

  end(): void {
    this.#ended();
  }

  #taken(item: Item): void {
    if (item.is === "frame") {
      if (!this.#deviceKnows) this.#events.received(item.bytes.slice());
    } else if (item.is === "ping") {
      this.up.send({ is: "pong" }, () => undefined);
    } else if (item.is === "close") {
      this.up.send(item, () => undefined);
      this.#tellDevice(item.code, item.reason);
    }
  }

  #tellDevice(code: number, reason: string): void {
    if (this.#deviceKnows) return;
    this.#deviceKnows = true;
    this.#events.closed({ code, reason });
  }
}
