import { existsSync } from "node:fs";
import { open, readdir, rm, stat, statfs } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { performance } from "node:perf_hooks";
import { type FolderPaths, findFolder, isInUse } from "../folder.ts";
import { StartError } from "../startError.ts";
import { openReader } from "../store/schema.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

const megabyte = 1024 * 1024;
/** How long, and how often at most, the disk is tried. */
const trial = { ms: 1000, rounds: 500 } as const;
/** `f_type` of tmpfs and ramfs (statfs(2)). */
const inMemory: readonly number[] = [0x01021994, 0x858458f6];

/** A data folder that may be there, or be made at the first start. */
export interface FoundFolder {
  readonly paths: FolderPaths | undefined;
  /** The folder itself, or the nearest one above it that exists: its disk is the one that counts. */
  readonly existing: string;
  readonly running: boolean;
  readonly finding: Finding;
}

export async function findDataFolder(data: string): Promise<FoundFolder> {
  const root = resolve(data);
  const existing = nearest(root);
  if (existing !== root || (await isEmptyFolder(root))) {
    const finding = ok("folder", `there is none at ${root} yet: the first start makes it`);
    return { paths: undefined, existing, running: false, finding };
  }
  try {
    const paths = await findFolder(root);
    const running = isInUse(root);
    return { paths, existing, running, finding: await judgeFolder(paths, running) };
  } catch (cause) {
    if (!(cause instanceof StartError)) throw cause;
    const finding = fail(
      "folder",
      cause.message,
      "name another folder with --data, or run the Snug that made it",
    );
    return { paths: undefined, existing, running: false, finding };
  }
}

function nearest(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearest(dirname(path));
}

async function isEmptyFolder(path: string): Promise<boolean> {
  const entries = await readdir(path).catch(() => undefined);
  return entries?.length === 0;
}

async function judgeFolder(paths: FolderPaths, running: boolean): Promise<Finding> {
  const open: string[] = [];
  for (const folder of [paths.keys, paths.tls]) {
    for (const name of await readdir(folder)) {
      if (name.endsWith(".key") && (await isOpenToOthers(join(folder, name)))) open.push(join(folder, name));
    }
  }
  const advice = `chmod -R go-rwx ${paths.root}`;
  if (open.length > 0) return fail("folder", `others on this computer can read ${open.join(", ")}`, advice);
  if (await isOpenToOthers(paths.root)) {
    return warn("folder", `others on this computer can look into ${paths.root}`, advice);
  }
  const { uid } = await stat(paths.root);
  const own = process.getuid?.() ?? uid;
  if (uid !== own) {
    return warn(
      "folder",
      `${paths.root} belongs to user ${uid}, you are ${own}`,
      "run Snug's commands as the user that the server runs as",
    );
  }
  return ok(
    "folder",
    `${paths.root}, ${running ? "a server is running on it" : "no server is running on it"}`,
  );
}

async function isOpenToOthers(path: string): Promise<boolean> {
  return ((await stat(path)).mode & 0o077) !== 0;
}

/** Free bytes of the disk that the folder lies on. */
export async function checkSpace(folder: string): Promise<Finding> {
  const { bavail, bsize } = await statfs(folder);
  return judgeSpace(bavail * bsize);
}

export function judgeSpace(free: number): Finding {
  const fact = `${Math.round(free / megabyte)} MB are free`;
  const advice = "make room: on a full disk nothing more is accepted (nothing is lost)";
  if (free < 100 * megabyte) return fail("space", fact, advice);
  return free < 1024 * megabyte ? warn("space", fact, advice) : ok("space", fact);
}

/** How fast the disk makes things durable: written and fsynced, as each batch of letters is. */
export async function checkDisk(folder: string): Promise<Finding> {
  const path = join(folder, `.doctor-${process.pid}`);
  try {
    const file = await open(path, "wx", 0o600);
    try {
      const page = Buffer.alloc(4096, 1);
      const took: number[] = [];
      const began = performance.now();
      while (took.length < trial.rounds && performance.now() - began < trial.ms) {
        const before = performance.now();
        await file.write(page, 0, page.length, (took.length % 64) * page.length);
        await file.sync();
        took.push(performance.now() - before);
      }
      const { type } = await statfs(folder);
      return judgeDisk({ took, inMemory: inMemory.includes(type) });
    } finally {
      await file.close();
      await rm(path, { force: true });
    }
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    return fail(
      "disk",
      `${folder} can't be written and fsynced (${code ?? message})`,
      "name a folder that can, with --data",
    );
  }
}

/** `took`: ms of each write and fsync. */
export function judgeDisk(of: { readonly took: readonly number[]; readonly inMemory: boolean }): Finding {
  const sorted = of.took.toSorted((a, b) => a - b);
  const sum = sorted.reduce((total, ms) => total + ms, 0);
  const perSecond = Math.round((1000 * sorted.length) / Math.max(sum, 0.001));
  const half = sorted[Math.floor(sorted.length / 2)] ?? 0;
  const fact = `${perSecond} writes a second are made durable, half of them in ${half.toFixed(1)} ms`;
  if (of.inMemory) {
    return fail(
      "disk",
      "the folder lies in memory (tmpfs)",
      "name a folder on a disk with --data: this one is lost at a restart",
    );
  }
  if (perSecond < 50) {
    return warn(
      "disk",
      fact,
      "letters wait for it, though those that wait share one write; an SSD makes thousands",
    );
  }
  return ok("disk", fact);
}

/** SQLite's own check of the file: pages, indexes, order. Reads all of it. */
export function checkDatabase({ database }: FolderPaths): Finding {
  const advice =
    "end the server, keep a copy of the folder, and put the newest backup in its place (snug restore)";
  try {
    const reader = openReader(database);
    try {
      const said = reader.prepare("PRAGMA quick_check(1)").get()?.quick_check;
      if (said !== "ok") return fail("database", `snug.db is damaged: ${String(said)}`, advice);
      const size = Number(
        reader.prepare("SELECT page_count * page_size AS size FROM pragma_page_count, pragma_page_size").get()
          ?.size,
      );
      return ok("database", `snug.db is whole, ${Math.round(size / megabyte)} MB`);
    } finally {
      reader.close();
    }
  } catch (cause) {
    return fail("database", `snug.db can't be read: ${(cause as Error).message}`, advice);
  }
}
