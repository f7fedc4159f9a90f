import type { Server as HttpServer, RequestListener, ServerResponse } from "node:http";
import { createServer as createTlsServer, type Server as HttpsServer } from "node:https";
import { createServer as createFront, type Server, type Socket } from "node:net";
import type { SecureContextOptions } from "node:tls";
import { limits } from "@snug/protocol";
import { networkOf } from "./addresses.ts";
import { Places } from "./places.ts";
import { createServer } from "./plainHttp.ts";
import { StartError } from "./startError.ts";
import type { Pair } from "./tls/identity.ts";
import { Turnstile } from "./turnstile.ts";

/** The first byte of a TLS handshake record (RFC 8446 §5.1); no HTTP method begins with it. */
const tlsHandshake = 0x16;

/** Both servers behind one port. Neither listens itself. */
export interface Listeners {
  readonly plain: HttpServer;
  readonly tls: HttpsServer;
}

/** A connection on which nothing moves for this long, either way, is ended. WebSockets have their pings. ms */
const idle = 120_000;

const timeouts = {
  headersTimeout: limits.authenticate,
  requestTimeout: limits.request,
  // Segments come every six seconds; the default of five would make each a new connection.
  keepAliveTimeout: 75_000,
  connectionsCheckingInterval: 1000,
  maxHeaderSize: 16_384,
} as const;

/** What a TLS server shows, and the oldest version it speaks. It asks nobody for a certificate: no authority is loaded for that. */
function secureContext({ cert, key }: Pair): SecureContextOptions {
  return { cert, key, ca: [], minVersion: "TLSv1.2" };
}

/** Shows another certificate from now on; connections that are open go on under the one before. */
export function replaceCertificate({ tls }: Listeners, pair: Pair): void {
  tls.setSecureContext(secureContext(pair));
}

/**
 * One request of a connection after the other, whatever was sent ahead: an answer that waits for its turn would hold
 * what it has read, and for good when the connection ends before (Node closes only the one whose turn it is).
 */
function inTurn(handler: RequestListener, answers: WeakMap<Socket, ServerResponse>): RequestListener {
  const queues = new WeakMap<Socket, (() => void)[]>();
  return (request, response) => {
    const { socket } = request;
    const queue = queues.get(socket) ?? [];
    queues.set(socket, queue);
    if (queue.length > limits.pipelined) {
      socket.destroy();
      return;
    }
    queue.push(() => {
      response.once("close", () => {
        queue.shift();
        if (!socket.destroyed) queue[0]?.();
      });
      answers.set(socket, response);
      handler(request, response);
    });
    if (queue.length === 1) queue[0]?.();
  };
}

/** What Node answers to a request that can't be read, by the reason; to any other 400. */
const unreadable: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  HPE_CHUNK_EXTENSIONS_OVERFLOW: "413 Payload Too Large",
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
};

/** Says so and ends the connection once that is written: Node's own way throws away what TLS has not written out yet. */
function refuse(socket: Socket, code: string | undefined, begun: ServerResponse | undefined): void {
  const status = unreadable[code ?? ""] ?? "400 Bad Request";
  const isFree = begun === undefined || begun.writableEnded || !begun.headersSent;
  if (!socket.writable || !isFree) {
    socket.destroy();
    return;
  }
  socket.write(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`);
  socket.destroySoon();
}

/** The HTTP servers for one handler, plain and encrypted. */
export function createListeners(answer: RequestListener, pair: Pair): Listeners {
  const answers = new WeakMap<Socket, ServerResponse>();
  const handler = inTurn(answer, answers);
  const listeners = {
    plain: createServer(timeouts, handler),
    tls: createTlsServer(
      { ...timeouts, ...secureContext(pair), handshakeTimeout: limits.authenticate },
      handler,
    ),
  };
  for (const server of [listeners.plain, listeners.tls]) {
    // A response that nobody takes holds a file open.
    server.timeout = idle;
    // A server that doesn't listen doesn't enforce its time limits until it is told that it does.
    server.emit("listening");
    server.on("clientError", (cause: NodeJS.ErrnoException, connection) => {
      const socket = connection as Socket;
      refuse(socket, cause.code, answers.get(socket));
    });
  }
  // A handshake that fails is the other side's affair.
  listeners.tls.on("tlsClientError", (_cause, socket) => socket.destroy());
  return listeners;
}

/** A bound port that takes connections once it is opened, and tells HTTP from HTTPS by the first byte. */
export class Port implements AsyncDisposable {
  readonly #front: Server;
  readonly #sockets = new Set<Socket>();
  readonly #ended = { received: 0, sent: 0 };
  readonly #arrivals = new Turnstile();
  #early: Socket[] = [];
  readonly #places = new Places(limits.sockets);
  readonly #isCounted: (peer: string) => boolean;
  #listeners: Listeners | undefined;

  private constructor(front: Server, isCounted: (peer: string) => boolean) {
    this.#front = front;
    this.#isCounted = isCounted;
    front.on("connection", (socket) => this.#take(socket));
  }

  /**
   * Binds before anything is written, so that a busy port leaves everything as it was. Of a peer that `isCounted` no
   * more than `limits.sockets` connections stay open. Throws StartError.
   */
  static async bind(host: string, port: number, isCounted: (peer: string) => boolean): Promise<Port> {
    const front = createFront({ noDelay: true, keepAlive: true });
    const bound = new Port(front, isCounted);
    await new Promise<void>((resolve, reject) => {
      front.once("error", (cause: NodeJS.ErrnoException) => reject(bindError(cause, host, port)));
      front.listen({ host, port, backlog: 4096 }, resolve);
    });
    return bound;
  }

  get number(): number {
    const address = this.#front.address();
    return typeof address === "object" && address ? address.port : 0;
  }

  /** Bytes of all connections so far, TLS and all. */
  traffic(): { readonly received: number; readonly sent: number } {
    let { received, sent } = this.#ended;
    for (const socket of this.#sockets) {
      received += socket.bytesRead;
      sent += socket.bytesWritten;
    }
    return { received, sent };
  }

  /** Connections that came while the server was starting are served first. */
  open(listeners: Listeners): void {
    this.#listeners = listeners;
    const early = this.#early;
    this.#early = [];
    for (const socket of early) this.#await(socket, listeners);
  }

  #take(socket: Socket): void {
    const peer = socket.remoteAddress ?? "";
    if (this.#isCounted(peer)) {
      const network = networkOf(peer);
      if (this.#places.isFull(network)) {
        socket.resetAndDestroy();
        return;
      }
      socket.on("close", this.#places.take(network));
    }
    this.#sockets.add(socket);
    socket.on("close", () => {
      this.#sockets.delete(socket);
      this.#ended.received += socket.bytesRead;
      this.#ended.sent += socket.bytesWritten;
    });
    // A connection that breaks says so by its close; nobody else listens until a server has it.
    socket.on("error", () => socket.destroy());
    const listeners = this.#listeners;
    if (listeners) this.#await(socket, listeners);
    else this.#early.push(socket);
  }

  /** Who has said something is looked at in turn. */
  #await(socket: Socket, listeners: Listeners): void {
    if (socket.destroyed) return;
    const silent = setTimeout(() => socket.destroy(), limits.authenticate);
    const onClose = (): void => clearTimeout(silent);
    socket.on("close", onClose);
    socket.once("readable", () => {
      clearTimeout(silent);
      socket.off("close", onClose);
      this.#arrivals.pass(() => sort(socket, listeners));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#front.close(resolve));
    for (const server of [this.#listeners?.plain, this.#listeners?.tls]) {
      server?.closeAllConnections();
      server?.close();
    }
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

/** To the server that it speaks to, unless it has ended meanwhile, or without a word. */
function sort(socket: Socket, listeners: Listeners): void {
  const first: Buffer | null = socket.destroyed ? null : socket.read(1);
  if (first === null) return;
  socket.unshift(first);
  const server = first[0] === tlsHandshake ? listeners.tls : listeners.plain;
  server.emit("connection", socket);
}

function bindError(cause: NodeJS.ErrnoException, host: string, port: number): StartError {
  const reasons: Record<string, string> = {
    EADDRINUSE: `port ${port} is in use; give another with --port`,
    EACCES: `port ${port} may not be used by this user; give another with --port`,
    EADDRNOTAVAIL: `${host} is not an address of this computer`,
    ENOTFOUND: `${host} is not an address of this computer`,
  };
  return new StartError(reasons[cause.code ?? ""] ?? `port ${port} can't be opened (${cause.code})`, {
    cause,
  });
}
