import type { AddressInfo } from "node:net";
import { connect, createServer, type Socket } from "node:net";

/** A line to a server that can be cut: a TCP relay on a port of its own, which knows nothing of what it carries. */
export class Line implements AsyncDisposable {
  readonly port: number;
  readonly #close: () => Promise<void>;
  readonly #open: Set<Socket>;
  #whole = true;

  private constructor(port: number, open: Set<Socket>, close: () => Promise<void>) {
    this.port = port;
    this.#open = open;
    this.#close = close;
  }

  static async to(port: number): Promise<Line> {
    const open = new Set<Socket>();
    const server = createServer((near) => {
      if (!line.#whole) {
        near.resetAndDestroy();
        return;
      }
      const far = connect(port, "127.0.0.1");
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        open.add(one);
        one.pipe(other);
        one.on("error", () => other.destroy());
        one.on("close", () => {
          open.delete(one);
          other.destroy();
        });
      }
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const line: Line = new Line((server.address() as AddressInfo).port, open, async () => {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    });
    return line;
  }

  /** Breaks every connection, and every new one at once, until {@link mend}. */
  cut(): void {
    this.#whole = false;
    for (const socket of this.#open) socket.resetAndDestroy();
  }

  mend(): void {
    this.#whole = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }
}
