import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { tidyAtRest } from "../rest.ts";
import { commitBatch, type WriteCall, type WriteResult } from "./batch.ts";
import { type PassedCall, type PassedResult, packResult, unpackCall } from "./passing.ts";
import { openDatabase } from "./schema.ts";
import { Writes } from "./writes.ts";

if (!parentPort) throw new Error("the writer runs as a worker");
tidyAtRest();
serve(parentPort, (workerData as { path: string }).path);

/** Moved cursors wait so long for others to come along with. ms */
const cursorsWait = 250;
/** And so long when the disk did not take them. ms */
const cursorsAgain = 5000;

/**
 * One batch writer with natural group commit: whatever queued while the last commit ran is the next batch.
 * A timer would cost ten times the idle latency and gain nothing. Only moved cursors wait for one: nobody waits for
 * them, and each would cost a commit.
 */
function serve(port: MessagePort, path: string): void {
  const database = openDatabase(path);
  const writes = new Writes(database);
  let timer: NodeJS.Timeout | undefined;
  const keepCursors = (): void => {
    timer = undefined;
    commitBatch(database, writes, { calls: [], cursorsToo: true });
    if (writes.heads.moved) timer = setTimeout(keepCursors, cursorsAgain);
  };
  port.on("message", (first: readonly PassedCall[] | "close") => {
    const calls: WriteCall[] = [];
    let closing = false;
    for (let next: unknown = first; next !== undefined; next = receiveMessageOnPort(port)?.message) {
      if (next === "close") closing = true;
      else calls.push(...(next as readonly PassedCall[]).map(unpackCall));
    }
    const results = commitBatch(database, writes, { calls });
    const pass = (result: WriteResult, at: number): PassedResult =>
      packResult(result, calls[at] as WriteCall);
    if (calls.length > 0) port.postMessage(results.map(pass));
    if (writes.heads.moved) timer ??= setTimeout(keepCursors, cursorsWait);
    if (!closing) return;
    clearTimeout(timer);
    commitBatch(database, writes, { calls: [], cursorsToo: true });
    database.close();
    port.close();
  });
}
