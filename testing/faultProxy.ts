import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type Server, type Socket } from "node:net";
import { Transform } from "node:stream";
import { setImmediate, setTimeout } from "node:timers/promises";

/**
 * A bad line to a server: a TCP relay on a port of its own, which knows nothing of what it carries. Its faults are set
 * and mended at any time, and count for what passes from then on, both ways.
 */
export class FaultProxy implements AsyncDisposable {
  readonly port: number;
  /**
   * Where to break what passes: each write once, behind so many bytes, or behind each byte. Every piece leaves in a turn
   * of its own without Nagle's delay: as a TCP segment.
   */
  split: number | "every byte" | null = null;
  /** ms by which each piece is late, both ways; the order stays. */
  delay = 0;
  /** Pieces passed on so far: how a test sees that its fault was there. */
  pieces = 0;
  /** The first byte that came over each connection to the server: 0x16 begins TLS. */
  readonly begun: number[] = [];
  readonly #server: Server;
  readonly #open: Set<Socket>;
  #whole = true;
  #flowing: PromiseWithResolvers<void> | null = null;

  private constructor(server: Server, open: Set<Socket>) {
    this.port = (server.address() as AddressInfo).port;
    this.#server = server;
    this.#open = open;
  }

  static async to(port: number): Promise<FaultProxy> {
    const open = new Set<Socket>();
    const server = createServer({ noDelay: true }, (near) => {
      if (!proxy.#whole) {
        near.resetAndDestroy();
        return;
      }
      near.once("data", (chunk: Buffer) => proxy.begun.push(chunk.readUInt8()));
      const far = connect({ port, host: "127.0.0.1", noDelay: true });
      proxy.#relay(near, far);
      proxy.#relay(far, near);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const proxy = new FaultProxy(server, open);
    return proxy;
  }

  /** Breaks every connection, and every new one at once, until {@link mend}. */
  cut(): void {
    this.#whole = false;
    for (const socket of this.#open) socket.resetAndDestroy();
  }

  /** Half-open: reads and sends nothing any more, and closes nothing, so that neither end learns of it, until {@link mend}. */
  freeze(): void {
    this.#flowing ??= Promise.withResolvers();
  }

  mend(): void {
    this.#whole = true;
    this.#flowing?.resolve();
    this.#flowing = null;
  }

  #relay(from: Socket, to: Socket): void {
    this.#open.add(from);
    const passage = new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        this.#pass(chunk, passage).then(() => done(), done);
      },
    });
    from.pipe(passage).pipe(to);
    from.on("error", () => to.destroy());
    from.on("close", () => {
      this.#open.delete(from);
      // What was sent before an orderly end still has to arrive.
      if (!from.readableEnded) to.destroy();
    });
  }

  async #pass(chunk: Buffer, to: Transform): Promise<void> {
    for (const piece of this.#broken(chunk)) {
      if (this.delay > 0) await setTimeout(this.delay);
      while (this.#flowing) await this.#flowing.promise;
      to.push(piece);
      this.pieces++;
      if (piece.length < chunk.length) await setImmediate();
    }
  }

  #broken(chunk: Buffer): Buffer[] {
    const { split } = this;
    if (split === "every byte") return Array.from(chunk, (_, at) => chunk.subarray(at, at + 1));
    if (split === null || split >= chunk.length) return [chunk];
    return [chunk.subarray(0, split), chunk.subarray(split)];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.mend();
    for (const socket of this.#open) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
