import { type Ed25519Public, type ServerId, SnugError, toBase64url } from "@snug/protocol";
import { ed25519PublicOf, rawEd25519, verifyEd25519 } from "./keys.ts";

const text = new TextEncoder();

/** What a checkpoint vouches for: how many statements, and the root of the tree over them (32 bytes). */
export interface Checkpoint {
  readonly size: number;
  readonly root: Uint8Array;
}

/** A new log key of a server. `pkcs8` is secret. */
export async function generateLogKey(): Promise<{ pkcs8: Uint8Array<ArrayBuffer>; public: Ed25519Public }> {
  const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
  const raw = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  return { pkcs8, public: ed25519PublicOf(toBase64url(raw)) };
}

export function importLogKey(pkcs8: Uint8Array): Promise<CryptoKey> {
  return crypto.subtle.importKey("pkcs8", pkcs8 as Uint8Array<ArrayBuffer>, "Ed25519", false, ["sign"]);
}

const originOf = (server: ServerId): string => `snug/${server}`;

/** A checkpoint (C2SP tlog-checkpoint) as a signed note (C2SP signed-note), origin `snug/{serverId}`. */
export async function signCheckpoint(of: {
  readonly server: ServerId;
  readonly logKey: CryptoKey;
  readonly logPublic: Ed25519Public;
  readonly size: number;
  readonly root: Uint8Array;
}): Promise<string> {
  const origin = originOf(of.server);
  const note = `${origin}\n${of.size}\n${of.root.toBase64()}\n`;
  const signature = new Uint8Array(await crypto.subtle.sign("Ed25519", of.logKey, text.encode(note)));
  const hash = await noteKeyHash(origin, rawEd25519(of.logPublic));
  const line = new Uint8Array([...hash, ...signature]).toBase64();
  return `${note}\n— ${origin} ${line}\n`;
}

/** The key hash of a signed note's Ed25519 key: the first four bytes of SHA-256(name ‖ LF ‖ 0x01 ‖ key). */
export async function noteKeyHash(name: string, key: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const input = new Uint8Array([...text.encode(`${name}\n`), 1, ...key]);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", input)).slice(0, 4);
}

const noteForm =
  /^(?<body>(?<origin>[^\s+]+)\n(?<size>0|[1-9][0-9]{0,15})\n(?<root>[A-Za-z0-9+/]{43}=)\n)\n(?<lines>(?:— [^\s+]+ [A-Za-z0-9+/]+={0,2}\n){1,16})$/;

/**
 * Checks a checkpoint against the server's log key. Lines by other signers (witnesses) are passed over.
 * Throws SnugError `malformed`, or `forbidden` when this server's log key did not sign it.
 */
export async function openCheckpoint(
  note: string,
  by: { readonly server: ServerId; readonly logPublic: Ed25519Public },
): Promise<{ size: number; root: Uint8Array<ArrayBuffer> }> {
  const { body = "", origin = "", size = "", root = "", lines = "" } = noteForm.exec(note)?.groups ?? {};
  if (body === "") throw new SnugError("malformed", "not a checkpoint");
  if (origin !== originOf(by.server)) {
    throw new SnugError("forbidden", `a checkpoint of another server: ${JSON.stringify(origin)}`);
  }
  const key = rawEd25519(by.logPublic);
  const signature = signatureOf(lines, origin, await noteKeyHash(origin, key));
  if (!signature || !(await verifyEd25519(by.logPublic, text.encode(body), signature))) {
    throw new SnugError("forbidden", "the checkpoint is not signed by this server's log key");
  }
  return { size: Number(size), root: decodeBase64(root) };
}

function signatureOf(lines: string, name: string, hash: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  for (const line of lines.split("\n")) {
    const [, signer, encoded = ""] = line.split(" ");
    if (signer !== name) continue;
    const bytes = decodeBase64(encoded);
    if (bytes.length === 68 && hash.every((byte, at) => byte === bytes[at])) return bytes.slice(4);
  }
  return undefined;
}

function decodeBase64(encoded: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.fromBase64(encoded, { lastChunkHandling: "strict" }) as Uint8Array<ArrayBuffer>;
  } catch (cause) {
    throw new SnugError("malformed", "a checkpoint with base64 that is none", { cause });
  }
}
