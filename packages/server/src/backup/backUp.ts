import { randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { copyFile, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { findFolder, lockFor, syncFolder, versionFile } from "../folder.ts";
import { StartError } from "../startError.ts";
import { openReader } from "../store/schema.ts";
import { encryptAge, generateBackupKey } from "./age.ts";
import { checkContents, contentNames, type Manifest, manifestFile, recipientFile } from "./contents.ts";
import { packTar, type TarEntry } from "./tar.ts";

/** A backup that was made. */
export interface BackedUp {
  readonly file: string;
  readonly bytes: number;
}

/** A log key that is changed while the files are copied makes another copy necessary; nobody changes it three times. */
const attempts = 3;

/**
 * Writes one encrypted file of everything that the server of a data folder is, running or not: the database as it is
 * at one moment, keys and certificates; no videos, no caches. The first backup makes the key that opens all of them:
 * `show` gets it once and must have shown it when it resolves; the folder keeps the public half.
 * Throws StartError; then there is no file.
 */
export async function backUp(of: {
  readonly data: string;
  readonly file: string;
  readonly now: number;
  readonly show: (identity: string) => Promise<void>;
}): Promise<BackedUp> {
  const { root } = await findFolder(of.data);
  const file = resolve(of.file);
  await mustBeFree(file);
  using _ = lockFor(root, "backup");
  const stage = join(root, "backup.tmp");
  try {
    const { recipient, identity } = await keyOf(root);
    await takeSnapshot(root, { stage, now: of.now, recipient });
    const bytes = await writeEncrypted(file, recipient, entriesOf(stage, of.now));
    if (identity !== undefined) {
      await of.show(identity);
      await writeFile(join(root, recipientFile), `${recipient}\n`, { mode: 0o600, flush: true });
    }
    return { file, bytes };
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

async function mustBeFree(file: string): Promise<void> {
  const there = await stat(file).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return undefined;
    throw new StartError(`${file} can't be written (${cause.code})`, { cause });
  });
  if (there) throw new StartError(`${file} exists already: a backup never takes the place of another`);
}

async function keyOf(root: string): Promise<{ recipient: string; identity?: string }> {
  try {
    return { recipient: (await readFile(join(root, recipientFile), "utf8")).trim() };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
    return generateBackupKey();
  }
}

/** A copy of the folder as it is at one moment, looked over as a restore would. */
async function takeSnapshot(
  root: string,
  of: { readonly stage: string; readonly now: number; readonly recipient: string },
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    await rm(of.stage, { recursive: true, force: true });
    await mkdir(of.stage, { mode: 0o700 });
    await copyFile(join(root, versionFile), join(of.stage, versionFile));
    await writeFile(join(of.stage, recipientFile), `${of.recipient}\n`, { mode: 0o600 });
    for (const folder of ["keys", "tls"]) await copyFiles(join(root, folder), join(of.stage, folder));
    const database = openReader(join(root, "snug.db"));
    try {
      // One read transaction: the copy is of one moment, and nobody who writes waits for it.
      database.prepare("VACUUM INTO ?").run(join(of.stage, "snug.db"));
    } finally {
      database.close();
    }
    try {
      const server = await checkContents(of.stage);
      const manifest: Manifest = { format: 1, made: of.now, server };
      await writeFile(join(of.stage, manifestFile), JSON.stringify(manifest), { mode: 0o600 });
      return;
    } catch (cause) {
      if (attempt === attempts) throw cause;
    }
  }
}

async function copyFiles(from: string, to: string): Promise<void> {
  await mkdir(to, { mode: 0o700 });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (entry.isFile()) await copyFile(join(from, entry.name), join(to, entry.name));
  }
}

/** The manifest first: it says what the rest is. */
async function* entriesOf(stage: string, time: number): AsyncGenerator<TarEntry> {
  const found = await readdir(stage, { recursive: true, withFileTypes: true });
  const names = found
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(stage.length + 1))
    .filter((name) => contentNames.test(name));
  for (const name of [manifestFile, ...names.filter((other) => other !== manifestFile).sort()]) {
    const path = join(stage, name);
    yield { name, size: (await stat(path)).size, time, content: createReadStream(path) };
  }
}

async function writeEncrypted(
  file: string,
  recipient: string,
  entries: AsyncIterable<TarEntry>,
): Promise<number> {
  const temporary = join(dirname(file), `.${basename(file)}-${randomBytes(6).toString("hex")}`);
  try {
    const handle = await open(temporary, "wx", 0o600);
    try {
      await pipeline(Readable.from(encryptAge(recipient, packTar(entries))), async (pieces) => {
        for await (const piece of pieces) await handle.writeFile(piece as Uint8Array);
      });
      await handle.sync();
    } finally {
      await handle.close();
    }
    const { size } = await stat(temporary);
    await rename(temporary, file);
    await syncFolder(dirname(file));
    return size;
  } catch (cause) {
    await rm(temporary, { force: true });
    if (cause instanceof StartError) throw cause;
    throw new StartError(`the backup ${file} can't be written: ${(cause as Error).message}`, { cause });
  }
}
