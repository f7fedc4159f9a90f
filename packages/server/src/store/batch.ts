import type { DatabaseSync } from "node:sqlite";
// Nothing here loads the schemas of the protocol: in a thread of its own they would cost 30 MB again.
import { type ErrorCode, SnugError } from "@snug/protocol/errors";
import { type Fault, faultOf } from "./faults.ts";
import type { Writes } from "./writes.ts";

/** Names of the changes, and what goes with each. */
export type WriteName = Exclude<keyof Writes, "heads">;
export type WriteCall = {
  [N in WriteName]: { readonly number: number; readonly name: N; readonly args: Parameters<Writes[N]> };
}[WriteName];

/** How one call went: only after its batch was committed and fsynced. */
export type WriteResult =
  | { readonly number: number; readonly value: unknown }
  | { readonly number: number; readonly code: ErrorCode; readonly message: string }
  | { readonly number: number; readonly fault: Fault };

/** What needs no transaction: reads, and cursors, which a device says again. */
const words: ReadonlySet<WriteName> = new Set(["moveCursor", "cursor", "delivered"]);

/**
 * Makes the changes of one batch in one transaction; when this returns they are durable, or none of them is there.
 * Moved cursors become so with a batch that takes them along.
 */
export function commitBatch(
  database: DatabaseSync,
  writes: Writes,
  { calls, cursorsToo = false }: { readonly calls: readonly WriteCall[]; readonly cursorsToo?: boolean },
): WriteResult[] {
  const { heads } = writes;
  const changes = calls.filter(({ name }) => !words.has(name));
  const all = cursorsToo || heads.full;
  const results = changes.length > 0 || all ? commit(database, writes, { changes, cursorsToo: all }) : [];
  // After the changes: what was rolled back has reached nobody.
  for (const call of calls) if (words.has(call.name)) results.push(say(writes, call));
  return results;
}

function commit(
  database: DatabaseSync,
  writes: Writes,
  { changes, cursorsToo }: { readonly changes: readonly WriteCall[]; readonly cursorsToo: boolean },
): WriteResult[] {
  const { heads } = writes;
  try {
    database.exec("BEGIN IMMEDIATE");
    const results = changes.map((call) => perform(writes, call));
    heads.finish(cursorsToo);
    database.exec("COMMIT");
    heads.committed();
    if (heads.full) heads.forget();
    return results;
  } catch (cause) {
    // Anything unexpected fails the whole batch: nobody is told of a row that is not there.
    heads.undo();
    if (database.isTransaction) database.exec("ROLLBACK");
    const fault = faultOf(cause);
    return changes.map(({ number }) => ({ number, fault }));
  }
}

function say(writes: Writes, call: WriteCall): WriteResult {
  try {
    return perform(writes, call);
  } catch (cause) {
    return { number: call.number, fault: faultOf(cause) };
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
