import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { type ByteSource, MediaError } from "@snug/media";
import { isVideoName, isVisibleName } from "./names.ts";

const mostFiles = 20_000;
const deepestFolder = 8;
/** Follows no link in the last place, and waits for nobody should a pipe stand there. */
const readOnly = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** A video file as the folder lists it, unread. */
export interface FoundFile {
  /** Relative to the folder, with `/`, exactly as the file system spells it. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Time of the last change, ns since 1970, decimal. */
  readonly changed: string;
  /** Size, time and inode: two files of one stamp have the same bytes, whatever they are called. */
  readonly stamp: string;
}

interface Stat {
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ino: bigint;
}

/**
 * All video files under a folder in the order of their paths. Dotfiles and symbolic links are passed over: a link that
 * leaves the folder leads outside, one that stays would list a file twice. Throws when the folder itself can't be read.
 */
export async function walkFolder(root: string): Promise<{ files: FoundFile[]; complete: boolean }> {
  const files: FoundFile[] = [];
  const waiting: { path: string; depth: number }[] = [{ path: "", depth: 0 }];
  let complete = true;
  for (let folder = waiting.shift(); folder !== undefined; folder = waiting.shift()) {
    const { path: parent, depth } = folder;
    for (const entry of await entriesOf(root, parent)) {
      if (!isVisibleName(entry.name)) continue;
      const path = parent === "" ? entry.name : `${parent}/${entry.name}`;
      if (entry.isDirectory()) {
        if (depth < deepestFolder) waiting.push({ path, depth: depth + 1 });
        else complete = false;
      } else if (entry.isFile() && isVideoName(entry.name)) {
        if (files.length >= mostFiles) return { files: sorted(files), complete: false };
        const found = await look(root, path);
        if (found !== undefined) files.push(found);
      }
    }
  }
  return { files: sorted(files), complete };
}

const sorted = (files: FoundFile[]): FoundFile[] =>
  files.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));

async function entriesOf(root: string, path: string) {
  try {
    return await readdir(join(root, path), { withFileTypes: true });
  } catch (error) {
    // A subfolder may go or be closed to us while we walk; the folder itself may not.
    if (path === "") throw error;
    return [];
  }
}

/** undefined when the file went away since its folder was read. */
async function look(root: string, path: string): Promise<FoundFile | undefined> {
  try {
    const stat = await lstat(join(root, path), { bigint: true });
    if (!stat.isFile()) return undefined;
    return { path, size: Number(stat.size), changed: String(stat.mtimeNs), stamp: stampOf(stat) };
  } catch {
    return undefined;
  }
}

const stampOf = (stat: Stat): string => `${stat.size}-${stat.mtimeNs}-${stat.ino}`;

/** An open file. Reads are synchronous: for worker threads. */
export interface OpenFile extends ByteSource, Disposable {
  /** Whether the bytes are still those that were stamped. */
  isUnchanged(): boolean;
}

/** Opens exactly the file that was found; undefined when something else stands at its path by now. */
export type OpenFound = (file: FoundFile) => OpenFile | undefined;

/** Opens files of a folder for {@link OpenFound}. */
export function openInside(root: string): OpenFound {
  return (file) => {
    let descriptor: number;
    try {
      descriptor = openSync(join(root, file.path), readOnly);
    } catch {
      return undefined;
    }
    const isUnchanged = (): boolean => stampOf(fstatSync(descriptor, { bigint: true })) === file.stamp;
    // Also what keeps out a folder that was replaced by a link since the walk: another file has another stamp.
    if (!isUnchanged()) {
      closeSync(descriptor);
      return undefined;
    }
    return {
      size: file.size,
      read: async (offset, length) => readFully(descriptor, offset, length),
      isUnchanged,
      [Symbol.dispose]: () => closeSync(descriptor),
    };
  };
}

function readFully(descriptor: number, offset: number, length: number): Uint8Array {
  // Its own memory, not the pool's: the bytes may be transferred to another thread.
  const bytes = Buffer.allocUnsafeSlow(length);
  let done = 0;
  while (done < length) {
    const count = readSync(descriptor, bytes, done, length - done, offset + done);
    if (count === 0) throw new MediaError("truncated", `the file ended at byte ${offset + done}`);
    done += count;
  }
  return bytes;
}
