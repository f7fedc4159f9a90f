import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ServerId } from "@snug/protocol";
import { DirectoryLog } from "../directoryLog.ts";
import { mustKnowVersion, versionFile } from "../folder.ts";
import { readLogKeys } from "../logKey.ts";
import { StartError } from "../startError.ts";
import { openDatabase, upgradeDatabase } from "../store/schema.ts";
import { SqliteStore } from "../store/sqliteStore.ts";

/** The public half of the backup key, in the data folder. */
export const recipientFile = "backup.pub";
export const manifestFile = "backup.json";

/** What a backup may hold, and nothing else: no path leads anywhere. */
export const contentNames: RegExp =
  /^(?:version|backup\.json|backup\.pub|snug\.db|(?:keys|tls)\/[A-Za-z0-9][A-Za-z0-9._-]{0,63})$/;

/** What a backup says of itself. `made` in ms since 1970. */
export interface Manifest {
  readonly format: 1;
  readonly made: number;
  readonly server: ServerId;
}

/** Throws for anything else, also of a newer format. */
export function parseManifest(text: string): Manifest {
  const { format, made, server, ...more } = JSON.parse(text) as Record<string, unknown>;
  if (format !== 1 || !Number.isSafeInteger(made) || Object.keys(more).length > 0) {
    throw new TypeError("not a manifest of this version");
  }
  return { format, made: Number(made), server: ServerId.parse(server) };
}

/**
 * Looks over a folder that a backup is made of, or was unpacked to: its version is known, the database is whole, its
 * directory is the one that its newest checkpoint and the log key vouch for, and every signature in it is its account's.
 * Throws StartError.
 */
export async function checkContents(folder: string): Promise<ServerId> {
  mustKnowVersion(await readFile(join(folder, versionFile), "utf8"), "what is in the backup");
  const path = join(folder, "snug.db");
  const database = openDatabase(path);
  try {
    const found = database.prepare("PRAGMA quick_check(1)").get()?.quick_check;
    if (found !== "ok") throw new StartError(`the database is damaged: ${String(found)}`);
  } finally {
    database.close();
  }
  return await verifyDirectory(path, join(folder, "keys"));
}

/** Verifies the directory of a database that was copied or put there, each signature of it. Throws StartError. */
export async function verifyDirectory(path: string, keys: string): Promise<ServerId> {
  upgradeDatabase(path);
  const key = await readLogKeys(keys);
  await using store = new SqliteStore(path);
  await DirectoryLog.verify(store, key);
  return key.server;
}
