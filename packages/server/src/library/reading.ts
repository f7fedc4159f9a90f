import { setImmediate } from "node:timers/promises";
import { type ByteSource, encodeIndex, MediaError, readIndex } from "@snug/media";
import { fingerprint } from "./fingerprint.ts";
import type { OpenFound } from "./folder.ts";
import type { Records } from "./records.ts";
import type { FoundFile } from "./walk.ts";

/** Segments are cut in the same thread: reading gives way to them this often, ms. */
const slice = 4;
/** A file that ended the worker so often is left alone. */
const mostAttempts = 2;

/** Reads one whole file into the records; gives false when it can't be opened, changed or went meanwhile. */
export async function readFile(file: FoundFile, records: Records, openFound: OpenFound): Promise<boolean> {
  using open = openFound(file);
  if (open === undefined) return false;
  if (records.begin(file.stamp) >= mostAttempts) {
    records.keepFile(file.stamp, { content: null, problem: "damaged: it could not be read" }, null);
    return true;
  }
  const source = givingWay(open);
  const content = await fingerprint(source);
  const { problem, media } = await readMedia(source);
  if (!open.isUnchanged()) return false;
  records.keepFile(file.stamp, { content, problem }, media);
  return true;
}

async function readMedia(source: ByteSource): Promise<{ problem: string | null; media: Uint8Array | null }> {
  try {
    const index = await readIndex(source);
    return { problem: index.problem, media: index.problem === null ? encodeIndex(index) : null };
  } catch (error) {
    if (!(error instanceof MediaError)) throw error;
    const problem = error.code === "unsupported" ? error.message : `damaged: ${error.message}`;
    return { problem, media: null };
  }
}

function givingWay(source: ByteSource): ByteSource {
  let since = performance.now();
  return {
    size: source.size,
    read: async (offset, length) => {
      if (performance.now() - since > slice) {
        await setImmediate();
        since = performance.now();
      }
      return await source.read(offset, length);
    },
  };
}
