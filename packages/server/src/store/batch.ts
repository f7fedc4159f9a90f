import type { DatabaseSync } from "node:sqlite";
// Nothing here loads the schemas of the protocol: in a thread of its own they would cost 30 MB again.
import { type ErrorCode, SnugError } from "@snug/protocol/errors";
import { type Fault, faultOf } from "./faults.ts";
import type { Writes } from "./writes.ts";

/** Names of the changes, and what goes with each. */
export type WriteName = Exclude<keyof Writes, "finish" | "forget">;
export type WriteCall = {
  [N in WriteName]: { readonly number: number; readonly name: N; readonly args: Parameters<Writes[N]> };
}[WriteName];

/** How one call went: only after its batch was committed and fsynced. */
export type WriteResult =
  | { readonly number: number; readonly value: unknown }
  | { readonly number: number; readonly code: ErrorCode; readonly message: string }
  | { readonly number: number; readonly fault: Fault };

/** Makes the changes of one batch in one transaction; when this returns they are durable, or none of them is there. */
export function commitBatch(
  database: DatabaseSync,
  writes: Writes,
  calls: readonly WriteCall[],
): WriteResult[] {
  try {
    database.exec("BEGIN IMMEDIATE");
    const results = calls.map((call) => perform(writes, call));
    writes.finish();
    database.exec("COMMIT");
    return results;
  } catch (cause) {
    // Anything unexpected fails the whole batch: nobody is told of a row that is not there.
    writes.forget();
    if (database.isTransaction) database.exec("ROLLBACK");
    const fault = faultOf(cause);
    return calls.map(({ number }) => ({ number, fault }));
  }
}

function perform(writes: Writes, call: WriteCall): WriteResult {
  const { number, name, args } = call;
  try {
    const write = writes[name] as (...args: unknown[]) => unknown;
    return { number, value: write.apply(writes, args) };
  } catch (cause) {
    if (!(cause instanceof SnugError)) throw cause;
    return { number, code: cause.code, message: cause.message };
  }
}
