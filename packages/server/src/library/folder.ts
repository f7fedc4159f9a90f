import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { type ByteSource, MediaError } from "@snug/media";
import { type FoundFile, stampOf } from "./walk.ts";

/** Follows no link in the last place, and waits for nobody should a pipe stand there. */
const readOnly = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

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
