import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, createServer as createFront, type Server, type Socket } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import type { Directory } from "@snug/crypto/identity";
import { createAccount } from "@snug/crypto/sealing";
import {
  AccountId,
  type DirectoryEntry,
  decodeInviteLink,
  decodeStatement,
  type EventName,
  type EventOf,
  encodeEvent,
  encodeInviteLink,
  fromBase64url,
  operations,
  type RequestOf,
  type Row,
  type SocketOperation,
  type StreamId,
  sha256,
  socketPath,
  subprotocol,
  toBase64url,
} from "@snug/protocol";
import { WebSocket, WebSocketServer } from "ws";
import { readLogKeys } from "../packages/server/src/logKey.ts";
import { eventually } from "./browser.ts";
import { type Changed, passChanged, passOn } from "./passOn.ts";
import type { ServedServer } from "./served.ts";
import { type DirectoryLie, type Puppet, type RowLie, TamperedInbox, TamperedLog } from "./tamperedLog.ts";
import { TamperedSession } from "./tamperedSession.ts";

/** The first byte of a TLS handshake (RFC 8446 §5.1). */
const tlsHandshake = 0x16;

type AnswerLie = (name: SocketOperation, body: unknown) => unknown;
/** What becomes of an answer by HTTP to a GET of a path; null: it has no end. */
type HttpLie = (path: string, answer: string) => string | null;

/**
 * The most dishonest server there can be: it stands where the true one is looked for, and has all that it has: its TLS
 * key, the log's private key, every row and statement. It is honest until it is told a lie, and again after `confess`,
 * but for what can't be taken back: what it has shown.
 */
export class TamperingServer implements AsyncDisposable {
  readonly log: TamperedLog;
  readonly port: number;
  readonly #served: ServedServer;
  readonly #fronts: readonly Server[];
  readonly #sessions = new Set<TamperedSession>();
  readonly #inboxes = new Map<StreamId, TamperedInbox>();
  readonly #puppets = new Map<AccountId, Puppet>();
  readonly #answers = new Map<AccountId, AnswerLie>();
  readonly #swallowed = new Map<AccountId, (letter: RequestOf<"submit">) => boolean>();
  readonly #keptBack = new Map<AccountId, EventName>();
  readonly #expelled = new Set<AccountId>();
  readonly #sockets = new Set<Socket>();
  #greeting: (hello: EventOf<"hello">) => EventOf<"hello"> = (hello) => hello;
  #httpLie: HttpLie | null = null;
  #forgesJoins = false;
  #newcomersSee:
    | ((entries: readonly DirectoryEntry[], newcomer: AccountId) => readonly DirectoryEntry[])
    | null = null;
  #turn: Promise<void> = Promise.resolve();
  /** The first fault of its own: a test that goes wrong by it says so. */
  fault: unknown = null;
  /** Answers without an end that somebody stopped reading. */
  cutOff = 0;

  private constructor(
    served: ServedServer,
    log: TamperedLog,
    front: Server,
    tls: { cert: string; key: string },
  ) {
    this.#served = served;
    this.log = log;
    this.port = (front.address() as AddressInfo).port;
    const plain = createServer((request, response) => this.#http(request, response));
    const secure = createTlsServer(tls, (request, response) => this.#http(request, response));
    const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: 2 ** 20 });
    for (const server of [plain, secure]) {
      server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
        sockets.handleUpgrade(request, socket, head, (near) => this.#session(near));
      });
    }
    secure.on("tlsClientError", (_cause, socket) => socket.destroy());
    front.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => socket.destroy());
      socket.once("readable", () => {
        const first: Buffer | null = socket.read(1);
        if (first === null) return;
        socket.unshift(first);
        (first[0] === tlsHandshake ? secure : plain).emit("connection", socket);
      });
    });
    this.#fronts = [front];
  }

  /** Takes the place of a served Snug, with everything that lies in its data folder. */
  static async before(served: ServedServer): Promise<TamperingServer> {
    const data = join(served.folder, "data");
    const read = (name: string) => readFile(join(data, "tls", name), "utf8");
    const tls = {
      cert: `${await read("server.crt")}\n${await read("authority.crt")}`,
      key: await read("server.key"),
    };
    const { server, held } = await readLogKeys(join(data, "keys"));
    const [key] = held;
    assert.ok(key);
    const log = new TamperedLog({ server, ...key });
    const front = createFront({ noDelay: true }).listen(0, "127.0.0.1");
    await once(front, "listening");
    return new TamperingServer(served, log, front, tls);
  }

  get origin(): string {
    return `https://localhost:${this.port}`;
  }

  /** The true server's link, leading here. */
  link(link: string): string {
    return encodeInviteLink({ ...decodeInviteLink(link), addresses: [this.origin] });
  }

  /** Who somebody is that has joined. */
  async account(name: string): Promise<AccountId> {
    const account = (await this.directory()).names.get(name.toLowerCase());
    assert.ok(account, `${name} has joined`);
    return account;
  }

  directory(): Promise<Directory> {
    return this.log.replay();
  }

  async inboxOf(account: AccountId): Promise<TamperedInbox> {
    const { entries } = this.log;
    const [founded] = (
      await Promise.all(entries.map(async (entry) => ({ entry, is: await isGenesisOf(entry, account) })))
    ).filter(({ is }) => is);
    const stream = founded?.entry.inbox;
    assert.ok(stream);
    return this.#inbox(stream);
  }

  /** Shows somebody another directory than it holds, from now on. */
  directoryFor(account: AccountId, lie: DirectoryLie): Promise<void> {
    return this.#do(async () => {
      this.log.lie(account, lie);
      await this.#nudge(account);
    });
  }

  /** Puts a statement into the log that everybody is shown. */
  append(statement: Uint8Array<ArrayBuffer>): Promise<void> {
    return this.#do(async () => {
      const entry = { statement, inbox: null };
      this.log.entries.push(entry);
      await this.#grown([entry]);
    });
  }

  /** What becomes of each letter on its way to somebody. */
  async rowsFor(account: AccountId, lie: RowLie): Promise<void> {
    const inbox = await this.inboxOf(account);
    inbox.lie = lie;
  }

  /** One more row for somebody, in due form, whatever it is. */
  async deliver(account: AccountId, row: Row): Promise<void> {
    const inbox = await this.inboxOf(account);
    await this.#do(async () => {
      const made = await inbox.append(row);
      for (const session of this.#sessions) session.deliver(inbox, [made]);
    });
  }

  /** Tells somebody something unasked. */
  tell<N extends EventName>(account: AccountId, name: N, body: EventOf<N>): Promise<void> {
    return this.send(account, encodeEvent(name, body));
  }

  /** Sends somebody bytes that may be no frame. */
  send(account: AccountId, bytes: Uint8Array): Promise<void> {
    return this.#do(async () => {
      for (const session of this.#of(account)) session.send(bytes);
    });
  }

  /** Changes answers to somebody, by operation. */
  answersFor(account: AccountId, lie: AnswerLie): void {
    this.#answers.set(account, lie);
  }

  /** Changes answers about the library to everybody. */
  libraryAnswers(lie: HttpLie): void {
    this.#httpLie = lie;
  }

  /** Greets every new connection with something else. */
  greetWith(greeting: (hello: EventOf<"hello">) => EventOf<"hello">): void {
    this.#greeting = greeting;
  }

  /** Doesn't tell somebody of something. */
  keepBack(account: AccountId, name: EventName): void {
    this.#keptBack.set(account, name);
  }

  /** Tells somebody that their device was ended, which no statement says. */
  expel(account: AccountId): void {
    this.#expelled.add(account);
    for (const session of this.#of(account)) session.expel();
  }

  /** Acknowledges letters of somebody and throws them away. */
  swallow(account: AccountId, which: (letter: RequestOf<"submit">) => boolean): void {
    this.#swallowed.set(account, which);
  }

  /** Puts keys of its own into the place of whoever joins from now on, and lets them believe that all went well. */
  forgeJoins(): void {
    this.#forgesJoins = true;
  }

  /** Shows whoever joins from now on another directory, from their first question on. */
  newcomersSee(
    lie: (entries: readonly DirectoryEntry[], newcomer: AccountId) => readonly DirectoryEntry[],
  ): void {
    this.#newcomersSee = lie;
  }

  /** Takes the newest rows back that somebody was shown, as an old database would; gives the way to bring them back. */
  async rewind(account: AccountId, rows: number): Promise<() => void> {
    const { shown } = await this.inboxOf(account);
    const lost = shown.splice(shown.length - rows);
    return () => {
      shown.push(...lost);
    };
  }

  /** Resolves once somebody has come back over a new connection and reads their inbox. */
  async cameBack(account: AccountId, from: readonly TamperedSession[]): Promise<void> {
    await eventually("a new connection", () =>
      this.sessionsOf(account).some((session) => !from.includes(session) && session.isReading),
    );
  }

  sessionsOf(account: AccountId): readonly TamperedSession[] {
    return this.#of(account);
  }

  /** Ends somebody's connection, who comes back by themselves. */
  hangUp(account: AccountId): void {
    for (const session of this.#of(account)) session.hangUp();
  }

  /** No more lies. What was shown stays shown. */
  async confess(): Promise<void> {
    this.log.confess();
    for (const inbox of this.#inboxes.values()) inbox.lie = (row) => [row];
    this.#answers.clear();
    this.#swallowed.clear();
    this.#keptBack.clear();
    this.#expelled.clear();
    this.#greeting = (hello) => hello;
    this.#httpLie = null;
    this.#forgesJoins = false;
    this.#newcomersSee = null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#sessions) session.hangUp();
    for (const socket of this.#sockets) socket.destroy();
    for (const front of this.#fronts) await new Promise((resolve) => front.close(resolve));
    await this.#turn;
  }

  #of(account: AccountId): TamperedSession[] {
    return [...this.#sessions].filter((session) => session.account === account);
  }

  #inbox(stream: StreamId): TamperedInbox {
    const known = this.#inboxes.get(stream) ?? new TamperedInbox(stream);
    this.#inboxes.set(stream, known);
    return known;
  }

  #session(near: WebSocket): void {
    const far = new WebSocket(`wss://localhost:${this.#served.port}${socketPath}`, subprotocol, {
      perMessageDeflate: false,
      rejectUnauthorized: false,
    });
    const session = new TamperedSession(
      {
        log: this.log,
        puppets: this.#puppets,
        origin: this.origin,
        inbox: (stream) => this.#inbox(stream),
        run: (work) => void this.#do(work),
        grown: (entries) => this.#grown(entries),
        answer: (account, name, body) => this.#answers.get(account)?.(name, body) ?? body,
        greeting: (hello) => this.#greeting(hello),
        keepsBack: (account, name) => this.#keptBack.get(account) === name,
        expels: (account) => this.#expelled.has(account),
        swallows: (account, letter) => this.#swallowed.get(account)?.(letter) ?? false,
        ended: (ended) => this.#sessions.delete(ended),
      },
      near,
      far,
    );
    this.#sessions.add(session);
  }

  /** Tells everybody of new statements; who is lied to is made to ask, and answered by the lie. */
  async #grown(entries: readonly DirectoryEntry[]): Promise<void> {
    if (entries.length === 0) return;
    const all = this.log.entries;
    for (const { account } of this.#sessions) {
      if (account && !this.log.isTrueFor(account)) await this.#nudge(account);
    }
    const news = encodeEvent("directory", {
      from: all.length - entries.length,
      entries: [...entries],
      checkpoint: await this.log.checkpoint(all),
    });
    for (const session of this.#sessions) {
      if (session.account && this.log.isTrueFor(session.account)) session.send(news);
    }
  }

  /** A push that brings nothing and doesn't fit makes a client ask. */
  async #nudge(account: AccountId): Promise<void> {
    const shown = this.log.shownTo(account);
    const checkpoint = await this.log.checkpoint(shown);
    const push = encodeEvent("directory", { from: shown.length + 1, entries: [], checkpoint });
    for (const session of this.#of(account)) session.send(push);
  }

  #do(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work).catch((error: unknown) => {
      this.fault ??= error;
    });
    this.#turn = done;
    return done;
  }

  #http(request: IncomingMessage, response: ServerResponse): void {
    const { port } = this.#served;
    const { url = "" } = request;
    const lie = this.#httpLie;
    const asks = url.startsWith("/api/library") || url.startsWith("/api/titles/");
    response.on("close", () => {
      if (!response.writableFinished && response.headersSent) this.cutOff++;
    });
    const passed =
      url === operations.join.transport.path
        ? passChanged({ request, response, port }, (body) => this.#join(body))
        : lie && asks
          ? passChanged({ request, response, port }, async (body) => ({
              body,
              answer: (answer) => lie(url, answer),
            }))
          : passOn({ request, response, port });
    passed.catch((error: unknown) => {
      this.fault ??= error;
      response.destroy();
    });
  }

  async #join(body: string): Promise<Changed> {
    const request = operations.join.request.parse(JSON.parse(body));
    const lie = this.#newcomersSee;
    const account = await accountOf(fromBase64url(request.genesis));
    if (lie) this.log.lie(account, (entries) => lie(entries, account));
    return this.#forgesJoins ? this.#forgeJoin(request) : { body, answer: (answer) => answer };
  }

  /** Its own account in the place of the joiner's, by a guess of the secret that it doesn't know. */
  async #forgeJoin(join: RequestOf<"join">): Promise<Changed> {
    const genesis = fromBase64url(join.genesis);
    const { content } = decodeStatement(genesis);
    assert.equal(content.kind, "genesis");
    const { display, invite } = content.body;
    const account = await accountOf(genesis);
    const secret = crypto.getRandomValues(new Uint8Array(16));
    const created = await createAccount({
      server: content.server,
      display,
      invite: invite && { secret, inviter: invite.inviter },
      now: content.time,
    });
    this.#puppets.set(account, { created, genesis });
    const isPuppet = ({ statement }: DirectoryEntry) => Buffer.compare(statement, created.genesis) === 0;
    this.log.lie(account, (entries) =>
      entries.map((entry) => (isPuppet(entry) ? { ...entry, statement: genesis } : entry)),
    );
    const forged = {
      ...join,
      genesis: toBase64url(created.genesis),
      recovery: toBase64url(created.recovery),
    };
    return {
      body: JSON.stringify(forged),
      answer: (answer) => answer.replace(created.account, account),
    };
  }
}

async function accountOf(genesis: Uint8Array): Promise<AccountId> {
  return AccountId.parse(await sha256(genesis));
}

async function isGenesisOf({ statement }: DirectoryEntry, account: AccountId): Promise<boolean> {
  return (await accountOf(statement)) === account;
}
