/** A device's signature over `signInBytes` of the protocol: 64 bytes. */
export async function signSignIn(of: {
  readonly key: CryptoKey;
  readonly bytes: Uint8Array;
}): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.sign("Ed25519", of.key, of.bytes as Uint8Array<ArrayBuffer>));
}
