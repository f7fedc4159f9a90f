import { hash } from "node:crypto";

/** SHA-256, 32 bytes. At once: handing a statement to a thread of WebCrypto's takes ten times as long as hashing it. */
export async function sha256Bytes(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(hash("sha256", bytes, "buffer"));
}
