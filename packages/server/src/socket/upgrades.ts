import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { arrivals, closeCodes, limits, socketPath, subprotocol } from "@snug/protocol";
import { type WebSocket, WebSocketServer } from "ws";
import type { Logger } from "../logger.ts";
import type { Metrics } from "../metrics/metrics.ts";
import { Places } from "../places.ts";
import { Buckets } from "../rates.ts";
import type { Room } from "../room.ts";
import type { Site } from "../site.ts";
import { Connection } from "./connection.ts";

/** Closes that an operator may have to trace to an address: whoever never signed in, or spoke another language. */
const turnedAway: ReadonlySet<keyof typeof closeCodes> = new Set([
  "malformed",
  "unauthenticated",
  "tooSlowToSignIn",
]);

/** Takes WebSockets on a server's `upgrade` event, for the site's own pages and for programs. */
export class Upgrades {
  readonly #sockets = new WebSocketServer({
    noServer: true,
    clientTracking: true,
    maxPayload: limits.frame,
    // Each takes 200 bytes beside its own, which may be one.
    maxFragments: 256,
    perMessageDeflate: false,
    handleProtocols: () => subprotocol,
  });
  readonly #connections = new Places(limits.connections);
  readonly #greetings = new Places(limits.greetings);
  readonly #arrivals: Buckets;
  readonly #site: Site;
  readonly #logger: Logger;
  readonly #metrics: Metrics;
  readonly #connect: (socket: WebSocket, raw: Duplex, signedIn: () => void) => Connection;
  #opened = 0;

  constructor(site: Site, room: Room, logger: Logger) {
    this.#site = site;
    this.#logger = logger;
    this.#metrics = room.metrics;
    this.#arrivals = new Buckets(arrivals, room.now);
    this.#connect = (socket, raw, signedIn) =>
      new Connection(socket, raw, { room, report: logger.fault, signedIn });
  }

  listen(server: Server): void {
    server.on("upgrade", (request: IncomingMessage, raw: Duplex, head: Buffer) =>
      this.#take(request, raw, head),
    );
  }

  #take(request: IncomingMessage, raw: Duplex, head: Buffer): void {
    // Until ws has the stream nobody else hears its errors.
    raw.on("error", () => raw.destroy());
    const visitor = this.#admit(request);
    if ("refused" in visitor) {
      this.#logger.write("refused", { status: visitor.refused, address: this.#site.addressOf(request) });
      raw.end(`HTTP/1.1 ${visitor.refused} Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () =>
        raw.destroy(),
      );
      return;
    }
    const { network } = visitor;
    const places = network === null ? [] : [this.#connections.take(network), this.#greetings.take(network)];
    const [, greeted] = places;
    raw.on("close", () => {
      for (const leave of places) leave();
    });
    const address = this.#site.addressOf(request);
    // The answer and the hello leave together.
    raw.cork();
    this.#sockets.handleUpgrade(request, raw, head, (socket) => {
      this.#note(
        socket,
        this.#connect(socket, raw, () => greeted?.()),
        address,
      );
    });
    raw.uncork();
  }

  #note(socket: WebSocket, connection: Connection, address: string): void {
    const number = ++this.#opened;
    const opened = Date.now();
    this.#metrics.opened.count();
    this.#logger.write("opened", { connection: number });
    socket.on("close", (received) => {
      const { why } = connection;
      this.#metrics.closed.count(why ?? "other");
      this.#logger.write("closed", {
        connection: number,
        code: why === undefined ? received : closeCodes[why],
        seconds: Math.round((Date.now() - opened) / 1000),
        ...(why !== undefined && turnedAway.has(why) ? { address } : {}),
      });
    });
  }

  /** What the visitor is counted by (null: not at all), or the HTTP status that turns them away. */
  #admit(request: IncomingMessage): { readonly network: string | null } | { readonly refused: number } {
    const judgement = this.#site.judge(request);
    if (!judgement.ok) return { refused: judgement.status };
    if (request.url !== socketPath) return { refused: 404 };
    const { whole, network } = judgement.visit;
    if (!whole) return { refused: 403 };
    if (!offered(request).includes(subprotocol)) return { refused: 400 };
    return network !== null && this.#isCrowded(network) ? { refused: 429 } : { network };
  }

  #isCrowded(network: string): boolean {
    return (
      this.#connections.isFull(network) || this.#greetings.isFull(network) || !this.#arrivals.allows(network)
    );
  }

  /** Ends every socket, signed in or not. */
  close(): void {
    for (const socket of this.#sockets.clients) socket.terminate();
  }
}

function offered(request: IncomingMessage): string[] {
  return (request.headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
}
