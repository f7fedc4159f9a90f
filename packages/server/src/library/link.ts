import type { Worker } from "node:worker_threads";
import { SnugError, type TitleDetail, type TitleId, type TitleView } from "@snug/protocol";
import type { Answer, Ask, FileRequest, FoundHead, Seen } from "./messages.ts";
import { createReceiving, type Receiving } from "./receiving.ts";
import { keepVigil } from "./vigil.ts";

/** Bytes of a title, as a route sends them on. */
export interface FoundBody {
  /** Media type. */
  readonly type: string;
  /** Bytes, when known beforehand. */
  readonly length?: number;
  /** Read it to the end or leave it by `return`: it holds an open file. */
  readonly body: AsyncIterable<Uint8Array>;
}

export interface LinkOptions {
  readonly start: () => Worker;
  readonly log: (line: string) => void;
  /** All titles, after each start of the worker. */
  readonly onListed: (titles: readonly TitleView[]) => void;
  readonly onChanged: (titles: readonly TitleView[], removed: readonly TitleId[]) => void;
}

const shortestPause = 250;
const longestPause = 30_000;
/** A worker that nobody has asked for anything so long, and that has nothing left to do, is ended. ms */
const restAfter = 30_000;
/** A worker that lived so long did not die of what it began with. */
const longLife = 60_000;

const stopped = (): SnugError =>
  new SnugError("unavailable", "the video worker stopped; ask again in a moment");

/**
 * The worker and every exchange with it. One that dies fails what was under way and is started anew (VL11); one that
 * nobody needs is ended until somebody does (VL16).
 */
export class Link {
  readonly #options: LinkOptions;
  readonly #ready = Promise.withResolvers<void>();
  readonly #details = new Map<number, PromiseWithResolvers<TitleDetail | null>>();
  readonly #opens = new Map<number, PromiseWithResolvers<FoundHead | null>>();
  readonly #bodies = new Map<number, Receiving>();
  #worker: Worker | undefined;
  #last = 0;
  #state: "starting" | "running" | "resting" | "closing" = "starting";
  #seen: Seen | null = null;
  #rest: NodeJS.Timeout | undefined;
  #vigil: Disposable | undefined;
  /** While a worker that rested is on its way back. */
  #waking: PromiseWithResolvers<void> | undefined;
  #pause = shortestPause;
  #restart: NodeJS.Timeout | undefined;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#begin();
  }

  /** Rejects when the first worker can't begin. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  async detail(title: TitleId): Promise<TitleDetail | null> {
    return await this.#exchange(this.#details, { type: "detail", number: ++this.#last, title });
  }

  async open(request: FileRequest): Promise<FoundBody | undefined> {
    const number = ++this.#last;
    const body = createReceiving({
      more: () => this.#ask({ type: "more", number }),
      left: () => {
        this.#bodies.delete(number);
        this.#ask({ type: "cancel", number });
      },
    });
    // Known before the answer arrives: the first chunk follows it at once.
    this.#bodies.set(number, body);
    let head: FoundHead | null = null;
    try {
      head = await this.#exchange(this.#opens, { type: "open", number, request });
    } finally {
      if (head === null) this.#bodies.delete(number);
    }
    if (head === null) return undefined;
    const { mediaType: type, length } = head;
    return length === null ? { type, body } : { type, length, body };
  }

  async close(): Promise<void> {
    this.#state = "closing";
    clearTimeout(this.#restart);
    clearTimeout(this.#rest);
    this.#vigil?.[Symbol.dispose]();
    const running = this.#worker;
    if (running === undefined) return;
    const ended = new Promise((resolve) => running.once("exit", resolve));
    this.#ask({ type: "close" });
    await ended;
  }

  #ask(message: Ask): void {
    this.#worker?.postMessage(message);
  }

  async #exchange<T>(
    waiting: Map<number, PromiseWithResolvers<T>>,
    message: Ask & { readonly number: number },
  ): Promise<T> {
    this.#wake();
    await this.#waking?.promise;
    if (this.#worker === undefined) throw stopped();
    const answer = Promise.withResolvers<T>();
    waiting.set(message.number, answer);
    this.#ask(message);
    try {
      return await answer.promise;
    } finally {
      waiting.delete(message.number);
      this.#restLater();
    }
  }

  #restLater(): void {
    clearTimeout(this.#rest);
    if (this.#seen === null || this.#state !== "running") return;
    this.#rest = setTimeout(() => this.#endForNow(), restAfter);
    this.#rest.unref();
  }

  #endForNow(): void {
    const busy = this.#details.size + this.#opens.size + this.#bodies.size > 0;
    if (busy) {
      this.#restLater();
      return;
    }
    if (this.#seen === null || this.#worker === undefined || this.#state !== "running") return;
    this.#state = "resting";
    this.#vigil = keepVigil(this.#seen, () => this.#wake());
    this.#ask({ type: "close" });
  }

  /** Starts the worker again if it rests. */
  #wake(): void {
    if (this.#state !== "resting") return;
    this.#state = "running";
    this.#vigil?.[Symbol.dispose]();
    this.#waking = Promise.withResolvers();
    // Who waits hears of a failure; there may be nobody.
    this.#waking.promise.catch(() => undefined);
    // One that is just ending leaves the records first.
    if (this.#worker === undefined) this.#begin();
  }

  #begin(): void {
    const began = Date.now();
    const worker = this.#options.start();
    this.#worker = worker;
    worker.on("message", (answer: Answer) => this.#take(answer));
    worker.on("error", (error) => {
      // The first start's failure is its caller's to report.
      if (this.#state === "starting") this.#ready.reject(error);
      else this.#options.log(`the video worker failed: ${messageOf(error)}`);
    });
    worker.on("exit", (code) => {
      this.#worker = undefined;
      this.#seen = null;
      // It was to rest, and somebody asked before it had ended: who asked waits for the next one.
      if (code === 0 && this.#waking !== undefined && this.#state === "running") {
        this.#begin();
        return;
      }
      this.#ready.reject(stopped());
      this.#waking?.reject(stopped());
      this.#waking = undefined;
      this.#failAll();
      if (this.#state !== "running") return;
      if (Date.now() - began > longLife) this.#pause = shortestPause;
      this.#restart = setTimeout(() => this.#begin(), this.#pause);
      this.#pause = Math.min(this.#pause * 2, longestPause);
    });
  }

  #take(answer: Answer): void {
    switch (answer.type) {
      case "ready":
        if (this.#state === "starting") this.#state = "running";
        this.#options.onListed(answer.titles);
        this.#ready.resolve();
        this.#waking?.resolve();
        this.#waking = undefined;
        break;
      case "settled":
        this.#seen = answer.seen;
        this.#restLater();
        break;
      case "changed":
        this.#options.onChanged(answer.titles, answer.removed);
        break;
      case "log":
        this.#options.log(answer.line);
        break;
      case "detail":
        this.#details.get(answer.number)?.resolve(answer.detail);
        break;
      case "opened":
        this.#opens.get(answer.number)?.resolve(answer.found);
        break;
      case "chunk":
        this.#bodies.get(answer.number)?.chunk(answer.bytes);
        break;
      case "end":
        this.#bodies.get(answer.number)?.end();
        this.#bodies.delete(answer.number);
        break;
      case "failed":
        this.#fail(answer.number, new SnugError("unavailable", answer.message));
        break;
    }
  }

  #fail(number: number, error: SnugError): void {
    this.#details.get(number)?.reject(error);
    this.#opens.get(number)?.reject(error);
    this.#bodies.get(number)?.fail(error);
    this.#bodies.delete(number);
  }

  #failAll(): void {
    for (const number of [...this.#details.keys(), ...this.#opens.keys(), ...this.#bodies.keys()]) {
      this.#fail(number, stopped());
    }
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
