/**
 * The ceiling: a bare `ws` server that appends each message to a file with group commit, and only then acknowledges
 * and passes it on. No identity, no doubles, no cursors: what any durable relay on this stack costs at least.
 * Frame in: 2 bytes recipient, 4 bytes number, payload. Out: the same to the recipient; 4 bytes number as ack.
 */
import { closeSync, fdatasync, mkdtempSync, openSync, rmSync, writev } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type WebSocket, WebSocketServer } from "ws";

const folder = mkdtempSync(join(tmpdir(), "snug-relay-"));
const file = openSync(join(folder, "log"), "w");
const append = promisify(writev);
const sync = promisify(fdatasync);
const sockets: WebSocket[] = [];
let queued: { from: WebSocket; bytes: Buffer }[] = [];
let writing = false;

async function drain(): Promise<void> {
  if (writing) return;
  writing = true;
  while (queued.length > 0) {
    const batch = queued;
    queued = [];
    await append(
      file,
      batch.map((one) => one.bytes),
    );
    await sync(file);
    for (const { from, bytes } of batch) {
      from.send(bytes.subarray(2, 6));
      sockets[bytes.readUInt16BE(0)]?.send(bytes);
    }
  }
  writing = false;
}

const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false });
server.on("connection", (socket) => {
  sockets.push(socket);
  socket.on("message", (bytes) => {
    queued.push({ from: socket, bytes: bytes as Buffer });
    void drain();
  });
});
server.on("listening", () => process.send?.({ port: (server.address() as { port: number }).port }));
process.on("disconnect", () => {
  closeSync(file);
  rmSync(folder, { recursive: true });
  process.exit();
});
