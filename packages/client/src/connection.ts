import {
  closeCodes,
  type Event,
  type RequestOf,
  type ResponseOf,
  type SocketOperation,
} from "@snug/protocol";
import { type Connection as ConnectionState, NetworkError } from "./api.ts";
import { Link, type LinkEnd } from "./link.ts";
import type { Address, Platform } from "./platform.ts";

const firstDelay = 1_000;
const longestDelay = 30_000;
/** An idle link is asked for a sign of life this often: a browser's socket does not tell that its peer is gone. */
const heartbeat = 30_000;

/** Thrown by whoever finds that going on would be wrong until a person acts. */
export class Stop extends Error {
  readonly code: string;

  constructor(code: string, why: string) {
    super(why);
    this.name = "Stop";
    this.code = code;
  }
}

export interface Hooks {
  address(): Address;
  /** Signs in and catches up on a fresh link. Throws Stop, or anything else to try again later. */
  greet(link: Link): Promise<void>;
  /** `event` never is the hello. Resolves once it is dealt with. */
  event(event: Event): Promise<void>;
  changed(): void;
  /** The server has closed the link because this device was ended: why going on is over. */
  ended(): Stop | Promise<Stop>;
  /** The link is signed in and caught up. */
  online(): void;
}

/** Keeps one signed-in link to the server: reconnects with jittered backoff until it is stopped. */
export class Connection {
  readonly #platform: Platform;
  readonly #hooks: Hooks;
  #state: ConnectionState = { is: "connecting" };
  #link: Link | null = null;
  #callOff: () => void = () => undefined;
  #failures = 0;
  #closed = false;
  #attempts: (() => void)[] = [];

  constructor(platform: Platform, hooks: Hooks) {
    this.#platform = platform;
    this.#hooks = hooks;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  start(): void {
    if (!this.#closed && !this.#link) this.#connect();
  }

  /** Resolves when the attempt under way has succeeded or failed. */
  attempt(): Promise<void> {
    if (this.#state.is !== "connecting" || this.#closed) return Promise.resolve();
    return new Promise((resolve) => this.#attempts.push(resolve));
  }

  /** The network has changed: the next attempt comes now, and a link that seems alive is asked whether it is. */
  hint(): void {
    if (this.#link && this.#state.is === "online") this.#probe(this.#link);
    if (this.#state.is !== "offline" || this.#closed) return;
    this.#failures = 0;
    this.#connect();
  }

  /** Rejects with NetworkError when not online. */
  request<N extends SocketOperation>(name: N, body: RequestOf<N>): Promise<ResponseOf<N>> {
    if (this.#link && this.#state.is === "online") return this.#link.request(name, body);
    return Promise.reject(new NetworkError("not connected to the server"));
  }

  /** Ends the link under way and tries again: its view of us is no longer ours. */
  reconnect(why: string): void {
    this.#link?.close(why);
  }

  stop(stop: Stop): void {
    if (this.#state.is === "stopped") return;
    this.#enter({ is: "stopped", code: stop.code, why: stop.message });
    this.#end(stop.message);
  }

  close(): void {
    this.#closed = true;
    this.#end("closed");
    this.#settleAttempts();
  }

  #end(why: string): void {
    this.#callOff();
    this.#link?.close(why);
    this.#link = null;
  }

  #connect(): void {
    this.#callOff();
    this.#enter({ is: "connecting" });
    const link = new Link(this.#platform, this.#hooks.address(), (event) =>
      this.#link === link ? this.#hooks.event(event) : Promise.resolve(),
    );
    this.#link = link;
    void this.#run(link);
  }

  async #run(link: Link): Promise<void> {
    try {
      await this.#hooks.greet(link);
      if (this.#link !== link) return;
      this.#failures = 0;
      this.#enter({ is: "online" });
      this.#beat(link);
      this.#hooks.online();
    } catch (error) {
      if (error instanceof Stop) this.stop(error);
      link.close(error);
    }
    this.#lost(link, await link.ended);
  }

  #beat(link: Link): void {
    this.#callOff = this.#platform.after(heartbeat, () => this.#probe(link));
  }

  /** A link that doesn't answer closes itself, and is reported as lost. */
  #probe(link: Link): void {
    this.#callOff();
    link.request("delivery-read", { ids: [] }).then(
      () => this.#link === link && this.#beat(link),
      () => undefined,
    );
  }

  #lost(link: Link, end: LinkEnd): void {
    if (this.#link !== link || this.#closed || this.#state.is === "stopped") return;
    if (end.code === closeCodes.replaced) {
      this.stop(new Stop("replaced", "another program signed in with this device's keys"));
    } else if (end.code === closeCodes.signedOut) {
      this.#closedAsEnded(this.#hooks.ended());
    } else {
      this.#link = null;
      this.#callOff();
      const most = Math.min(longestDelay, firstDelay * 2 ** Math.min(this.#failures++, 10));
      const delay = Math.round(most * (0.5 + this.#platform.random() / 2));
      this.#callOff = this.#platform.after(delay, () => this.#connect());
      const { why, byDisk } = end;
      this.#enter({ is: "offline", why, byDisk, retryAt: this.#platform.now() + delay });
    }
  }

  #closedAsEnded(stop: Stop | Promise<Stop>): void {
    if (stop instanceof Stop) this.stop(stop);
    else void stop.then((known) => !this.#closed && this.stop(known));
  }

  #enter(state: ConnectionState): void {
    this.#state = state;
    if (state.is !== "connecting") this.#settleAttempts();
    this.#hooks.changed();
  }

  #settleAttempts(): void {
    for (const settle of this.#attempts.splice(0)) settle();
  }
}
