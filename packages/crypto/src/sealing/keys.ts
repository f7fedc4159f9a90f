import { Id256, type KeyId, RsaPublic, toBase64url } from "@snug/protocol";
import { ed25519PublicOf, keyIdOf } from "../identity/keys.ts";

/** An account's private keys on one device, non-extractable. `encryption` in the order of the statements. */
export interface AccountKeys {
  /** RSA-PSS; signs statements and nothing else. */
  readonly signing: CryptoKey;
  /** RSA-OAEP; the last one is the newest. */
  readonly encryption: readonly { readonly keyId: KeyId; readonly key: CryptoKey }[];
  /** Ed25519; signs in, signs letters. */
  readonly device: CryptoKey;
}

/** The same keys as PKCS #8 bytes: secret, for a file that only its owner can read. */
export interface ExportedKeys {
  readonly signing: Uint8Array<ArrayBuffer>;
  readonly encryption: readonly { readonly keyId: KeyId; readonly key: Uint8Array<ArrayBuffer> }[];
  readonly device: Uint8Array<ArrayBuffer>;
}

// 3072 bits, e = 65537.
const rsa = { modulusLength: 3072, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256" };

export interface MadeKey<Public> {
  readonly pkcs8: Uint8Array<ArrayBuffer>;
  readonly public: Public;
  readonly keyId: KeyId;
}

/** A new RSA-3072 key of either use. */
export async function makeRsaKey(use: "signing" | "encryption"): Promise<MadeKey<RsaPublic>> {
  const pair =
    use === "signing"
      ? await crypto.subtle.generateKey({ name: "RSA-PSS", ...rsa }, true, ["sign", "verify"])
      : await crypto.subtle.generateKey({ name: "RSA-OAEP", ...rsa }, true, ["encrypt", "decrypt"]);
  const { kty, n, e } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  const key = RsaPublic.parse({ kty, n, e });
  return { pkcs8: await pkcs8Of(pair.privateKey), public: key, keyId: await keyIdOf(key) };
}

/** A new Ed25519 key. */
export async function makeDeviceKey(): Promise<MadeKey<ReturnType<typeof ed25519PublicOf>>> {
  const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  const raw = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  const key = ed25519PublicOf(Id256.parse(toBase64url(raw)));
  return { pkcs8: await pkcs8Of(pair.privateKey), public: key, keyId: await keyIdOf(key) };
}

async function pkcs8Of(key: CryptoKey): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.exportKey("pkcs8", key));
}

/** PKCS #8 bytes → keys that can be used but not read out. */
export async function importAccountKeys(exported: ExportedKeys): Promise<AccountKeys> {
  const [signing, device, ...encryption] = await Promise.all([
    importSigningKey(exported.signing),
    crypto.subtle.importKey("pkcs8", exported.device, "Ed25519", false, ["sign"]),
    ...exported.encryption.map(async ({ keyId, key }) => ({ keyId, key: await importEncryptionKey(key) })),
  ]);
  return { signing, encryption, device };
}

/** A signing key for statements. */
export function importSigningKey(pkcs8: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
  return crypto.subtle.importKey("pkcs8", pkcs8, { name: "RSA-PSS", hash: "SHA-256" }, false, ["sign"]);
}

function importEncryptionKey(pkcs8: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
  return crypto.subtle.importKey("pkcs8", pkcs8, { name: "RSA-OAEP", hash: "SHA-256" }, false, ["decrypt"]);
}
