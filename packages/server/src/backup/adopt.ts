import { Incarnation, limits, randomId } from "@snug/protocol";
import { findFolder, openExisting } from "../folder.ts";
import { StartError } from "../startError.ts";
import { newestTime, renewIncarnation } from "../store/restored.ts";
import { openDatabase } from "../store/schema.ts";
import { SqliteStore } from "../store/sqliteStore.ts";
import { verifyDirectory } from "./contents.ts";

/**
 * Makes a stopped server's folder, whose database somebody put back by hand, a restored one: clients come back and
 * bring what it lacks. Returns when its newest entry is of, ms since 1970. Throws StartError.
 */
export async function adoptFolder(data: string, now: number): Promise<number> {
  using folder = await openExisting(data);
  const { database, keys } = folder.paths;
  await verifyDirectory(database, keys);
  return renewDatabase(database, { now, backup: null });
}

/** A new incarnation that waits for its devices. `backup`: when the backup was made; null takes its newest entry's time. */
export function renewDatabase(
  path: string,
  { now, backup }: { readonly now: number; readonly backup: number | null },
): number {
  const database = openDatabase(path);
  try {
    const time = backup ?? newestTime(database);
    renewIncarnation(database, randomId(Incarnation), {
      at: now,
      backup: time,
      until: now + limits.restoring,
    });
    return time;
  } finally {
    database.close();
  }
}

/** Ends the waiting of a restored server, running or not. Throws StartError when the folder was never restored. */
export async function finishRestoring(data: string): Promise<void> {
  const { root, database } = await findFolder(data);
  await using store = new SqliteStore(database);
  if ((await store.restored()) === null) throw new StartError(`the data folder ${root} was never restored`);
  await store.endRestoring();
}
