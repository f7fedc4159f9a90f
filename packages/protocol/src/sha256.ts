/** SHA-256 by WebCrypto, 32 bytes. Node takes a file of its own in place of this one (`imports` of the package). */
export async function sha256Bytes(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
}
