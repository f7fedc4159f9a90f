import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { isUnset } from "./clock.ts";
import { StartError } from "./startError.ts";

/** The version of the data folder's layout that this program writes. A folder with a higher one is refused. */
const folderVersion = 1;
export const versionFile = "version";
const lockFile = "lock";

/** Paths inside a data folder. */
export interface FolderPaths {
  readonly root: string;
  readonly database: string;
  readonly keys: string;
  readonly tls: string;
  readonly indexes: string;
}

/** A data folder that no other server has open. Disposing gives it free. */
export interface DataFolder extends Disposable {
  readonly paths: FolderPaths;
}

function pathsOf(root: string): FolderPaths {
  return {
    root,
    database: join(root, "snug.db"),
    keys: join(root, "keys"),
    tls: join(root, "tls"),
    indexes: join(root, "indexes"),
  };
}

/**
 * Opens the data folder, or makes it: everything is written into a sibling that is renamed last, so that a start
 * that fails or is killed leaves no half of a folder. `fill` writes what a new folder holds.
 * Throws StartError for a folder in use, of a newer version, not ours, or on a disk that can't be written and fsynced.
 */
export async function openFolder(
  data: string,
  fill: (paths: FolderPaths) => Promise<void>,
): Promise<DataFolder> {
  const root = resolve(data);
  if (await isNew(root)) await makeFolder(root, fill);
  else await checkVersion(root);
  await probe(root).catch((cause: NodeJS.ErrnoException) => {
    throw unwritable(root, cause);
  });
  const lock = takeLock(root);
  if (!lock) throw new StartError(`another server is running on the data folder ${root}`);
  return { paths: pathsOf(root), [Symbol.dispose]: () => lock.close() };
}

/** Opens a folder that exists, so that no server starts on it meanwhile. Throws StartError like {@link openFolder}. */
export async function openExisting(data: string): Promise<DataFolder> {
  const paths = await findFolder(data);
  const lock = takeLock(paths.root);
  if (!lock) throw new StartError(`a server is running on the data folder ${paths.root}: end it first`);
  return { paths, [Symbol.dispose]: () => lock.close() };
}

/** Whether a server has the folder open now. */
export function isInUse(data: string): boolean {
  const lock = takeLock(resolve(data));
  lock?.close();
  return lock === undefined;
}

/** The paths of an existing folder; throws StartError when there is none of a version we know. */
export async function findFolder(data: string): Promise<FolderPaths> {
  const root = resolve(data);
  if (await isNew(root)) throw new StartError(`there is no Snug data folder at ${root}`);
  await checkVersion(root);
  return pathsOf(root);
}

async function isNew(root: string): Promise<boolean> {
  try {
    return (await readdir(root)).length === 0;
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === "ENOENT") return true;
    if (code === "ENOTDIR") throw new StartError(`${root} is a file, not a data folder`);
    throw new StartError(`the data folder ${root} can't be read (${code})`, { cause });
  }
}

async function checkVersion(root: string): Promise<void> {
  const text = await readFile(join(root, versionFile), "utf8").catch((cause: unknown) => {
    throw new StartError(`${root} is not empty and not a Snug data folder`, { cause });
  });
  mustKnowVersion(text, `the data folder ${root}`);
}

/** Throws StartError for the text of a version file that is none, or that a newer Snug has written. */
export function mustKnowVersion(text: string, whose: string): void {
  const version = /^[0-9]{1,6}\n$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(version)) throw new StartError(`${whose} is not one of Snug's: its version is unreadable`);
  if (version > folderVersion) {
    throw new StartError(
      `${whose} was made by a newer Snug (version ${version}, this one knows ${folderVersion})`,
    );
  }
}

/** Makes a data folder that `fill` fills; nothing is there before it is whole. Throws StartError where something is. */
export async function makeNewFolder(
  data: string,
  fill: (paths: FolderPaths) => Promise<void>,
): Promise<void> {
  const root = resolve(data);
  if (!(await isNew(root))) throw new StartError(`${root} is not empty: name a folder that is not there yet`);
  await makeFolder(root, fill);
}

/** Takes a lock of a data folder for something that only one process does at a time. Throws StartError. */
export function lockFor(root: string, what: "backup"): Disposable {
  const lock = takeLock(root, `${what}.lock`);
  if (!lock) throw new StartError(`another ${what} is running on the data folder ${root}`);
  return { [Symbol.dispose]: () => lock.close() };
}

async function makeFolder(root: string, fill: (paths: FolderPaths) => Promise<void>): Promise<void> {
  const now = Date.now();
  if (isUnset(now)) {
    throw new StartError(
      `the clock says ${new Date(now).toISOString()}, long before Snug was made: set it first (timedatectl set-ntp true), since a data folder made now would have certificates that have ended when the clock is right`,
    );
  }
  const parent = dirname(root);
  const made = await makeParents(parent).catch((cause: NodeJS.ErrnoException) => {
    throw unwritable(root, cause);
  });
  const temporary = join(parent, `.${basename(root)}-${randomBytes(6).toString("hex")}`);
  try {
    await mkdir(temporary, { mode: 0o700 });
    await probe(temporary);
    const paths = pathsOf(temporary);
    for (const folder of [paths.keys, paths.tls, paths.indexes]) await mkdir(folder, { mode: 0o700 });
    await fill(paths);
    takeLock(temporary)?.close();
    await writeFile(join(temporary, versionFile), `${folderVersion}\n`, { mode: 0o600, flush: true });
    await syncFolder(temporary);
    await rename(temporary, root);
    await syncFolder(parent);
  } catch (cause) {
    await rm(temporary, { recursive: true, force: true });
    if (made !== undefined) await rm(made, { recursive: true, force: true });
    if (cause instanceof StartError) throw cause;
    throw unwritable(root, cause as NodeJS.ErrnoException);
  }
}

/** Makes what is missing of a path, and returns the first folder made. (Node's own recursion never ends below /proc.) */
async function makeParents(folder: string): Promise<string | undefined> {
  try {
    await mkdir(folder);
    return folder;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "EEXIST") return undefined;
    if (code !== "ENOENT" || dirname(folder) === folder) throw cause;
  }
  const first = await makeParents(dirname(folder));
  await mkdir(folder);
  return first ?? folder;
}

/** Writes, fsyncs and removes a file: what can't be made durable must not be promised. Throws what the system says. */
async function probe(root: string): Promise<void> {
  const path = join(root, `.probe-${randomBytes(6).toString("hex")}`);
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile("snug");
    await file.sync();
  } finally {
    await file.close();
    await rm(path, { force: true });
  }
  await syncFolder(root);
}

/** What was made or renamed in it is durable then. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function unwritable(root: string, cause: NodeJS.ErrnoException): StartError {
  return new StartError(
    `the data folder ${root} can't be written and fsynced (${cause.code ?? cause.message})`,
    {
      cause,
    },
  );
}

/** A lock of the operating system, by way of SQLite: it ends with the process, however that ends. */
function takeLock(root: string, name = lockFile): DatabaseSync | undefined {
  const lock = new DatabaseSync(join(root, name), { timeout: 0 });
  try {
    lock.exec("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=MEMORY; BEGIN EXCLUSIVE; COMMIT");
    return lock;
  } catch (cause) {
    lock.close();
    if (/locked/.test((cause as Error).message)) return undefined;
    throw cause;
  }
}

/** True for a folder that exists; a file or nothing is not one. */
export async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
    return false;
  }
}
