import { createHash } from "node:crypto";
import type { ByteSource } from "@snug/media";

const block = 65_536;
const blocks = 16;

/**
 * Recognises a file after it was renamed, copied or touched, without reading all of it: SHA-256 over its size and 16
 * blocks of 64 KiB, the first and the last among them, at equal distances. Base64url.
 */
export async function fingerprint(source: ByteSource): Promise<string> {
  const hash = createHash("sha256").update(`${source.size}\n`);
  const last = Math.max(0, source.size - block);
  const offsets = new Set(Array.from({ length: blocks }, (_, at) => Math.floor((last * at) / (blocks - 1))));
  for (const offset of offsets) {
    hash.update(await source.read(offset, Math.min(block, source.size - offset)));
  }
  return hash.digest("base64url");
}
