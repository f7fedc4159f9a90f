import type { Socket } from "node:net";

/** Reads on, and resolves when the connection has ended, in order or by a reset: at a reset `once` would reject. */
export function ended(socket: Socket): Promise<void> {
  socket.on("error", () => socket.destroy());
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.resume();
  return closed;
}
