import { createHash } from "node:crypto";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { isVideoName, isVisibleName } from "./names.ts";

const mostFiles = 20_000;
const deepestFolder = 8;

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

export interface Stat {
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ino: bigint;
}

/** What a folder holds. */
export interface Walk {
  /** In the order of their paths. */
  readonly files: FoundFile[];
  /** The folders that were looked into, relative, the root itself as "". */
  readonly folders: string[];
  /** False when there is more than is looked at. */
  readonly complete: boolean;
}

/**
 * All video files under a folder in the order of their paths. Dotfiles and symbolic links are passed over: a link that
 * leaves the folder leads outside, one that stays would list a file twice. Throws when the folder itself can't be read.
 */
export async function walkFolder(root: string): Promise<Walk> {
  const files: FoundFile[] = [];
  const folders: string[] = [];
  const waiting: { path: string; depth: number }[] = [{ path: "", depth: 0 }];
  let complete = true;
  for (let folder = waiting.shift(); folder !== undefined; folder = waiting.shift()) {
    const { path: parent, depth } = folder;
    folders.push(parent);
    for (const entry of await entriesOf(root, parent)) {
      if (!isVisibleName(entry.name)) continue;
      const path = parent === "" ? entry.name : `${parent}/${entry.name}`;
      if (entry.isDirectory()) {
        if (depth < deepestFolder) waiting.push({ path, depth: depth + 1 });
        else complete = false;
      } else if (entry.isFile() && isVideoName(entry.name)) {
        if (files.length >= mostFiles) return { files: sorted(files), folders, complete: false };
        const found = await look(root, path);
        if (found !== undefined) files.push(found);
      }
    }
  }
  return { files: sorted(files), folders, complete };
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

export const stampOf = (stat: Stat): string => `${stat.size}-${stat.mtimeNs}-${stat.ino}`;

/** Two walks of one signature found the same bytes at the same paths. */
export function signatureOf({ files, complete }: Walk): string {
  const digest = createHash("sha256").update(String(complete));
  for (const { path, stamp } of files) digest.update(`\0${path}\0${stamp}`);
  return digest.digest("base64url");
}
