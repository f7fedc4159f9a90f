import {
  type ErrorCode,
  type Hash,
  type MessageId,
  type RequestOf,
  type ResponseOf,
  SnugError,
  type StreamId,
} from "@snug/protocol";
import { letterTo, type Wire } from "./wire.ts";

/** After a refusal the rest is offered again this much later. ms */
const pause = 20;

/** What the server said of one letter, and what it was. */
export interface Acknowledged {
  readonly counter: number;
  readonly seq: number;
  readonly rowHash: Hash;
}

/**
 * One device writing to one stream without waiting: so many submits are in flight at any time, over one connection after
 * another. What was not answered is offered again with the same bytes, in order; what was is remembered. An answer that
 * contradicts an earlier one is thrown where nobody catches it: it ends the process.
 */
export class Submitter {
  readonly stream: StreamId;
  readonly acknowledged = new Map<MessageId, Acknowledged>();
  /** How often each refusal came. */
  readonly refusals = new Map<ErrorCode, number>();
  /** Called at each acknowledgement, when it arrives. */
  onAcknowledged: () => void = () => undefined;
  readonly #window: number;
  readonly #bytes: number;
  /** In the order of their counters; the first `#sent` of them are on their way. */
  readonly #unanswered: RequestOf<"submit">[] = [];
  #wire: Wire | null = null;
  #counter = 0;
  #most = 0;
  #sent = 0;
  #flying = 0;
  #refused = false;
  #ending: (() => void) | null = null;

  constructor(stream: StreamId, of: { readonly window: number; readonly bytes: number }) {
    this.stream = stream;
    this.#window = of.window;
    this.#bytes = of.bytes;
  }

  /** Submits that wait for an answer. */
  get inFlight(): number {
    return this.#flying;
  }

  /** Goes on over a new connection. */
  connect(wire: Wire): void {
    this.#wire = wire;
    this.#sent = 0;
    this.#flying = 0;
    this.#refused = false;
    this.#pump(wire);
  }

  /** The connection is gone. */
  disconnect(): void {
    this.#wire = null;
    this.#flying = 0;
  }

  /** Writes so many letters more. */
  write(count: number): void {
    this.#most = this.#counter + count;
    if (this.#wire) this.#pump(this.#wire);
  }

  /** Writes nothing new. Resolves when everything written was acknowledged. */
  end(): Promise<void> {
    this.#most = 0;
    return new Promise((resolve) => {
      this.#ending = resolve;
      if (this.#unanswered.length === 0) resolve();
    });
  }

  #pump(wire: Wire): void {
    while (this.#wire === wire && !this.#refused && this.#flying < this.#window) {
      if (this.#sent === this.#unanswered.length) {
        if (this.#counter >= this.#most) return;
        const sealed = crypto.getRandomValues(new Uint8Array(this.#bytes));
        this.#unanswered.push(letterTo(this.stream, ++this.#counter, sealed));
      }
      const letter = this.#unanswered[this.#sent];
      if (!letter) return;
      this.#sent++;
      this.#flying++;
      wire.request("submit", letter).then(
        (answer) => this.#answered(wire, letter, answer),
        (error: unknown) => this.#failed(wire, letter, error),
      );
    }
  }

  #answered(wire: Wire, letter: RequestOf<"submit">, { seq, rowHash }: ResponseOf<"submit">): void {
    const { id, counter } = letter;
    this.acknowledged.set(id, { counter, seq, rowHash });
    this.#unanswered.splice(this.#unanswered.indexOf(letter), 1);
    this.onAcknowledged();
    if (this.#unanswered.length === 0) this.#ending?.();
    if (this.#wire !== wire) return;
    this.#sent--;
    this.#flying--;
    this.#goOn(wire);
  }

  #failed(wire: Wire, letter: RequestOf<"submit">, error: unknown): void {
    if (this.#wire !== wire || wire.socket.readyState !== wire.socket.OPEN) return;
    const code = error instanceof SnugError ? error.code : "internal";
    // Nothing is under way before the first: the server does not know what it has acknowledged.
    const first = letter === this.#unanswered[0];
    if (first && (code === "out-of-order" || code === "id-conflict")) throw error;
    this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1);
    this.#refused = true;
    this.#flying--;
    this.#goOn(wire);
  }

  /** Behind a refusal the counters of all that follow are wrong: once everything is answered it is offered anew. */
  #goOn(wire: Wire): void {
    if (!this.#refused) this.#pump(wire);
    else if (this.#flying === 0) {
      setTimeout(() => {
        if (this.#wire !== wire) return;
        this.#refused = false;
        this.#sent = 0;
        this.#pump(wire);
      }, pause);
    }
  }
}
