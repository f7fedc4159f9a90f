import { type Hash, toBase64url } from "./ids.ts";

/** SHA-256 by WebCrypto, base64url. */
export async function sha256(bytes: Uint8Array): Promise<Hash> {
  const digest = await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
  return toBase64url(new Uint8Array(digest)) as Hash;
}
