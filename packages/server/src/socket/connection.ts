import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import {
  closeCodes,
  decodeRequest,
  encodeError,
  encodeEvent,
  encodeResponse,
  limits,
  protocolVersion,
  type Request,
  type Row,
  SnugError,
  type StreamId,
} from "@snug/protocol";
import type { RawData, WebSocket } from "ws";
import { BroughtStatements } from "../restoring.ts";
import type { Principal, Room } from "../room.ts";
import { isFault } from "../store/faults.ts";
import type { Present } from "./connections.ts";
import { handlers, restoreStatements } from "./handlers.ts";
import { signIn } from "./signIn.ts";
import { Subscription } from "./subscription.ts";

/** Room that must be there before a request is taken: most answers fit into it. */
const roomForAnswer = limits.buffered / 2;
/** Frames of one connection that wait to be looked at, and their bytes; above either nothing more is read from it. */
const waitingFrames = 64;
const waitingBytes: number = limits.frame;
/** Submits of one connection that are on their way to the disk, and their bytes. */
const submitsAtOnce = 512;
const submittedBytes: number = 4 * limits.frame;
/** Time that the other side has to answer a close. ms */
const farewell = 1000;
/**
 * Moved cursors of one connection are answered this far apart: who says the next only after the answer (C17) says it
 * for all that came meanwhile. Each costs as much as a letter, and the senders are told of it. ms
 */
const cursorPace = 100;
/** So many of these answers wait at most. */
const cursorAnswers = 64;

type State =
  | { readonly is: "awaiting-sign-in"; readonly nonce: Uint8Array; readonly limit: NodeJS.Timeout }
  | { readonly is: "live"; readonly principal: Principal; subscription: Subscription | null }
  | { readonly is: "closed" };

/** One device's WebSocket: awaiting sign-in → live → closed. */
export class Connection implements Present {
  readonly brought: BroughtStatements = new BroughtStatements();
  readonly #room: Room;
  readonly #socket: WebSocket;
  readonly #raw: Duplex;
  readonly #report: (cause: unknown) => void;
  readonly #signedIn: () => void;
  #state: State;
  #frames: Uint8Array[] = [];
  #frameBytes = 0;
  #working = false;
  #submits = 0;
  #submitBytes = 0;
  #corked = false;
  #answered = true;
  /** Numbers of moved cursors whose answers wait; null when the next one may be answered at once. */
  #cursors: number[] | null = null;
  #why: keyof typeof closeCodes | undefined;
  #wake: (() => void)[] = [];

  readonly came: number;

  /** `raw` is the stream below; `report` takes faults of ours; `signedIn` is called once, when it is. */
  constructor(
    socket: WebSocket,
    raw: Duplex,
    of: { room: Room; report: (cause: unknown) => void; signedIn: () => void },
  ) {
    this.#room = of.room;
    this.came = of.room.connections.count();
    this.#socket = socket;
    this.#raw = raw;
    this.#report = of.report;
    this.#signedIn = of.signedIn;
    const nonce = new Uint8Array(randomBytes(32));
    const limit = setTimeout(() => this.close("tooSlowToSignIn"), limits.authenticate);
    this.#state = { is: "awaiting-sign-in", nonce, limit };
    socket.on("message", (data, isBinary) => this.#receive(data, isBinary));
    socket.on("pong", () => {
      this.#answered = true;
    });
    // ws has begun to close the connection, with the fitting code of RFC 6455.
    socket.on("error", () => this.#endSoon());
    socket.on("close", () => this.#end());
    const { server } = this.#room.log.directory;
    const { incarnation } = this.#room.store;
    const restoring = this.#room.restoring.active;
    this.push(encodeEvent("hello", { versions: [protocolVersion], server, incarnation, nonce, restoring }));
  }

  /** Why this side closed; undefined when the other did, or the line broke. */
  get why(): keyof typeof closeCodes | undefined {
    return this.#why;
  }

  /** Sends a frame that nobody asked for. Who doesn't read is let go before memory fills. */
  push(frame: Uint8Array): void {
    if (this.#state.is === "closed") return;
    if (!this.#hasRoom(frame.length)) {
      this.close("readsTooSlowly");
      return;
    }
    this.#write(frame);
  }

  /** Rows of a stream of this account were stored. */
  appended(rows: readonly Row[]): void {
    if (this.#state.is !== "live") return;
    const { subscription } = this.#state;
    if (subscription?.stream === rows[0]?.stream && subscription?.appended(rows))
      this.#backfill(subscription);
  }

  /** Starts delivering a stream from a cursor; one stream at a time, the account's inbox. */
  subscribe(stream: StreamId, after: number): void {
    if (this.#state.is !== "live") return;
    this.#state.subscription?.end();
    const { store } = this.#room;
    const current = (): boolean => this.#state.is === "live" && this.#state.subscription === subscription;
    const subscription = new Subscription(stream, after, {
      read: (of, from, bytes) => store.rows(of, from, bytes),
      send: async (frame) => {
        await this.#roomFor(frame.length, current);
        if (!current()) return false;
        this.#write(frame);
        return true;
      },
      sendNow: (frame) => {
        if (!this.#hasRoom(frame.length)) return false;
        this.#write(frame);
        return true;
      },
    });
    this.#state.subscription = subscription;
    // Rows that waited for the former one's reader are let go: asking again must not pile them up.
    for (const wake of this.#wake.splice(0)) wake();
    this.#backfill(subscription);
  }

  /** Ends the connection with one of the protocol's codes; presence and subscriptions end now. */
  close(why: keyof typeof closeCodes): void {
    if (this.#state.is === "closed") return;
    this.#why = why;
    this.#socket.close(closeCodes[why], why);
    this.#endSoon();
  }

  /** Called every `limits.ping`: a link that has not answered the last one is dead, a device may have had its day. */
  ping(): void {
    if (this.#state.is === "live") {
      const { account, device } = this.#state.principal;
      if (!this.#room.log.isActive(account, device, this.#room.now())) {
        this.close("signedOut");
        return;
      }
    }
    if (!this.#answered) {
      this.#socket.terminate();
      return;
    }
    this.#answered = false;
    this.#socket.ping();
  }

  #endSoon(): void {
    setTimeout(() => this.#socket.terminate(), farewell).unref();
    this.#end();
  }

  #backfill(subscription: Subscription): void {
    subscription.backfill().catch((cause: unknown) => {
      this.#report(cause);
      this.#socket.terminate();
    });
  }

  #end(): void {
    const state = this.#state;
    this.#state = { is: "closed" };
    this.#frames = [];
    for (const wake of this.#wake.splice(0)) wake();
    if (state.is === "awaiting-sign-in") clearTimeout(state.limit);
    if (state.is !== "live") return;
    state.subscription?.end();
    this.#room.connections.remove(this, state.principal.account, state.principal.device);
  }

  /** Frames of a tick leave together. */
  #write(frame: Uint8Array): void {
    if (!this.#corked) {
      this.#corked = true;
      this.#raw.cork();
      setImmediate(() => {
        this.#corked = false;
        this.#raw.uncork();
      });
    }
    this.#socket.send(frame, () => {
      for (const wake of this.#wake.splice(0)) wake();
    });
  }

  #hasRoom(bytes: number): boolean {
    const buffered = this.#socket.bufferedAmount;
    return buffered === 0 || buffered + bytes <= limits.buffered;
  }

  /** Resolves when there is room, or when it is `wanted` no longer. */
  async #roomFor(bytes: number, wanted: () => boolean = () => this.#state.is !== "closed"): Promise<void> {
    while (wanted() && !this.#hasRoom(bytes)) {
      const limit = setTimeout(() => this.close("readsTooSlowly"), limits.stalled);
      await new Promise<void>((resolve) => this.#wake.push(resolve));
      clearTimeout(limit);
    }
  }

  #receive(data: RawData, isBinary: boolean): void {
    if (this.#state.is === "closed") return;
    if (!isBinary || !(data instanceof Uint8Array)) {
      this.close("malformed");
      return;
    }
    this.#frames.push(data);
    this.#frameBytes += data.length;
    if (!this.#hasRoomForFrames()) this.#socket.pause();
    if (!this.#working) this.#work().catch(this.#report);
  }

  #hasRoomForFrames(): boolean {
    return this.#frames.length < waitingFrames && this.#frameBytes < waitingBytes;
  }

  /** Requests are taken in order, and answered before the next one is taken; only submits run on. */
  async #work(): Promise<void> {
    this.#working = true;
    for (let frame = this.#frames.shift(); frame; frame = this.#frames.shift()) {
      this.#frameBytes -= frame.length;
      if (this.#socket.isPaused && this.#hasRoomForFrames()) this.#socket.resume();
      await this.#roomFor(roomForAnswer);
      const pause = this.#pauseBefore(frame);
      if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause).unref());
      if (this.#state.is !== "closed") await this.#take(frame);
    }
    this.#working = false;
  }

  /** Who asks too much waits here, and is read no further when frames pile up: nothing is refused, nothing gets lost. */
  #pauseBefore({ length }: Uint8Array): number {
    return this.#state.is === "live" ? this.#room.rates.pause(this.#state.principal.device, length) : 0;
  }

  async #take(frame: Uint8Array): Promise<void> {
    let request: ReturnType<typeof decodeRequest>;
    try {
      request = decodeRequest(frame);
    } catch (cause) {
      if (!(cause instanceof SnugError)) throw cause;
      this.close("malformed");
      return;
    }
    if ("error" in request) {
      this.#answerError(request.number, request.error);
      return;
    }
    if (this.#state.is === "awaiting-sign-in") await this.#signIn(request, this.#state);
    else if (this.#state.is === "live") await this.#answer(request, this.#state.principal);
  }

  async #answer(request: Request, principal: Principal): Promise<void> {
    const answer = this.#handle(request, principal);
    if (request.name !== "submit") return answer;
    const { length } = request.body.sealed;
    this.#submits++;
    this.#submitBytes += length;
    const done = answer.finally(() => {
      this.#submits--;
      this.#submitBytes -= length;
    });
    if (this.#submits >= submitsAtOnce || this.#submitBytes >= submittedBytes) return done;
    done.catch(this.#report);
  }

  async #handle(request: Request, principal: Principal): Promise<void> {
    const { number, name, body } = request;
    try {
      if (name === "sign-in") throw new SnugError("malformed", "this connection is signed in already");
      this.#room.rates.check(name, principal.device);
      const handler = handlers[name] as (
        of: { room: Room; principal: Principal; connection: Connection },
        body: unknown,
      ) => Promise<unknown>;
      const answer = await handler({ room: this.#room, principal, connection: this }, body);
      if (name === "stream-cursor") this.#answerCursor(number);
      else if (this.#state.is !== "closed") this.#write(encodeResponse(number, answer));
      if (name === "sign-out") this.close("signedOut");
    } catch (cause) {
      if (isFault(cause)) this.#report(cause);
      const error =
        cause instanceof SnugError
          ? cause
          : new SnugError("internal", "the server failed; it has been logged");
      this.#answerError(number, error);
    }
  }

  #answerCursor(number: number): void {
    if (this.#cursors && this.#cursors.length < cursorAnswers) this.#cursors.push(number);
    else this.#answerCursors([number]);
  }

  #answerCursors(numbers: readonly number[]): void {
    if (this.#state.is === "closed") return;
    for (const number of numbers) this.#write(encodeResponse(number, {}));
    if (this.#cursors) return;
    this.#cursors = [];
    setTimeout(() => {
      const waited = this.#cursors ?? [];
      this.#cursors = null;
      if (waited.length > 0) this.#answerCursors(waited);
    }, cursorPace).unref();
  }

  async #signIn(request: Request, state: Extract<State, { is: "awaiting-sign-in" }>): Promise<void> {
    try {
      if (request.name === "restore-statements" && this.#room.restoring.restored) {
        const answer = await restoreStatements(this.#room, this.brought, request.body);
        // Who shows what only members have is given time for the next.
        if (this.#state === state) state.limit.refresh();
        if (this.#state === state) this.#write(encodeResponse(request.number, answer));
        return;
      }
      if (request.name !== "sign-in") throw new SnugError("unauthenticated", "sign in first");
      // From here on it is we who are slow.
      clearTimeout(state.limit);
      const { principal, respond } = await signIn(this.#room, state.nonce, request.body);
      if (this.#state !== state) return;
      this.#state = { is: "live", principal, subscription: null };
      this.#signedIn();
      this.#room.connections.add(this, principal.account, principal.device);
      if (this.#why !== undefined) return;
      // After the directory was looked at for the last time and before anything else can be pushed.
      this.#write(encodeResponse(request.number, respond()));
      this.#room.connections.greet(this);
    } catch (cause) {
      if (!(cause instanceof SnugError)) {
        this.#socket.terminate();
        throw cause;
      }
      this.#answerError(request.number, cause);
      // What can't be brought back is said; who it comes from may still sign in.
      const bringing = request.name === "restore-statements" && cause.code !== "unauthenticated";
      if (!bringing) this.close("unauthenticated");
    }
  }

  #answerError(number: number, error: SnugError): void {
    this.#room.metrics.refused.count(error.code);
    if (this.#state.is !== "closed") this.#write(encodeError(number, error));
  }
}
