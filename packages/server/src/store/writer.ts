import type { DatabaseSync } from "node:sqlite";
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { tidyAtRest } from "../rest.ts";
import { commitBatch, type WriteCall, type WriteResult } from "./batch.ts";
import { faultOf } from "./faults.ts";
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
/** The write-ahead log is brought into the database when it is so long: SQLite's own measure. Pages of 4 KiB */
const longLog = 1000;

/**
 * One batch writer with natural group commit: whatever queued while the last commit ran is the next batch.
 * A timer would cost ten times the idle latency and gain nothing. Only moved cursors wait for one: nobody waits for
 * them, and each would cost a commit.
 */
function serve(port: MessagePort, path: string): void {
  const database = openDatabase(path);
  const writes = new Writes(database);
  const shorten = logShortener(database);
  let timer: NodeJS.Timeout | undefined;
  const keepCursors = (): void => {
    timer = undefined;
    commitBatch(database, writes, { calls: [], cursorsToo: true });
    if (writes.heads.moved) timer = setTimeout(keepCursors, cursorsAgain);
    shorten();
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
    shorten();
    if (!closing) return;
    clearTimeout(timer);
    commitBatch(database, writes, { calls: [], cursorsToo: true });
    database.close();
    port.close();
  });
}

/**
 * SQLite would do it inside of the commit that makes the log too long, and all whose letters are in that batch would wait
 * for it, some 10 ms: here they have their answers by then.
 */
function logShortener(database: DatabaseSync): () => void {
  database.exec("PRAGMA wal_autocheckpoint=0");
  const look = database.prepare("PRAGMA wal_checkpoint(NOOP)");
  const checkpoint = database.prepare("PRAGMA wal_checkpoint(PASSIVE)");
  return () => {
    if (Number(look.get()?.log) < longLog) return;
    try {
      checkpoint.get();
    } catch (cause) {
      // What the disk refuses stays in the log, and is tried again: commits say so if it takes nothing at all.
      if (faultOf(cause).code === "internal") throw cause;
    }
  };
}
