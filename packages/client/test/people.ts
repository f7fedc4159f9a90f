import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { HttpRequest, Platform, Socket, SocketEvents } from "@snug/client";
import {
  type Client,
  type ClientState,
  createClient,
  type Letter,
  NetworkError,
  type Store,
} from "@snug/client";
import { nodePlatform, openNodeStore } from "@snug/client/node";
import {
  type AccountId,
  closeCodes,
  decodeServerFrame,
  encodeRequest,
  type Request,
  type RequestOf,
  type SocketOperation,
} from "@snug/protocol";
import { patience } from "../../../testing/patience.ts";
import { type BootedServer, bootServer } from "../../../testing/server.ts";

/** Node's platform with a clock of the test's, a plug to pull, and a hand on every frame. */
export class TestPlatform implements Platform {
  readonly origin = null;
  needsCookie = false;
  readonly #real = nodePlatform();
  readonly #sockets = new Set<{ socket: Socket; events: SocketEvents }>();
  readonly #network = new Set<() => void>();
  #timers: { at: number; call: () => void }[] = [];
  #now = Date.now();
  #onTimer: (ms: number) => void = () => undefined;
  plugged = true;
  /** What becomes of a frame from the server; null drops it. */
  onReceived: (frame: Uint8Array) => Uint8Array | null = (frame) => frame;
  /** What becomes of a frame to the server; null drops it. */
  onSent: (frame: Uint8Array) => Uint8Array | null = (frame) => frame;
  /** Called with each answer of HTTP before it is handed on; may throw. */
  onAnswer: (request: HttpRequest) => void = () => undefined;
  /** Every request by HTTP, as it was asked. */
  readonly asked: HttpRequest[] = [];
  readonly #answers = new Map<number, () => void>();

  pin: Platform["pin"] = (origin, authority) => this.#real.pin(origin, authority);

  openSocket: Platform["openSocket"] = (address, events) => {
    if (!this.plugged) {
      queueMicrotask(() => events.closed({ code: 1006, reason: "unplugged" }));
      return { send: () => undefined, close: () => undefined };
    }
    const socket = this.#real.openSocket(address, {
      opened: () => events.opened(),
      received: (frame) => {
        const altered = this.plugged && !this.#answered(frame) ? this.onReceived(frame) : null;
        if (altered) events.received(altered);
      },
      closed: (reason) => {
        this.#sockets.delete(open);
        events.closed(reason);
        // On a busy machine this device may take more than the 5 s that it is given; its own clock stands still.
        if (reason.code === closeCodes.tooSlowToSignIn) for (const hint of this.#network) hint();
      },
    });
    const open = { socket, events };
    this.#sockets.add(open);
    return {
      send: (frame) => {
        const altered = this.plugged ? this.onSent(frame) : null;
        if (altered) socket.send(altered);
      },
      close: () => socket.close(),
    };
  };

  fetch: Platform["fetch"] = async (address, request) => {
    this.asked.push(request);
    if (!this.plugged) throw new NetworkError("unplugged");
    const answer = await this.#real.fetch(address, request);
    this.onAnswer(request);
    return answer;
  };

  now = (): number => this.#now;
  random = (): number => 0.5;

  after = (ms: number, call: () => void): (() => void) => {
    const timer = { at: this.#now + ms, call };
    this.#timers.push(timer);
    this.#onTimer(ms);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  };

  onNetwork = (listener: () => void): (() => void) => {
    this.#network.add(listener);
    return () => this.#network.delete(listener);
  };

  /** Resolves with the ms of the next timer that is set. */
  timer(): Promise<number> {
    return new Promise((resolve) => {
      this.#onTimer = resolve;
    });
  }

  /** Somebody sets the clock, forward or back; what waits for a time to pass is not due for that. */
  setClock(by: number): void {
    this.#now += by;
    for (const timer of this.#timers) timer.at += by;
  }

  advance(ms: number): void {
    this.#now += ms;
    const due = this.#timers.filter((timer) => timer.at <= this.#now);
    this.#timers = this.#timers.filter((timer) => timer.at > this.#now);
    for (const { call } of due) call();
  }

  unplug(): void {
    this.plugged = false;
    for (const { socket, events } of this.#sockets) {
      socket.close();
      events.closed({ code: 1006, reason: "unplugged" });
    }
  }

  /** A request of another program that uses the same keys, over the same socket; its answer is the test's alone. */
  ask<N extends SocketOperation>(name: N, body: RequestOf<N>): Promise<void> {
    const number = 0xffff_0000 + this.#answers.size;
    const [open] = this.#sockets;
    return new Promise((resolve) => {
      this.#answers.set(number, resolve);
      open?.socket.send(encodeRequest({ number, name, body } as Request));
    });
  }

  #answered(bytes: Uint8Array): boolean {
    if (this.#answers.size === 0) return false;
    const frame = decodeServerFrame(bytes);
    const answer = "number" in frame ? this.#answers.get(frame.number) : undefined;
    if ("error" in frame && answer) throw frame.error;
    answer?.();
    return answer !== undefined;
  }

  /** A frame as if it came from the server. */
  inject(frame: Uint8Array): void {
    for (const { events } of this.#sockets) events.received(frame);
  }

  /** The network is back and says so. */
  plug(): void {
    this.plugged = true;
    for (const listener of this.#network) listener();
  }
}

type Joined = Extract<ClientState, { phase: "joined" }>;

/** A person at a Node client with a home of their own, which goes with them. */
export class Person implements AsyncDisposable {
  readonly home: string;
  platform = new TestPlatform();
  client: Client;
  store: Store;
  readonly arrived: Letter[] = [];
  recoveryCode = "";
  /** The body of the join, as it was sent. */
  joined: unknown = null;

  private constructor(home: string, client: Client, store: Store, platform: TestPlatform) {
    this.home = home;
    this.client = client;
    this.store = store;
    this.platform = platform;
    client.onLetter((letter) => this.arrived.push(letter));
  }

  static async open(wrap: (store: Store) => Store = (store) => store): Promise<Person> {
    const home = await mkdtemp(join(tmpdir(), "snug-client-"));
    const platform = new TestPlatform();
    const store = wrap(await openNodeStore(home));
    return new Person(home, await createClient({ store, platform }), store, platform);
  }

  /** Another program on a copy of somebody's home, made while it was closed. */
  static async copyOf(original: Person): Promise<Person> {
    await original.client.close();
    const home = await mkdtemp(join(tmpdir(), "snug-client-"));
    await cp(original.home, home, { recursive: true });
    await original.restart();
    await original.online();
    const platform = new TestPlatform();
    const store = await openNodeStore(home);
    return new Person(home, await createClient({ store, platform }), store, platform);
  }

  static async join(link: string, name: string): Promise<Person> {
    const person = await Person.open();
    person.recoveryCode = (await person.client.join({ link, name })).recoveryCode;
    person.joined = person.platform.asked.find(({ path }) => path === "/api/join")?.body;
    await person.online();
    return person;
  }

  /** Closes the client as if its process had ended and opens it again on the same home. */
  async restart(wrap: (store: Store) => Store = (store) => store): Promise<void> {
    await this.client.close();
    const { plugged } = this.platform;
    this.platform = new TestPlatform();
    this.platform.plugged = plugged;
    this.store = wrap(await openNodeStore(this.home));
    this.client = await createClient({ store: this.store, platform: this.platform });
    this.client.onLetter((letter) => this.arrived.push(letter));
  }

  get state(): Joined {
    const { state } = this.client;
    if (state.phase !== "joined") throw new Error(`the client is ${state.phase}`);
    return state;
  }

  get account(): AccountId {
    return this.state.me.account;
  }

  until(what: string, holds: (state: ClientState) => boolean): Promise<void> {
    return until(this.client, what, holds);
  }

  online(): Promise<void> {
    return this.until("online", (state) => state.phase === "joined" && state.connection.is === "online");
  }

  /** Without any connection, and aware of it. */
  async unplug(): Promise<void> {
    this.platform.unplug();
    await this.until("offline", (state) => state.phase === "joined" && state.connection.is === "offline");
  }

  async plug(): Promise<void> {
    await this.until("offline", (state) => state.phase === "joined" && state.connection.is === "offline");
    this.platform.plug();
    await this.online();
  }

  /** Waits until the last letter of the thread is in this state. */
  last(thread: AccountId, is: Letter["state"]["is"]): Promise<void> {
    return this.until(
      `last letter ${is}`,
      (state) =>
        state.phase === "joined" &&
        state.threads.find(({ account }) => account === thread)?.last?.state.is === is,
    );
  }

  async texts(thread: AccountId): Promise<string[]> {
    return (await this.client.letters({ thread, most: 1000 })).map(({ text }) => text);
  }

  /** Waits for the n-th letter of all that arrived here since this client's first start. */
  async arrivals(count: number): Promise<string[]> {
    await this.until(`${count} letters`, () => this.arrived.length >= count);
    return this.arrived.map(({ text }) => text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
    await rm(this.home, { recursive: true, force: true });
  }
}

/** A store that fails at a commit as a device without power does: nothing of it is written. */
export function failingAt(
  store: Store,
  fails: (tables: readonly string[]) => boolean,
  failure: Error = new Error("no power"),
): Store {
  return new Proxy(store, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== "function") return value;
      if (name !== "commit") return value.bind(target) as unknown;
      return async (changes: Parameters<Store["commit"]>[0]) => {
        if (fails(changes.map(({ table }) => table))) throw failure;
        await store.commit(changes);
      };
    },
  });
}

/** The store, whose single reads of a table wait. */
export function waitingAt(store: Store, wait: (table: string) => Promise<void>): Store {
  return new Proxy(store, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== "function") return value;
      if (name !== "get") return value.bind(target) as unknown;
      return async (table: string, key: string) => {
        await wait(table);
        return store.get(table, key);
      };
    },
  });
}

/** Resolves at the change that makes it so; the limit only ends a test that has failed. */
function until(client: Client, what: string, holds: (state: ClientState) => boolean): Promise<void> {
  if (holds(client.state)) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => {
      stop();
      reject(new Error(`not within ${patience} ms: ${what}; ${JSON.stringify(client.state)}`));
    }, patience);
    const stop = client.subscribe(() => {
      if (!holds(client.state)) return;
      clearTimeout(limit);
      stop();
      resolve();
    });
  });
}

export interface Pair extends AsyncDisposable {
  readonly server: BootedServer;
  readonly alice: Person;
  readonly bob: Person;
}

/** Alice came by the setup link, Bob by her one-use invite; both are online. */
export async function pair(): Promise<Pair> {
  await using started = new AsyncDisposableStack();
  const server = started.use(await bootServer());
  const alice = started.use(await Person.join((await server.setupLink()) ?? "", "Alice"));
  const bob = started.use(await Person.join(await alice.client.invite({ uses: 1 }), "Bob"));
  await alice.until("Bob", (state) => state.phase === "joined" && state.people.length === 2);
  const all = started.move();
  return { server, alice, bob, [Symbol.asyncDispose]: () => all.disposeAsync() };
}
