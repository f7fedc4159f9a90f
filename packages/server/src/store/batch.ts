import type { DatabaseSync } from "node:sqlite";
// Nothing here loads the schemas of the protocol: in a thread of its own they would cost 30 MB again.
import { type ErrorCode, SnugError } from "@snug/protocol/errors";
import { type Fault, faultOf } from "./faults.ts";
import type { Writes } from "./writes.ts";

/** Names of the changes, and what goes with each. */
export type WriteName = Exclude<keyof Writes, "heads">;
export type WriteCall = {
  [N in WriteName]: { readonly name: N; readonly args: Parameters<Writes[N]> };
}[WriteName];

/** How one call went: only after its batch was committed and fsynced. */
export type WriteResult =
  /** `durable` is false for what needed no disk. */
  | { readonly value: unknown; readonly durable: boolean }
  | { readonly code: ErrorCode; readonly message: string }
  | { readonly fault: Fault };

/** What needs no transaction: reads, and cursors, which a device says again. */
const words: ReadonlySet<WriteName> = new Set(["moveCursor", "settle", "cursor", "delivered"]);

/**
 * Makes the changes of one batch in one transaction; when this returns they are durable, or none of them is there.
 * Moved cursors become so with a batch that takes them along. Results are in the order of the calls.
 */
export function commitBatch(
  database: DatabaseSync,
  writes: Writes,
  { calls, cursorsToo = false }: { readonly calls: readonly WriteCall[]; readonly cursorsToo?: boolean },
): WriteResult[] {
  const results: WriteResult[] = [];
  const all = cursorsToo || writes.heads.full;
  if (all || calls.some(({ name }) => !words.has(name))) commit(database, writes, { calls, all, results });
  // After the changes: what was rolled back has reached nobody.
  for (const [at, call] of calls.entries()) if (words.has(call.name)) results[at] = say(writes, call);
  return results;
}

/** Puts the results of changes into their places; words have none yet. */
function commit(
  database: DatabaseSync,
  writes: Writes,
  of: { readonly calls: readonly WriteCall[]; readonly all: boolean; readonly results: WriteResult[] },
): void {
  const { heads } = writes;
  const each = (act: (call: WriteCall) => WriteResult): void => {
    for (const [at, call] of of.calls.entries()) if (!words.has(call.name)) of.results[at] = act(call);
  };
  try {
    database.exec("BEGIN IMMEDIATE");
    each((call) => perform(writes, call));
    heads.finish(of.all);
    database.exec("COMMIT");
    heads.committed();
    if (heads.full) heads.forget();
  } catch (cause) {
    // Anything unexpected fails the whole batch: nobody is told of a row that is not there.
    heads.undo();
    if (database.isTransaction) database.exec("ROLLBACK");
    const fault = faultOf(cause);
    each(() => ({ fault }));
  }
}

function say(writes: Writes, call: WriteCall): WriteResult {
  try {
    return perform(writes, call);
  } catch (cause) {
    return { fault: faultOf(cause) };
  }
}

function perform(writes: Writes, { name, args }: WriteCall): WriteResult {
  try {
    const write = writes[name] as (...args: unknown[]) => unknown;
    return { value: write.apply(writes, args), durable: !words.has(name) };
  } catch (cause) {
    if (!(cause instanceof SnugError)) throw cause;
    return { code: cause.code, message: cause.message };
  }
}
