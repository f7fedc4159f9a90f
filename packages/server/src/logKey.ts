import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { generateLogKey, importLogKey, serverIdOf } from "@snug/crypto/identity";
import { Ed25519Public } from "@snug/protocol";
import type { LogKey } from "./directoryLog.ts";
import { StartError } from "./startError.ts";

/** Makes the key that the server is known by, in a new data folder's `keys`. */
export async function makeLogKey(keys: string): Promise<void> {
  const made = await generateLogKey();
  await writeFile(join(keys, "log.key"), made.pkcs8, { mode: 0o600, flush: true });
  await writeFile(join(keys, "log.pub"), JSON.stringify(made.public), { mode: 0o600, flush: true });
}

/** Throws StartError when the folder's key is gone or damaged: without it this is another server. */
export async function readLogKey(keys: string): Promise<LogKey> {
  try {
    const logPublic = Ed25519Public.parse(JSON.parse(await readFile(join(keys, "log.pub"), "utf8")));
    const logKey = await importLogKey(await readFile(join(keys, "log.key")));
    return { logKey, logPublic, server: await serverIdOf(logPublic) };
  } catch (cause) {
    throw new StartError(`the server's log key in ${keys} can't be read`, { cause });
  }
}
