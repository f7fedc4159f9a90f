import {
  type Client,
  type ClientState,
  createClient,
  type Letter,
  NetworkError,
  type Platform,
  type SocketEvents,
} from "@snug/client";
import { type AccountId, type DeviceId, decodeCbor, decodeRequest, encodeRequest } from "@snug/protocol";
import type { Chance } from "./chance.ts";
import type { Course } from "./course.ts";
import { type CommitWatcher, DeviceDisk } from "./deviceDisk.ts";
import type { House } from "./house.ts";
import { Line, type Weather } from "./network.ts";

/** How a device loses its connections. */
export const losses = ["cut", "vanish", "half-open", "stall"] as const;
export type Loss = (typeof losses)[number];

/** How a program's connections end with it: without a word, at once, or behind what it had sent. */
export const deaths = ["power", "reset", "flush"] as const;
export type Death = (typeof deaths)[number];

/** As in Node's platform. ms */
const requestLimit = 30_000;

/** One run of the client's program on a device. */
interface Process {
  readonly client: Client;
  readonly state: { ended: boolean };
}

interface Outgoing {
  readonly id: string;
  readonly letter: number | null;
  readonly content: { readonly parts: readonly { readonly text: string }[] };
}

export interface DeviceWatcher extends CommitWatcher {
  shown(letter: Letter): void;
  changed(state: ClientState): void;
  /** A frame leaves the server for this device. */
  sent(frame: Uint8Array): void;
}

/** Somebody of a course: an account, once it is there, and its devices, the first of which has joined. */
export class Person {
  readonly name: string;
  readonly devices: Device[] = [];
  /** Has left, or somebody rules that the account is to be removed: what it wrote may be refused from now on (L9). */
  doomed = false;

  constructor(name: string) {
    this.name = name;
  }

  get account(): AccountId | null {
    return this.devices[0]?.account ?? null;
  }

  /** Is not of the server's people any more. */
  part(): void {
    this.doomed = true;
    for (const device of this.devices) device.ended = true;
  }

  /** Those that are still in use. */
  get inUse(): readonly Device[] {
    return this.devices.filter(({ ended, lastRoom }) => !ended && lastRoom);
  }

  get isHere(): boolean {
    return !this.doomed && this.inUse.length > 0;
  }

  /** One of the devices, whatever the number. */
  device(on = 0): Device | undefined {
    return this.devices[on % Math.max(1, this.devices.length)];
  }
}

/** A person's device: the real client on a simulated disk, network and clock, whose program comes and goes. */
export class Device {
  readonly name: string;
  readonly person: Person;
  readonly disk: DeviceDisk;
  readonly #course: Course;
  readonly #chance: Chance;
  readonly #house: House;
  readonly #watcher: DeviceWatcher;
  /** When a letter with this text ends, if it does. */
  readonly #endOf: (text: string) => number | null;
  readonly #lines = new Set<Line>();
  readonly #network = new Set<() => void>();
  #process: Process | null = null;
  #starting = false;
  #state = "";
  #reachable = true;
  #awake: (() => void)[] | null = null;
  #number = 0;
  /** Who the device is, or was until it signed out. */
  lastRoom: { readonly account: AccountId; readonly device: DeviceId } | null = null;
  weather: Weather = { latency: 20, spread: 20, rate: 1000 };
  /** ms that this device's clock differs from the course's. */
  clock: number;
  /** When its newest connection came about, ms of the course. */
  linkedAt = Number.NEGATIVE_INFINITY;
  /** Was it ever? Then it has read the directory up to its own account. */
  wasOnline = false;
  /** Its program is not to start now. */
  locked = false;
  /** Signed out, or left, or ended by an administrator: for good. */
  ended = false;
  /** Somebody rules that this device is to be ended: what it wrote may be refused from now on (L9). */
  doomed = false;

  constructor(of: {
    name: string;
    person: Person;
    course: Course;
    chance: Chance;
    house: House;
    watcher: DeviceWatcher;
    clock: number;
    endOf: (text: string) => number | null;
  }) {
    this.name = of.name;
    this.person = of.person;
    this.#course = of.course;
    this.#chance = of.chance;
    this.#house = of.house;
    this.#watcher = of.watcher;
    this.#endOf = of.endOf;
    this.clock = of.clock;
    this.disk = new DeviceDisk({ course: of.course, chance: of.chance.of("disk"), watcher: of.watcher });
  }

  /** null while its program does not run. */
  get client(): Client | null {
    return this.#process?.client ?? null;
  }

  get account(): AccountId | null {
    return this.lastRoom?.account ?? null;
  }

  /** What it wrote may be refused, whenever that was (L9). */
  get mayBeRefused(): boolean {
    return this.doomed || this.person.doomed;
  }

  get isOnline(): boolean {
    const state = this.client?.state;
    return state?.phase === "joined" && state.connection.is === "online";
  }

  /** Where its connection stands, once for each change. */
  traceState(is: string): void {
    if (is !== this.#state) this.trace(`is ${is}`);
    this.#state = is;
  }

  trace(what: string): void {
    this.#course.trace(this.name, what);
  }

  async start(): Promise<void> {
    if (this.#process || this.#starting || this.ended || this.locked) return;
    this.#starting = true;
    this.trace("starts");
    const state = { ended: false };
    this.#kill = () => {
      state.ended = true;
      this.#starting = false;
    };
    const client = await createClient({ store: this.disk.open(state), platform: this.#platform(state) });
    if (state.ended) return;
    this.#starting = false;
    this.#process = { client, state };
    client.onLetter((letter) => !state.ended && this.#watcher.shown(letter));
    client.subscribe(() => !state.ended && this.#watcher.changed(client.state));
    this.#watcher.changed(client.state);
  }

  #kill: () => void = () => undefined;

  /** The program ends between two instructions. */
  kill(how: Death): void {
    this.trace(`is killed: ${how}`);
    this.#kill();
    this.#process = null;
    this.#network.clear();
    for (const line of [...this.#lines]) {
      if (how === "power") line.vanish();
      else if (how === "reset") line.cut();
      else line.finish();
    }
  }

  /** In order, by its owner. */
  async quit(): Promise<void> {
    const process = this.#process;
    if (!process) return;
    this.trace("quits");
    await process.client.close();
    process.state.ended = true;
    if (this.#process === process) this.#process = null;
  }

  /** Loses the network, one way or another. */
  lose(loss: Loss): void {
    this.trace(`loses the network: ${loss}`);
    this.#reachable = false;
    for (const line of [...this.#lines]) {
      if (loss === "cut") line.cut();
      else if (loss === "vanish") line.cut("server");
      else if (loss === "stall") line.hold("network", true);
      else line.hold("network", true, [this.#chance.pick(["up", "down"] as const)]);
    }
  }

  /** The network is back; what was only held arrives now. `told`: the device hears that it is. */
  regain(told: boolean): void {
    if (!this.#reachable) this.trace("has the network again");
    this.#reachable = true;
    for (const line of this.#lines) line.hold("network", false);
    if (told) for (const listener of [...this.#network]) listener();
  }

  /** A reader that takes nothing for a while. */
  read(reads: boolean): void {
    for (const line of this.#lines) line.hold("reader", !reads, ["down"]);
  }

  /** The lid is closed: nothing runs, nothing is read, until it is opened. */
  sleep(): void {
    if (this.#awake) return;
    this.trace("sleeps");
    this.#awake = [];
    for (const line of this.#lines) line.hold("sleep", true, ["down"]);
  }

  wake(): void {
    const waiting = this.#awake;
    if (!waiting) return;
    this.trace("wakes");
    this.#awake = null;
    for (const call of waiting) this.#course.after(0, call);
    for (const line of this.#lines) line.hold("sleep", false, ["down"]);
  }

  /** The inbox as it is durable here. */
  get position(): number | undefined {
    const position = this.disk.get("position", "inbox");
    return position && (decodeCbor(position) as { seq: number }).seq;
  }

  #platform(process: { readonly ended: boolean }): Platform {
    /** Nothing reaches a program that has ended, and one that sleeps is reached later. */
    const reach = (call: () => void): void => {
      if (process.ended) return;
      if (this.#awake) this.#awake.push(() => reach(call));
      else call();
    };
    return {
      origin: null,
      needsCookie: false,
      pin: async () => null,
      openSocket: (_address, events) => this.#openSocket(events, reach),
      fetch: (_address, request) => this.#fetch(request, process, reach),
      now: () => Math.floor(this.#course.now + this.clock),
      after: (ms, call) => {
        // What was due while the device slept can still be called off when it wakes.
        let off = false;
        const callOff = this.#course.after(ms, () => reach(() => !off && call()));
        return () => {
          off = true;
          callOff();
        };
      },
      random: () => this.#chance.next(),
      onNetwork: (listener) => {
        this.#network.add(listener);
        return () => this.#network.delete(listener);
      },
    };
  }

  #delay(): number {
    return this.weather.latency + this.weather.spread * this.#chance.next();
  }

  #openSocket(
    { opened, received, closed }: SocketEvents,
    reach: (call: () => void) => void,
  ): ReturnType<Platform["openSocket"]> {
    let line: Line | null = null;
    let given = false;
    const number = ++this.#number;
    const fail = (reason: string): void => reach(() => !given && closed({ code: 1006, reason }));
    this.#course.after(this.#delay() * 2, () => {
      if (given) return;
      if (!this.#reachable) {
        this.#course.after(this.#chance.pick([0, 10_000]), () => fail("no way to the server"));
        return;
      }
      const fresh: Line = new Line({
        course: this.#course,
        name: `${this.name}#${number}`,
        weather: () => this.weather,
        chance: this.#chance,
        events: {
          opened: () => undefined,
          received: (frame) => reach(() => received(frame)),
          closed: (reason) => reach(() => closed(reason)),
        },
        ended: () => {
          this.#lines.delete(fresh);
          this.#house.left(fresh);
        },
        watch: (frame) => this.#watcher.sent(frame),
      });
      line = fresh;
      this.#lines.add(fresh);
      if (this.#awake) fresh.hold("sleep", true, ["down"]);
      if (this.#house.accept(fresh)) {
        this.linkedAt = this.#course.now;
        reach(opened);
        return;
      }
      this.#lines.delete(fresh);
      fail("nobody listens");
    });
    return {
      send: (frame) => line?.send(this.#withEnd(frame)),
      close: () => {
        given = true;
        line?.close();
      },
    };
  }

  /** The client has no letters that end yet; those of the course get their end on the way out. */
  #withEnd(frame: Uint8Array): Uint8Array {
    const request = decodeRequest(frame);
    if (!("name" in request) || request.name !== "submit") return frame;
    const { id, stream } = request.body;
    if (stream === this.#inbox) return frame;
    const outgoing = this.disk
      .list("outbox")
      .map(([, value]) => decodeCbor(value, Number.POSITIVE_INFINITY) as Outgoing)
      .find((entry) => entry.id === id && entry.letter !== null);
    const expires = this.#endOf(outgoing?.content.parts[0]?.text ?? "");
    return expires === null ? frame : encodeRequest({ ...request, body: { ...request.body, expires } });
  }

  get #inbox(): string | undefined {
    const position = this.disk.get("position", "inbox");
    return position && (decodeCbor(position) as { stream: string }).stream;
  }

  async #fetch(
    request: Parameters<Platform["fetch"]>[1],
    process: { readonly ended: boolean },
    reach: (call: () => void) => void,
  ): ReturnType<Platform["fetch"]> {
    await this.#course.pause(this.#delay());
    const lost = !this.#reachable || this.#chance.is(0.02);
    const late = this.#course.pause(requestLimit).then(() => null);
    const answer = lost || process.ended ? null : await Promise.race([this.#house.answer(request), late]);
    await this.#course.pause(this.#delay());
    await new Promise<void>((resolve) => reach(resolve));
    // Lost on the way back: the server did it, the device does not know.
    if (!answer || !this.#reachable || this.#chance.is(0.02)) throw new NetworkError("no answer");
    return answer;
  }
}
