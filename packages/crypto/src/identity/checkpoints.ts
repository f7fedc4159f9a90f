import { type Ed25519Public, type ServerId, SnugError, toBase64url } from "@snug/protocol";
import { ed25519PublicOf } from "./keys.ts";
import { decodeBase64, openNote, signNote } from "./notes.ts";

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

/** A checkpoint (C2SP tlog-checkpoint) as a signed note, origin and signer `snug/{serverId}`. */
export function signCheckpoint(
  of: Checkpoint & {
    readonly server: ServerId;
    readonly logKey: CryptoKey;
    readonly logPublic: Ed25519Public;
  },
): Promise<string> {
  const name = originOf(of.server);
  const body = `${name}\n${of.size}\n${of.root.toBase64()}\n`;
  return signNote(body, { name, key: of.logKey, public: of.logPublic });
}

// At most 15 digits: every size is an exact number.
const form = /^(?<origin>[^\n]+)\n(?<size>0|[1-9][0-9]{0,14})\n(?<root>[A-Za-z0-9+/]{43}=)\n$/;

/**
 * Checks a checkpoint against the server's log key.
 * Throws SnugError `malformed`, or `forbidden` when this server's log key did not sign it.
 */
export async function openCheckpoint(
  note: string,
  by: { readonly server: ServerId; readonly logPublic: Ed25519Public },
): Promise<{ size: number; root: Uint8Array<ArrayBuffer> }> {
  const name = originOf(by.server);
  const body = await openNote(note, { name, public: by.logPublic });
  const { origin, size, root } = form.exec(body)?.groups ?? {};
  if (origin !== name || size === undefined || root === undefined) {
    throw new SnugError("malformed", "a signed note that is not a checkpoint of this server");
  }
  return { size: Number(size), root: decodeBase64(root) };
}
