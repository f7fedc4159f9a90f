import {
  type Ed25519Public,
  fromBase64url,
  Id256,
  type KeyId,
  type RsaPublic,
  ServerId,
  SnugError,
  sha256,
} from "@snug/protocol";

const text = new TextEncoder();

/** The key id of a public key: its JWK thumbprint (RFC 7638, SHA-256). */
export async function keyIdOf(key: RsaPublic | Ed25519Public): Promise<KeyId> {
  // RFC 7638 §3.2: the required members only, in lexicographic order, without white space.
  const members =
    key.kty === "RSA" ? { e: key.e, kty: key.kty, n: key.n } : { crv: key.crv, kty: key.kty, x: key.x };
  return (await sha256(text.encode(JSON.stringify(members)))) as string as KeyId;
}

/** A server's id: SHA-256 of the 32 bytes of its log key. */
export async function serverIdOf(logKey: Ed25519Public): Promise<ServerId> {
  return ServerId.parse(await sha256(rawEd25519(logKey)));
}

/** The 32 bytes of an Ed25519 public key (RFC 8032). */
export function rawEd25519(key: Ed25519Public): Uint8Array<ArrayBuffer> {
  return fromBase64url(key.x);
}

/** The 32 bytes of a public key → the key as a JWK. */
export function ed25519PublicOf(x: string): Ed25519Public {
  return { kty: "OKP", crv: "Ed25519", x: Id256.parse(x) };
}

/** Throws SnugError `malformed` unless the modulus, of 384 bytes by its schema, has 3072 bits and is odd. */
export function checkRsaPublic(key: RsaPublic): void {
  // Four characters are three bytes, and 384 are a multiple of three.
  const first = fromBase64url(key.n.slice(0, 4))[0] ?? 0;
  const last = fromBase64url(key.n.slice(-4))[2] ?? 0;
  if (first < 0x80 || last % 2 === 0) {
    throw new SnugError("malformed", "an RSA key that is not of 3072 bits");
  }
}

type Use = keyof typeof imports;
// JOSE's keys are used letter by letter. Directories keep one object per key, so the object is the index.
const imported: Record<Exclude<Use, "PSS">, WeakMap<object, Promise<CryptoKey>>> = {
  OAEP: new WeakMap(),
  Ed25519: new WeakMap(),
};

function importOnce(use: Exclude<Use, "PSS">, key: RsaPublic | Ed25519Public): Promise<CryptoKey> {
  const known = imported[use].get(key);
  if (known) return known;
  const fresh = importPublic(use, key);
  imported[use].set(key, fresh);
  return fresh;
}

function importPublic(use: Use, key: RsaPublic | Ed25519Public): Promise<CryptoKey> {
  const { algorithm, usage } = imports[use];
  return crypto.subtle.importKey("jwk", { ...key }, algorithm, true, [usage]).catch((cause: unknown) => {
    throw new SnugError("malformed", "a public key that is none", { cause });
  });
}

const imports = {
  PSS: { algorithm: { name: "RSA-PSS", hash: "SHA-256" }, usage: "verify" },
  OAEP: { algorithm: { name: "RSA-OAEP", hash: "SHA-256" }, usage: "encrypt" },
  Ed25519: { algorithm: { name: "Ed25519" }, usage: "verify" },
} as const;

/**
 * RSA-PSS, SHA-256, a salt of 32 bytes (RFC 8017 §8.1). The imported key is let go: that costs a third of a
 * verification, and a directory of thousands would hold 6 KiB for each account.
 */
export async function verifyPss(
  key: RsaPublic,
  bytes: Uint8Array<ArrayBuffer>,
  signature: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  const algorithm = { name: "RSA-PSS", saltLength: 32 };
  return crypto.subtle.verify(algorithm, await importPublic("PSS", key), signature, bytes);
}

/** Ed25519 (RFC 8032). The imported key is let go, as above. */
export async function verifyEd25519(
  key: Ed25519Public,
  bytes: Uint8Array<ArrayBuffer>,
  signature: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  return crypto.subtle.verify("Ed25519", await importPublic("Ed25519", key), signature, bytes);
}

/** The key as JOSE wants it for RSA-OAEP-256. */
export function oaepKey(key: RsaPublic): Promise<CryptoKey> {
  checkRsaPublic(key);
  return importOnce("OAEP", key);
}

/** The key as JOSE wants it for EdDSA. */
export function eddsaKey(key: Ed25519Public): Promise<CryptoKey> {
  return importOnce("Ed25519", key);
}
