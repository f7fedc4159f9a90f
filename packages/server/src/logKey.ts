import { createPrivateKey, createPublicKey } from "node:crypto";
import { existsSync } from "node:fs";
import { open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { generateLogKey, importLogKey, serverIdOf } from "@snug/crypto/identity";
import { Ed25519Public, type ServerId } from "@snug/protocol";
import { syncFolder } from "./folder.ts";
import { StartError } from "./startError.ts";

/** A key that signs checkpoints. */
export interface LogKey {
  readonly logKey: CryptoKey;
  readonly logPublic: Ed25519Public;
}

/** What a data folder's `keys` holds of the log. */
export interface LogKeys {
  /** The hash of the first log key. */
  readonly server: ServerId;
  readonly first: Ed25519Public;
  /** The key in office, and one that a rotation has put down; the log says which is which. */
  readonly held: readonly LogKey[];
}

/** The public half of the first key, which the server is known by for good. */
const firstFile = "log.pub";
const currentFile = "log.key";
const stagedFile = "log.key.next";

/** Makes the key that the server is known by, in a new data folder's `keys`. */
export async function makeLogKey(keys: string): Promise<void> {
  const made = await generateLogKey();
  await writeFile(join(keys, currentFile), made.pkcs8, { mode: 0o600, flush: true });
  await writeFile(join(keys, firstFile), JSON.stringify(made.public), { mode: 0o600, flush: true });
}

/** Throws StartError when the folder's keys are gone or damaged: without them this is another server. */
export async function readLogKeys(keys: string): Promise<LogKeys> {
  try {
    const first = Ed25519Public.parse(JSON.parse(await readFile(join(keys, firstFile), "utf8")));
    const found = [await readKey(join(keys, currentFile)), await readKey(join(keys, stagedFile))];
    const held = found.filter((key) => key !== null);
    if (held.length === 0) throw new Error("there is none");
    return { server: await serverIdOf(first), first, held };
  } catch (cause) {
    throw new StartError(`the server's log key in ${keys} can't be read`, { cause });
  }
}

/** null for no file, and for bytes that are no key: one that was cut short while it was written or erased. */
async function readKey(path: string): Promise<LogKey | null> {
  const pkcs8 = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw error;
  });
  const x = pkcs8 && publicHalf(pkcs8);
  if (!x) return null;
  const logPublic = Ed25519Public.parse({ kty: "OKP", crv: "Ed25519", x });
  return { logKey: await importLogKey(pkcs8), logPublic };
}

function publicHalf(pkcs8: Buffer): string | undefined {
  try {
    const key = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
    return createPublicKey(key).export({ format: "jwk" }).x;
  } catch {
    return undefined;
  }
}

/**
 * Brings the files in line with the log, after a rotation or one that was cut short: a staged key that is in office
 * takes the place of the one before, which is overwritten; any other is taken away.
 */
export async function settleLogKeys(keys: string, inOffice: Ed25519Public): Promise<void> {
  const staged = join(keys, stagedFile);
  if (!existsSync(staged)) return;
  if ((await readKey(staged))?.logPublic.x === inOffice.x) {
    await overwrite(join(keys, currentFile));
    await rename(staged, join(keys, currentFile));
  } else {
    await rm(staged);
  }
  await syncFolder(keys);
}

/**
 * Puts a new log key down beside the current one, durable. Throws StartError when one lies there already: it may be in
 * office without this process knowing.
 */
export async function stageLogKey(keys: string): Promise<LogKey> {
  const made = await generateLogKey();
  const options = { mode: 0o600, flush: true, flag: "wx" };
  await writeFile(join(keys, stagedFile), made.pkcs8, options).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== "EEXIST") throw cause;
    throw new StartError("an earlier change of the log key was cut short; restart the server first", {
      cause,
    });
  });
  await syncFolder(keys);
  return { logKey: await importLogKey(made.pkcs8), logPublic: made.public };
}

async function overwrite(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    const { size } = await file.stat();
    await file.write(new Uint8Array(size), 0, size, 0);
    await file.sync();
  } finally {
    await file.close();
  }
}
