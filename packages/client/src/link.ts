import {
  decodeServerFrame,
  type Event,
  type EventOf,
  encodeRequest,
  limits,
  operations,
  type Request,
  type RequestOf,
  type ResponseOf,
  SnugError,
  type SocketOperation,
} from "@snug/protocol";
import { NetworkError } from "./api.ts";
import { patiently } from "./patience.ts";
import type { Address, Platform, Socket } from "./platform.ts";
import { StoreError } from "./store.ts";

/** No answer within this: the link is dead, whatever TCP believes. */
const answerLimit = 20_000;
/** The first frame must come within this. */
const helloLimit = 10_000;

/**
 * Bytes of events that have come and are not dealt with yet: as much as an honest server can have waiting for one
 * account (D14). Events cost memory beside their bytes, the smallest most of all.
 */
const mostWork: number = limits.inboxBytes + limits.inboxRows * 1024;
const leastWork = 1024;

interface Waiting {
  readonly name: SocketOperation;
  readonly resolve: (body: never) => void;
  readonly reject: (error: Error) => void;
  readonly callOff: () => void;
}

export interface LinkEnd {
  readonly code: number;
  readonly why: string;
  /** Whether this device's own disk is why. */
  readonly byDisk: boolean;
}

/** One WebSocket from its opening to its end: requests matched with their answers, events handed on, strictly parsed. */
export class Link {
  readonly hello: Promise<EventOf<"hello">>;
  readonly ended: Promise<LinkEnd>;
  readonly #platform: Platform;
  readonly #socket: Socket;
  readonly #waiting = new Map<number, Waiting>();
  readonly #onEvent: (event: Event) => Promise<void>;
  #resolveHello: (hello: EventOf<"hello">) => void = () => undefined;
  #rejectHello: (error: Error) => void = () => undefined;
  #resolveEnd: (end: LinkEnd) => void = () => undefined;
  #end: LinkEnd | null = null;
  #greeted = false;
  #number = 0;
  #work = 0;

  /** `onEvent` resolves once the event is dealt with; it does not reject. */
  constructor(platform: Platform, address: Address, onEvent: (event: Event) => Promise<void>) {
    this.#platform = platform;
    this.#onEvent = onEvent;
    this.hello = new Promise((resolve, reject) => {
      this.#resolveHello = resolve;
      this.#rejectHello = reject;
    });
    this.ended = new Promise((resolve) => {
      this.#resolveEnd = resolve;
    });
    const callOff = platform.after(helloLimit, () => this.close("the server did not greet in time"));
    this.hello.then(callOff, callOff);
    this.#socket = platform.openSocket(address, {
      opened: () => undefined,
      received: (frame) => this.#receive(frame),
      closed: ({ code, reason }) =>
        this.#finish({ code, why: reason || "the connection was closed", byDisk: false }),
    });
  }

  /**
   * Rejects with the server's SnugError, or with NetworkError when the link ends before the answer. Who asks too often is
   * asked to wait, and does (C37).
   */
  request<N extends SocketOperation>(name: N, body: RequestOf<N>): Promise<ResponseOf<N>> {
    return patiently(this.#platform, () => this.#ask(name, body), this.ended);
  }

  #ask<N extends SocketOperation>(name: N, body: RequestOf<N>): Promise<ResponseOf<N>> {
    if (this.#end) return Promise.reject(new NetworkError(this.#end.why));
    const number = this.#number++;
    const frame = encodeRequest({ number, name, body } as Request);
    return new Promise((resolve, reject) => {
      const callOff = this.#platform.after(answerLimit, () =>
        this.close(`no answer to ${name} within ${answerLimit / 1000} s`),
      );
      this.#waiting.set(number, { name, resolve: resolve as (body: never) => void, reject, callOff });
      this.#socket.send(frame);
    });
  }

  /** In words, or for a failure on this side. */
  close(cause: unknown): void {
    const why = cause instanceof Error ? cause.message : String(cause);
    this.#finish({ code: 1000, why, byDisk: cause instanceof StoreError });
    this.#socket.close();
  }

  #receive(bytes: Uint8Array): void {
    if (this.#end) return;
    try {
      const frame = decodeServerFrame(bytes);
      if (frame.type === "unknown-event") return;
      if (frame.type === "event") this.#takeEvent(frame.event, Math.max(leastWork, bytes.length));
      else this.#takeAnswer(frame);
    } catch (error) {
      this.close(`the server sent what is no frame: ${error instanceof Error ? error.message : ""}`);
    }
  }

  #takeEvent(event: Event, cost: number): void {
    if (event.name === "hello") {
      if (this.#greeted) throw new SnugError("malformed", "a second hello");
      this.#greeted = true;
      this.#resolveHello(event.body);
      return;
    }
    this.#work += cost;
    if (this.#work > mostWork) {
      // What is left out comes again: the next link goes on behind what is stored.
      this.close("the server sends more than this device can take in");
      return;
    }
    void this.#onEvent(event).then(() => {
      this.#work -= cost;
    });
  }

  #takeAnswer(frame: { type: "response"; number: number; body: unknown } | AnswerError): void {
    const waiting = this.#waiting.get(frame.number);
    if (!waiting) throw new SnugError("malformed", "an answer to nothing");
    this.#waiting.delete(frame.number);
    waiting.callOff();
    if (frame.type === "error") {
      waiting.reject(frame.error);
      return;
    }
    const parsed = operations[waiting.name].response.safeParse(frame.body);
    if (parsed.success) {
      waiting.resolve(parsed.data as never);
    } else {
      waiting.reject(new NetworkError(`the answer to ${waiting.name} is not of its form`));
      throw new SnugError("malformed", `the answer to ${waiting.name} is not of its form`);
    }
  }

  #finish(end: LinkEnd): void {
    if (this.#end) return;
    this.#end = end;
    // First: whoever hears that a request failed finds the connection's state changed already.
    this.#resolveEnd(end);
    this.#rejectHello(new NetworkError(end.why));
    for (const waiting of this.#waiting.values()) {
      waiting.callOff();
      waiting.reject(new NetworkError(end.why));
    }
    this.#waiting.clear();
  }
}

interface AnswerError {
  readonly type: "error";
  readonly number: number;
  readonly error: SnugError;
}
