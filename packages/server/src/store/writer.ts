import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
// Nothing here loads the schemas of the protocol: in a thread of its own they would cost 30 MB again.
import { type ErrorCode, SnugError } from "@snug/protocol/errors";
import { type Fault, faultOf } from "./faults.ts";
import { openDatabase } from "./schema.ts";
import { Writes } from "./writes.ts";

/** Names of the changes, and what goes with each. */
export type WriteName = Exclude<keyof Writes, "constructor">;
export type WriteCall = {
  [N in WriteName]: { readonly number: number; readonly name: N; readonly args: Parameters<Writes[N]> };
}[WriteName];

/** How one call went: only after its batch was committed and fsynced. */
export type WriteResult =
  | { readonly number: number; readonly value: unknown }
  | { readonly number: number; readonly code: ErrorCode; readonly message: string }
  | { readonly number: number; readonly fault: Fault };

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
    if (calls.length > 0) port.postMessage(commit(calls));
    if (closing) {
      database.close();
      port.close();
    }
  });

  function commit(calls: readonly WriteCall[]): WriteResult[] {
    try {
      database.exec("BEGIN IMMEDIATE");
      const results = calls.map(perform);
      database.exec("COMMIT");
      return results;
    } catch (cause) {
      // Anything unexpected fails the whole batch: nobody is told of a row that is not there.
      if (database.isTransaction) database.exec("ROLLBACK");
      const fault = faultOf(cause);
      return calls.map(({ number }) => ({ number, fault }));
    }
  }

  function perform(call: WriteCall): WriteResult {
    const { number, name, args } = call;
    try {
      const write = writes[name] as (...args: unknown[]) => unknown;
      return { number, value: write.apply(writes, args) };
    } catch (cause) {
      if (!(cause instanceof SnugError)) throw cause;
      return { number, code: cause.code, message: cause.message };
    }
  }
}
