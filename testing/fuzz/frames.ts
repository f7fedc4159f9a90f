import {
  closeCodes,
  decodeRequest,
  decodeServerFrame,
  type ErrorCode,
  operations,
  type StreamId,
} from "@snug/protocol";
import type { WebSocket } from "ws";
import { patience } from "../patience.ts";
import type { Wire, WireServer } from "../wire.ts";
import { Wire as OpenWire } from "../wire.ts";
import { Chance, caseSeed } from "./chance.ts";
import type { Finding } from "./inProcess.ts";
import { requestOf, sent } from "./targets.ts";
import { marker, type Pool } from "./values.ts";

/** Errors that any operation may answer (docs/spec/protocol.md). Neither `internal` nor `unavailable` is an answer to bad input. */
const always: readonly ErrorCode[] = ["malformed", "unauthenticated", "too-many", "too-large"];
/** Close codes that a bent frame may earn: ours, and those of RFC 6455 for frames that are too large or broken. */
const fitting: ReadonlySet<number> = new Set([...Object.values(closeCodes), 1002, 1007, 1009]);
/** Requests of one connection that wait for their answers. */
const window = 64;
export interface HostileDevice {
  connect(): Promise<Wire>;
  /** What it names in its requests. */
  readonly pool: Pool;
  /** Streams that letters may be for. */
  readonly inboxes: readonly StreamId[];
  /** The last send counter that the server took, by stream. */
  readonly counters: Map<StreamId, number>;
}

export interface FrameCases {
  readonly server: WireServer;
  readonly seed: number;
  /** Case numbers, shared by everybody who takes part. */
  next(): number | null;
  found(finding: Finding): void;
  answered(what: string): void;
}

/** One hostile device: sends frames until there are no more cases. */
export async function sendFrames(of: FrameCases, device: HostileDevice): Promise<void> {
  let talk = await Talk.open(of, device);
  for (let number = of.next(); number !== null; number = of.next()) {
    const seed = caseSeed(of.seed, number);
    const { bytes, request } = frameOf(new Chance(seed), device, number);
    if (request === null) await sendBroken(of, seed, bytes);
    else {
      if (!talk.open) talk = await Talk.open(of, device);
      await talk.ask(seed, bytes, request);
    }
  }
  await talk.end();
}

/** Most frames that the decoder refuses whole are tried without a network; here they are one in six. */
function frameOf(
  chance: Chance,
  { pool, inboxes, counters }: HostileDevice,
  number: number,
): { readonly bytes: Uint8Array; readonly request: Readable | null } {
  const mayBreak = chance.oneIn(6);
  for (;;) {
    const made = requestOf(chance, pool);
    // Any other letter is refused at the first look.
    if (made.name === "submit" && chance.oneIn(2)) {
      const stream = chance.pick(inboxes);
      const counter = (counters.get(stream) ?? 0) + 1;
      Object.assign(made.body as object, {
        stream,
        counter,
        kind: "letter",
        class: "durable",
        expires: null,
      });
    }
    // Half of them as a client numbers them, so that answers can be told apart.
    const bytes = sent(chance.oneIn(2) ? made : { ...made, number }, chance, pool);
    const request = readAsServer(bytes);
    if (request !== null || mayBreak) return { bytes, request };
  }
}

/** A request, or the number of one that is none. */
type Readable = ReturnType<typeof decodeRequest>;

/** What the server's decoder makes of a frame; null when it has to close the connection. */
function readAsServer(bytes: Uint8Array): Readable | null {
  try {
    return decodeRequest(bytes);
  } catch {
    return null;
  }
}

/** A frame that ends a connection takes one of its own, of a stranger. */
async function sendBroken(of: FrameCases, seed: number, bytes: Uint8Array): Promise<void> {
  const wire = await OpenWire.open(of.server);
  wire.socket.send(bytes);
  const code = await Promise.race([wire.closed, timeout(patience)]);
  if (code === null || !fitting.has(code)) report(of, seed, bytes, `closed with ${code ?? "nothing"}`);
  of.answered(`closed ${code}`);
  if (code === null) wire.socket.terminate();
}

/** A signed-in connection with requests under way. */
class Talk {
  readonly #of: FrameCases;
  readonly #device: HostileDevice;
  readonly #wire: WebSocket;
  readonly #closed: Promise<number>;
  readonly #waiting = new Map<number, { seed: number; bytes: Uint8Array; request: Readable }>();
  #wake: () => void = () => undefined;
  #left = false;
  open = true;

  private constructor(of: FrameCases, device: HostileDevice, wire: Wire) {
    this.#of = of;
    this.#device = device;
    this.#wire = wire.socket;
    this.#closed = wire.closed;
    // From here on frames are judged here, not by the careful client below.
    wire.socket.removeAllListeners("message");
    wire.socket.on("message", (data) => this.#receive(data as Buffer));
    // A connection that breaks says so by its close, too.
    wire.socket.on("error", () => undefined);
    wire.socket.once("close", (code) => this.#end(code));
  }

  static async open(of: FrameCases, device: HostileDevice): Promise<Talk> {
    return new Talk(of, device, await device.connect());
  }

  async ask(seed: number, bytes: Uint8Array, request: Readable): Promise<void> {
    // An answer must say which request it is for; one that is under way has the number.
    while (this.open && (this.#waiting.size >= window || this.#waiting.has(request.number)))
      await this.#turn();
    if (!this.open) return;
    this.#waiting.set(request.number, { seed, bytes, request });
    this.#wire.send(bytes);
    if ("error" in request || request.name !== "sign-out") return;
    // Submits run on beside the others: the end may come before their answers.
    this.#left = true;
    await this.#drained();
    this.open = false;
  }

  async end(): Promise<void> {
    await this.#drained();
    this.#left = true;
    this.#wire.terminate();
    await this.#closed;
  }

  async #drained(): Promise<void> {
    while (this.open && this.#waiting.size > 0) await this.#turn();
  }

  /** Resolves at the next answer, or gives up on the connection. */
  async #turn(): Promise<void> {
    const came = new Promise<true>((resolve) => {
      this.#wake = () => resolve(true);
    });
    if ((await Promise.race([came, timeout(patience)])) !== null) return;
    for (const { seed, bytes } of this.#waiting.values()) report(this.#of, seed, bytes, "no answer");
    this.open = false;
    this.#left = true;
    this.#wire.terminate();
  }

  #receive(data: Buffer): void {
    const frame = decodeServerFrame(data);
    if (frame.type === "event" || frame.type === "unknown-event") return;
    const asked = this.#waiting.get(frame.number);
    this.#waiting.delete(frame.number);
    this.#wake();
    if (!asked) {
      report(this.#of, 0, data, `an answer to nothing (${frame.number})`);
      return;
    }
    const { seed, bytes, request } = asked;
    const name = "error" in request ? null : request.name;
    if (data.includes(marker)) report(this.#of, seed, bytes, `repeated in ${frame.type}`);
    if (frame.type === "error") {
      const { code } = frame.error;
      const allowed = name === null ? ["malformed"] : [...always, ...operations[name].errors];
      if (!allowed.includes(code))
        report(this.#of, seed, bytes, `${name} answered ${code}: ${frame.error.message}`);
      this.#of.answered(code);
    } else {
      const fits = name !== null && operations[name].response.safeParse(frame.body).success;
      if (!fits) report(this.#of, seed, bytes, `${name} answered what is not of its form`);
      if ("error" in request || request.name !== "submit") this.#of.answered("ok");
      else {
        this.#of.answered("letter taken");
        this.#device.counters.set(request.body.stream, request.body.counter);
      }
    }
  }

  #end(code: number): void {
    this.open = false;
    const asked = [...this.#waiting.values()];
    if (!this.#left && asked[0])
      report(this.#of, asked[0].seed, asked[0].bytes, `closed with ${code}, not answered`);
    this.#waiting.clear();
    this.#wake();
  }
}

function report(of: FrameCases, seed: number, bytes: Uint8Array, what: string): void {
  const shown = Buffer.from(bytes.subarray(0, 4096)).toString("base64");
  of.found({ target: "frame on the wire", seed, what, bytes: shown });
}

/** null after so many ms; what it races with is the rule. */
export function timeout(ms: number): Promise<null> {
  return new Promise((resolve) => setTimeout(() => resolve(null), ms).unref());
}
