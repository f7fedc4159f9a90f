import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  randomBytes,
  timingSafeEqual,
} from "node:crypto";
import { StartError } from "../startError.ts";
import { decodeBech32, encodeBech32 } from "./bech32.ts";
import { ByteReader } from "./byteReader.ts";

// The format of age (C2SP age-encryption.org/v1) with one kind of recipient, X25519: docs/decisions/0007.
const intro = "age-encryption.org/v1";
const chunk = 64 * 1024;
const tag = 16;
const columns = 64;
/** Stanzas that are looked at; one has at most 2 KiB here. */
const mostStanzas = 32;

/** A key pair of which the server keeps the recipient only. */
export interface BackupKey {
  /** `AGE-SECRET-KEY-1…`: opens backups. */
  readonly identity: string;
  /** `age1…`: makes them. */
  readonly recipient: string;
}

export function generateBackupKey(): BackupKey {
  const { privateKey } = generateKeyPairSync("x25519");
  const { d = "", x = "" } = privateKey.export({ format: "jwk" });
  return {
    identity: encodeBech32("age-secret-key-", Buffer.from(d, "base64url")).toUpperCase(),
    recipient: encodeBech32("age", Buffer.from(x, "base64url")),
  };
}

/** Seals a stream to a recipient, 64 KiB at a time. Throws StartError for what is no recipient. */
export async function* encryptAge(
  recipient: string,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const to = decodeBech32("age", recipient);
  if (to?.length !== 32)
    throw new StartError("the folder's backup.pub is not the public half of a backup key");
  const fileKey = randomBytes(16);
  const { privateKey, publicKey } = generateKeyPairSync("x25519");
  const share = Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url");
  const secret = diffieHellman({ privateKey, publicKey: publicX25519(to) });
  const wrapped = seal(
    derive(secret, Buffer.concat([share, to]), `${intro}/X25519`),
    Buffer.alloc(12),
    fileKey,
  );
  const head = `${intro}\n-> X25519 ${base64(share)}\n${base64(wrapped)}\n---`;
  const nonce = randomBytes(16);
  yield Buffer.concat([Buffer.from(`${head} ${base64(headerMac(fileKey, head))}\n`), nonce]);
  const key = derive(fileKey, nonce, "payload");
  const reader = new ByteReader(source);
  let piece = await reader.take(chunk);
  for (let number = 0; ; number++) {
    const next = await reader.take(chunk);
    yield seal(key, chunkNonce(number, next.length === 0), piece);
    if (next.length === 0) return;
    piece = next;
  }
}

/**
 * Opens what was sealed to an identity. Every byte was authenticated before it is given out, and the end too: throws
 * StartError for another key, and for a file that is none, damaged or cut off.
 */
export async function* decryptAge(
  identity: string,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const own = decodeBech32("age-secret-key-", identity);
  if (own?.length !== 32) throw new StartError("this is not a backup key (AGE-SECRET-KEY-1…)");
  const reader = new ByteReader(source);
  const { head, stanzas, mac } = await readHeader(reader);
  const fileKey = unwrap(own, stanzas);
  if (!timingSafeEqual(headerMac(fileKey, head), mac)) throw damaged();
  const nonce = await reader.take(16);
  if (nonce.length < 16) throw damaged();
  const key = derive(fileKey, nonce, "payload");
  let piece = await reader.take(chunk + tag);
  for (let number = 0; ; number++) {
    const next = await reader.take(chunk + tag);
    const last = next.length === 0;
    const plain = open(key, chunkNonce(number, last), piece);
    // An empty last chunk is there only when everything is empty: else a cut at a chunk's end could be repaired.
    if (!plain || (plain.length === 0 && number > 0)) throw damaged();
    yield plain;
    if (last) return;
    piece = next;
  }
}

interface Stanza {
  readonly args: readonly string[];
  readonly body: Buffer;
}

async function readHeader(reader: ByteReader): Promise<{ head: string; stanzas: Stanza[]; mac: Buffer }> {
  const lines: string[] = [];
  const next = async (): Promise<string> => {
    const line = await reader.line(2048);
    if (line === undefined) throw notOne();
    lines.push(line);
    return line;
  };
  if ((await next()) !== intro) throw notOne();
  const stanzas: Stanza[] = [];
  for (let line = await next(); ; line = await next()) {
    if (line.startsWith("--- ")) {
      const mac = bytesOf(line.slice(4));
      if (mac?.length !== 32 || stanzas.length === 0) throw notOne();
      return { head: [...lines.slice(0, -1), "---"].join("\n"), stanzas, mac };
    }
    const args = line.split(" ").slice(1);
    const formed = line.startsWith("-> ") && args.every((arg) => /^[!-~]+$/.test(arg));
    if (!formed || stanzas.length === mostStanzas) throw notOne();
    const pieces: Buffer[] = [];
    for (let full = true; full; ) {
      const text = await next();
      const piece = bytesOf(text);
      if (!piece || text.length > columns) throw notOne();
      pieces.push(piece);
      full = text.length === columns;
    }
    stanzas.push({ args, body: Buffer.concat(pieces) });
  }
}

/** The file key, out of whichever stanza is for this identity. */
function unwrap(own: Uint8Array, stanzas: readonly Stanza[]): Buffer {
  const { key: privateKey, share: ownShare } = privateX25519(own);
  for (const { args, body } of stanzas) {
    const [kind, text = "", ...rest] = args;
    if (kind !== "X25519") continue;
    const share = bytesOf(text);
    if (share?.length !== 32 || rest.length > 0 || body.length !== 16 + tag) throw notOne();
    const secret = agree(privateKey, share);
    const fileKey = open(
      derive(secret, Buffer.concat([share, ownShare]), `${intro}/X25519`),
      Buffer.alloc(12),
      body,
    );
    if (fileKey) return fileKey;
  }
  throw new StartError("this backup key does not open this backup: it was made for another one");
}

function agree(privateKey: KeyObject, share: Buffer): Buffer {
  try {
    return diffieHellman({ privateKey, publicKey: publicX25519(share) });
  } catch (cause) {
    // A share of low order: nobody's honest work (RFC 7748 §6.1).
    throw new StartError("this file is not a backup: its key share is none", { cause });
  }
}

function publicX25519(raw: Uint8Array): KeyObject {
  const x = Buffer.from(raw).toString("base64url");
  return createPublicKey({ key: { kty: "OKP", crv: "X25519", x }, format: "jwk" });
}

/** PKCS #8 of a raw key (RFC 8410 §7): JWK would want the public half too. */
const pkcs8 = Buffer.from("302e020100300506032b656e04220420", "hex");

function privateX25519(raw: Uint8Array): { key: KeyObject; share: Buffer } {
  const key = createPrivateKey({ key: Buffer.concat([pkcs8, raw]), format: "der", type: "pkcs8" });
  const { x = "" } = key.export({ format: "jwk" });
  return { key, share: Buffer.from(x, "base64url") };
}

function derive(secret: Uint8Array, salt: Uint8Array, info: string): Buffer {
  return Buffer.from(hkdfSync("sha256", secret, salt, info, 32));
}

function headerMac(fileKey: Uint8Array, head: string): Buffer {
  return createHmac("sha256", derive(fileKey, new Uint8Array(), "header"))
    .update(head, "latin1")
    .digest();
}

/** 11 bytes of counter, one that says whether this is the last. */
function chunkNonce(number: number, last: boolean): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(number, 5, 6);
  nonce[11] = last ? 1 : 0;
  return nonce;
}

function seal(key: Uint8Array, nonce: Uint8Array, plain: Uint8Array): Buffer {
  const cipher = createCipheriv("chacha20-poly1305", key, nonce, { authTagLength: tag });
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

function open(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array): Buffer | undefined {
  if (sealed.length < tag) return undefined;
  const cipher = createDecipheriv("chacha20-poly1305", key, nonce, { authTagLength: tag });
  cipher.setAuthTag(sealed.subarray(-tag));
  const plain = cipher.update(sealed.subarray(0, -tag));
  try {
    return Buffer.concat([plain, cipher.final()]);
  } catch {
    return undefined;
  }
}

function base64(bytes: Uint8Array): string {
  return bytes.toBase64({ omitPadding: true });
}

/** Base64 without padding, in its one spelling; undefined for anything else. */
function bytesOf(text: string): Buffer | undefined {
  if (!/^[A-Za-z0-9+/]*$/.test(text)) return undefined;
  const bytes = Buffer.from(text, "base64");
  return base64(bytes) === text ? bytes : undefined;
}

function notOne(): StartError {
  return new StartError("this file is not a backup, or damaged at its beginning");
}

function damaged(): StartError {
  return new StartError("the backup is damaged or cut off: nothing was restored");
}
