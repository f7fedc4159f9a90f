import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { limits, socketPath, subprotocol } from "@snug/protocol";
import { type WebSocket, WebSocketServer } from "ws";
import type { Room } from "../room.ts";
import type { Site } from "../site.ts";
import { Connection } from "./connection.ts";

/** Takes WebSockets on a server's `upgrade` event, for the site's own pages and for programs. */
export class Upgrades {
  readonly #sockets = new WebSocketServer({
    noServer: true,
    clientTracking: true,
    maxPayload: limits.frame,
    perMessageDeflate: false,
    handleProtocols: () => subprotocol,
  });
  readonly #byAddress = new Map<string, number>();
  readonly #site: Site;
  readonly #connect: (socket: WebSocket, raw: Duplex) => void;

  constructor(site: Site, room: Room, report: (cause: unknown) => void) {
    this.#site = site;
    this.#connect = (socket, raw) => new Connection(socket, raw, { room, report });
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
      raw.end(`HTTP/1.1 ${visitor.refused} Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () =>
        raw.destroy(),
      );
      return;
    }
    const { address } = visitor;
    this.#byAddress.set(address, (this.#byAddress.get(address) ?? 0) + 1);
    raw.on("close", () => this.#leave(address));
    this.#sockets.handleUpgrade(request, raw, head, (socket) => this.#connect(socket, raw));
  }

  /** The visitor's address, or the HTTP status that turns them away. */
  #admit(request: IncomingMessage): { readonly address: string } | { readonly refused: number } {
    const judgement = this.#site.judge(request);
    if (!judgement.ok) return { refused: judgement.status };
    if (request.url !== socketPath) return { refused: 404 };
    const { whole, address } = judgement.visit;
    if (!whole) return { refused: 403 };
    if (!offered(request).includes(subprotocol)) return { refused: 400 };
    const crowded = (this.#byAddress.get(address) ?? 0) >= limits.connections && !isLoopback(address);
    return crowded ? { refused: 429 } : { address };
  }

  #leave(address: string): void {
    const count = (this.#byAddress.get(address) ?? 1) - 1;
    if (count > 0) this.#byAddress.set(address, count);
    else this.#byAddress.delete(address);
  }

  /** Ends every socket, signed in or not. */
  close(): void {
    for (const socket of this.#sockets.clients) socket.terminate();
  }
}

function offered(request: IncomingMessage): string[] {
  return (request.headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
}

function isLoopback(address: string): boolean {
  return address === "::1" || address.startsWith("127.");
}
