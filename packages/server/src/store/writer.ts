import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { commitBatch, type WriteCall } from "./batch.ts";
import { openDatabase } from "./schema.ts";
import { Writes } from "./writes.ts";

if (!parentPort) throw new Error("the writer runs as a worker");
serve(parentPort, (workerData as { path: string }).path);

/**
 * One batch writer with natural group commit: whatever queued while the last commit ran is the next batch.
 * A timer would cost ten times the idle latency and gain nothing.
 */
function serve(port: MessagePort, path: string): void {
  const database = openDatabase(path);
  const writes = new Writes(database);
  port.on("message", (first: readonly WriteCall[] | "close") => {
    const calls: WriteCall[] = [];
    let closing = false;
    for (let next: unknown = first; next !== undefined; next = receiveMessageOnPort(port)?.message) {
      if (next === "close") closing = true;
      else calls.push(...(next as readonly WriteCall[]));
    }
    if (calls.length > 0) port.postMessage(commitBatch(database, writes, calls));
    if (closing) {
      database.close();
      port.close();
    }
  });
}
