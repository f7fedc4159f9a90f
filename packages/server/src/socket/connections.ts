import {
  type AccountId,
  type DeviceId,
  type EventName,
  type EventOf,
  encodeEvent,
  limits,
  type Row,
} from "@snug/protocol";
import type { MessageRef } from "../store/store.ts";
import { Presence } from "./presence.ts";

/** One signed-in device's connection, as the others see it. */
export interface Present {
  /** How many connections had come about before it, from {@link Connections.count}. */
  readonly came: number;
  /** Sends an event's frame. */
  push(frame: Uint8Array): void;
  /** Rows of one of its account's streams were stored. */
  appended(rows: readonly Row[]): void;
  /** Asks whether the link lives. */
  ping(): void;
  close(why: "replaced" | "signedOut" | "goingAway"): void;
}

/**
 * For each connection, so long is waited between two tellings of who has come and gone: telling one takes a fiftieth
 * of it. ms
 */
const tellEvery = 0.5;
/** To so many goes at a time what is for many: what others have to do comes in between. */
const most = 64;
/** Links are asked for a sign of life in groups, not all at once: one group each {@link pingEvery}. */
const pingGroups = 16;
export const pingEvery: number = limits.ping / pingGroups;

/** Everybody who is signed in now, by device. */
export class Connections {
  readonly #positionOf: (account: AccountId) => number;
  readonly #now: () => number;
  readonly #presence = new Presence();
  #told = Number.NEGATIVE_INFINITY;
  #telling: NodeJS.Timeout | undefined;
  #going: { readonly act: (connection: Present) => void; readonly to: Present[] }[] = [];
  #group = 0;
  #came = 0;
  readonly #byDevice = new Map<DeviceId, Present>();
  readonly #byAccount = new Map<AccountId, Set<Present>>();
  #fresh = new Map<AccountId, Row[]>();

  /** `positionOf`: which of the directory log's accounts it is, from 0. `now`: ms of a clock that nobody sets. */
  constructor(of: { readonly positionOf: (account: AccountId) => number; readonly now: () => number }) {
    this.#positionOf = of.positionOf;
    this.#now = of.now;
  }

  /** How many devices are signed in. */
  get size(): number {
    return this.#byDevice.size;
  }

  /** The place of a connection that has just come about. */
  count(): number {
    return this.#came++;
  }

  /**
   * Takes a connection that has just signed in. Of two of the same device the one that came first gives way, whichever
   * has signed in first: it may be the last word of a program that is gone.
   */
  add(connection: Present, account: AccountId, device: DeviceId): void {
    const older = this.#byDevice.get(device);
    if (older && older.came > connection.came) {
      connection.close("replaced");
      return;
    }
    const present = this.#byAccount.get(account);
    // To the others: the newcomer is told of everybody.
    if (!present) this.#isHere(account, true);
    this.#byAccount.set(account, (present ?? new Set()).add(connection));
    this.#byDevice.set(device, connection);
    older?.close("replaced");
  }

  /** Tells a newcomer who is here, as far as the others were told. */
  greet(connection: Present): void {
    connection.push(this.#presence.whole);
  }

  /** Forgets a closed connection; the account is away when it was the last. */
  remove(connection: Present, account: AccountId, device: DeviceId): void {
    if (this.#byDevice.get(device) === connection) this.#byDevice.delete(device);
    const present = this.#byAccount.get(account);
    if (!present?.delete(connection) || present.size > 0) return;
    this.#byAccount.delete(account);
    this.#isHere(account, false);
  }

  /** At once, or when it is time again: what came meanwhile travels together, and costs no more than one of it. */
  #isHere(account: AccountId, here: boolean): void {
    this.#presence.set(this.#positionOf(account), here);
    if (this.#telling) return;
    const wait = this.#told + this.size * tellEvery - this.#now();
    if (wait <= 0) this.#tell();
    else this.#telling = setTimeout(() => this.#tell(), wait).unref();
  }

  #tell(): void {
    this.#telling = undefined;
    this.#told = this.#now();
    const frame = this.#presence.changes();
    if (frame) this.#pushAll(frame);
  }

  ofDevice(device: DeviceId): Present | undefined {
    return this.#byDevice.get(device);
  }

  /** To everybody signed in; encoded once. */
  broadcast<N extends EventName>(name: N, body: EventOf<N>): void {
    this.#pushAll(encodeEvent(name, body));
  }

  /** To those who are here now. */
  #pushAll(frame: Uint8Array): void {
    this.#each([...this.#byDevice.values()], (connection) => connection.push(frame));
  }

  /** Some in each turn of the event loop, behind what goes to many already. */
  #each(to: Present[], act: (connection: Present) => void): void {
    this.#going.push({ act, to });
    if (this.#going.length === 1) this.#goOn();
  }

  #goOn(): void {
    const [first] = this.#going;
    if (!first) return;
    for (const connection of first.to.splice(0, most)) first.act(connection);
    if (first.to.length === 0) this.#going.shift();
    if (this.#going.length > 0) setImmediate(() => this.#goOn());
  }

  /** Asks the links whose turn it is whether they live: each once in `limits.ping`. */
  ping(): void {
    this.#group = (this.#group + 1) % pingGroups;
    const asked: Present[] = [];
    for (const [device, connection] of this.#byDevice) {
      // Device ids are random, and so are their letters.
      if (device.charCodeAt(0) % pingGroups === this.#group) asked.push(connection);
    }
    this.#each(asked, (connection) => connection.ping());
  }

  closeAll(): void {
    for (const connection of [...this.#byDevice.values()]) connection.close("goingAway");
  }

  /** A new row, to its owner's devices that read the stream. What one commit brought travels together. */
  appended(owner: AccountId, row: Row): void {
    if (!this.#byAccount.has(owner)) return;
    const together = this.#fresh.get(owner);
    if (together) {
      together.push(row);
      return;
    }
    this.#fresh.set(owner, [row]);
    // Ticks come after all that the commit resolved.
    if (this.#fresh.size === 1) process.nextTick(() => this.#deliver());
  }

  #deliver(): void {
    const fresh = this.#fresh;
    // Not cleared: a cleared map's former table keeps its rows until the next full collection.
    this.#fresh = new Map();
    for (const [owner, rows] of fresh) {
      for (const connection of this.#byAccount.get(owner) ?? []) connection.appended(rows);
    }
  }

  /** Tells senders which of their messages have now reached everybody they were for. */
  delivered(arrived: readonly MessageRef[]): void {
    for (const [account, messages] of Map.groupBy(arrived, (message) => message.account)) {
      const present = this.#byAccount.get(account);
      for (let at = 0; present && at < messages.length; at += 256) {
        const frame = encodeEvent("delivered", { ids: messages.slice(at, at + 256).map(({ id }) => id) });
        for (const connection of present) connection.push(frame);
      }
    }
  }
}
