import { signSignIn } from "@snug/crypto/sealing";
import {
  type AccountId,
  closeCodes,
  type DirectoryEntry,
  decodeRequest,
  decodeServerFrame,
  type EventName,
  type EventOf,
  encodeError,
  encodeEvent,
  encodeRequest,
  encodeResponse,
  Hash,
  limits,
  operations,
  type Request,
  type RequestOf,
  type ResponseOf,
  type Row,
  type ServerFrame,
  SnugError,
  type SocketOperation,
  type StreamId,
  signInBytes,
} from "@snug/protocol";
import { WebSocket } from "ws";
import type { Puppet, TamperedInbox, TamperedLog } from "./tamperedLog.ts";

/** What the sessions of a tampering server share. */
export interface Stage {
  readonly log: TamperedLog;
  readonly puppets: ReadonlyMap<AccountId, Puppet>;
  /** Where clients find the tampering server, for the invites that they make. */
  readonly origin: string;
  inbox(stream: StreamId): TamperedInbox;
  /** One frame is dealt with after another, whoever it is from or for. */
  run(work: () => Promise<void>): void;
  /** New statements were taken over from the true server. */
  grown(entries: readonly DirectoryEntry[]): Promise<void>;
  /** What becomes of an answer to somebody. */
  answer(account: AccountId, name: SocketOperation, body: unknown): unknown;
  /** What a connection is greeted with. */
  greeting(hello: EventOf<"hello">): EventOf<"hello">;
  /** Whether somebody is not told of something. */
  keepsBack(account: AccountId, name: EventName): boolean;
  /** Whether somebody is told that their device was ended. */
  expels(account: AccountId): boolean;
  /** Whether a letter of somebody is acknowledged and thrown away. */
  swallows(account: AccountId, letter: RequestOf<"submit">): boolean;
  ended(session: TamperedSession): void;
}

/** Requests of our own on a client's connection to the true server count from here. */
const firstOwn = 0x8000_0000;

/** One client's connection, and ours in its name to the true server. */
export class TamperedSession {
  account: AccountId | null = null;
  readonly #stage: Stage;
  readonly #near: WebSocket;
  readonly #far: WebSocket;
  readonly #early: Uint8Array[] = [];
  readonly #asked = new Map<number, Request>();
  readonly #own = new Map<number, PromiseWithResolvers<unknown>>();
  #nextOwn = firstOwn;
  #isOver = false;
  #hello: Parameters<typeof signInBytes>[0] | null = null;
  /** The inbox that is delivered over this connection, and the question whose answer waits for all that is there. */
  #reading: TamperedInbox | null = null;
  #waiting: { readonly number: number; readonly head: number; readonly after: number } | null = null;

  constructor(stage: Stage, near: WebSocket, far: WebSocket) {
    this.#stage = stage;
    this.#near = near;
    this.#far = far;
    near.on("message", (data) => this.#run(() => this.#fromClient(data as Buffer)));
    far.on("message", (data) => this.#fromServer(data as Buffer));
    far.on("open", () => {
      for (const frame of this.#early.splice(0)) far.send(frame);
    });
    near.on("close", () => this.#end());
    far.on("close", (code, reason) => {
      // What came before the close is dealt with first.
      stage.run(async () => {
        if (code === 1005 || code === 1006) near.terminate();
        else near.close(code, reason);
        this.#end();
      });
    });
    for (const socket of [near, far]) socket.on("error", () => this.#end());
  }

  get isReading(): boolean {
    return this.#reading !== null && this.#waiting === null;
  }

  /** Ends the connection as a network does: the client comes back by itself. */
  hangUp(): void {
    this.#end();
  }

  /** Ends the connection as a server does that has ended the device. */
  expel(): void {
    this.#near.close(closeCodes.signedOut, "signedOut");
  }

  send(frame: Uint8Array): void {
    if (this.#near.readyState === WebSocket.OPEN) this.#near.send(frame);
  }

  /** Rows at the end of an inbox go to whoever reads it here. */
  deliver(inbox: TamperedInbox, rows: readonly Row[]): void {
    if (this.#reading !== inbox || this.#waiting) return;
    for (let at = 0; at < rows.length; at += limits.rowBatch) {
      this.send(encodeEvent("rows", { stream: inbox.stream, rows: rows.slice(at, at + limits.rowBatch) }));
    }
  }

  /** Whoever hangs up in the middle of it leaves work that can't be done: no fault of anybody's. */
  #run(work: () => Promise<void>): void {
    this.#stage.run(() =>
      work().catch((error: unknown) => {
        if (!this.#isOver) throw error;
      }),
    );
  }

  #end(): void {
    this.#isOver = true;
    this.#near.terminate();
    this.#far.terminate();
    for (const { reject } of this.#own.values()) reject(new Error("the true server is gone"));
    this.#own.clear();
    this.#stage.ended(this);
  }

  async #fromClient(bytes: Uint8Array): Promise<void> {
    const request = decodeRequest(bytes);
    if ("error" in request) return this.#pass(bytes);
    switch (request.name) {
      case "sign-in":
        return this.#signIn(request.number, request.body);
      case "directory-read":
        return this.#readDirectory(request.number, request.body.from);
      case "stream-read":
        return this.#readStream(request);
      case "stream-cursor": {
        const inbox = this.#stage.inbox(request.body.stream);
        const body = { ...request.body, seq: inbox.trueCursor(request.body.seq) };
        return this.#ask({ ...request, body });
      }
      case "submit":
        if (this.account && this.#stage.swallows(this.account, request.body)) {
          const lie = { seq: 1, rowHash: randomHash(), accepted: Date.now() };
          return this.send(encodeResponse(request.number, lie));
        }
        return this.#ask(request);
      default:
        return this.#ask(request);
    }
  }

  #pass(bytes: Uint8Array): void {
    if (this.#far.readyState === WebSocket.CONNECTING) this.#early.push(bytes);
    else if (this.#far.readyState === WebSocket.OPEN) this.#far.send(bytes);
  }

  #ask(request: Request): void {
    this.#asked.set(request.number, request);
    this.#pass(encodeRequest(request));
  }

  /** A request of ours, in the client's name. */
  async #request<N extends SocketOperation>(name: N, body: RequestOf<N>): Promise<ResponseOf<N>> {
    const number = this.#nextOwn++;
    const answer = Promise.withResolvers<unknown>();
    this.#own.set(number, answer);
    this.#pass(encodeRequest({ number, name, body } as Request));
    return operations[name].response.parse(await answer.promise) as ResponseOf<N>;
  }

  async #signIn(number: number, body: RequestOf<"sign-in">): Promise<void> {
    this.account = body.account;
    if (this.#stage.expels(body.account)) {
      this.send(encodeError(number, new SnugError("unauthenticated", "unknown device")));
      this.#near.close(closeCodes.unauthenticated, "unauthenticated");
      return;
    }
    const puppet = this.#stage.puppets.get(body.account);
    if (!puppet || !this.#hello) return this.#ask({ number, name: "sign-in", body });
    // Somebody whose join was forged is signed in as who was put in their place.
    const { account, device, keys } = puppet.created;
    const signature = await signSignIn({ key: keys.device, bytes: signInBytes({ ...this.#hello, device }) });
    this.#ask({ number, name: "sign-in", body: { ...body, account, device, signature } });
  }

  async #readDirectory(number: number, from: number): Promise<void> {
    const { account } = this;
    if (!account) return;
    const shown = this.#stage.log.shownTo(account);
    const body: ResponseOf<"directory-read"> = {
      from,
      entries: shown.slice(from, from + limits.directoryPage),
      size: shown.length,
      checkpoint: await this.#stage.log.checkpoint(shown),
    };
    this.send(encodeResponse(number, this.#stage.answer(account, "directory-read", body)));
  }

  #readStream(request: Extract<Request, { name: "stream-read" }>): void {
    const inbox = this.#stage.inbox(request.body.stream);
    this.#reading = inbox;
    this.#waiting = { number: request.number, head: Number.POSITIVE_INFINITY, after: request.body.after };
    const { stream, incarnation } = request.body;
    this.#ask({ ...request, body: { stream, incarnation, after: inbox.taken } });
  }

  #fromServer(bytes: Uint8Array): void {
    const frame = decodeServerFrame(bytes);
    const own = "number" in frame ? this.#own.get(frame.number) : undefined;
    if (own && "number" in frame) {
      this.#own.delete(frame.number);
      if (frame.type === "error") own.reject(frame.error);
      else own.resolve(frame.body);
      return;
    }
    this.#run(() => this.#take(frame, bytes));
  }

  async #take(frame: ServerFrame, bytes: Uint8Array): Promise<void> {
    if (frame.type === "event") return this.#event(frame.event, bytes);
    if (frame.type === "unknown-event") return this.send(bytes);
    const request = this.#asked.get(frame.number);
    this.#asked.delete(frame.number);
    if (frame.type === "error" || !request || !this.account) return this.send(bytes);
    if (request.name === "stream-read" && this.#waiting) {
      const { head } = operations["stream-read"].response.parse(frame.body);
      this.#waiting = { ...this.#waiting, head };
      return this.#caughtUp();
    }
    let body = frame.body;
    if (request.name === "sign-in") {
      await this.#readLog();
      const signed = operations["sign-in"].response.parse(body);
      const checkpoint = await this.#stage.log.checkpoint(this.#stage.log.shownTo(this.account));
      body = { ...signed, checkpoint, addresses: [this.#stage.origin] };
    }
    this.send(encodeResponse(frame.number, this.#stage.answer(this.account, request.name, body)));
  }

  async #event(event: Extract<ServerFrame, { type: "event" }>["event"], bytes: Uint8Array): Promise<void> {
    if (event.name === "directory") {
      return this.#stage.grown(this.#stage.log.take(event.body.from, event.body.entries));
    }
    if (event.name === "rows") {
      const inbox = this.#stage.inbox(event.body.stream);
      const made: Row[] = [];
      for (const row of event.body.rows) made.push(...(await inbox.take(row)));
      this.deliver(inbox, made);
      return this.#caughtUp();
    }
    if (event.name === "hello") {
      this.#hello = { ...event.body, device: "" as never };
      this.send(encodeEvent("hello", this.#stage.greeting(event.body)));
      return;
    }
    if (this.account && this.#stage.keepsBack(this.account, event.name)) return;
    this.send(bytes);
  }

  /** Answers the question for the inbox once everything that waited for it has been taken over. */
  #caughtUp(): void {
    const inbox = this.#reading;
    if (!this.#waiting || !inbox || inbox.taken < this.#waiting.head) return;
    const { number, after } = this.#waiting;
    this.#waiting = null;
    this.send(encodeResponse(number, { head: inbox.shown.length }));
    this.deliver(
      inbox,
      inbox.shown.slice(after).map(({ row }) => row),
    );
  }

  async #readLog(): Promise<void> {
    const { log } = this.#stage;
    for (;;) {
      const page = await this.#request("directory-read", { from: log.taken });
      await this.#stage.grown(log.take(page.from, page.entries));
      if (log.taken >= page.size) return;
    }
  }
}

function randomHash(): Hash {
  return Hash.parse(
    crypto.getRandomValues(new Uint8Array(32)).toBase64({ alphabet: "base64url", omitPadding: true }),
  );
}
