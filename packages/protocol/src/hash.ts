import { sha256Bytes } from "#sha256";
import { type Hash, toBase64url } from "./ids.ts";

export { sha256Bytes };

/** SHA-256, base64url. */
export async function sha256(bytes: Uint8Array): Promise<Hash> {
  return toBase64url(await sha256Bytes(bytes)) as Hash;
}
