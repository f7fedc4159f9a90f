import type { Label } from "@snug/protocol";

/** HKDF-SHA-256 (RFC 5869) without salt: 32 bytes from a uniform secret, the label as info. */
export async function derive(secret: Uint8Array, label: Label): Promise<Uint8Array<ArrayBuffer>> {
  const key = await crypto.subtle.importKey("raw", secret as Uint8Array<ArrayBuffer>, "HKDF", false, [
    "deriveBits",
  ]);
  const info = new TextEncoder().encode(label);
  const salt = new Uint8Array();
  return new Uint8Array(
    await crypto.subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt, info }, key, 256),
  );
}
