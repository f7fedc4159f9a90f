import {
  decodeLogKeyChange,
  type Ed25519Public,
  type ServerId,
  SnugError,
  toBase64url,
} from "@snug/protocol";
import { ed25519PublicOf } from "./keys.ts";
import { appointLogKey, type LogKeyTerm, logKeyAt } from "./logKeys.ts";
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
const appointmentName = (server: ServerId): string => `${originOf(server)}/log-key`;

/**
 * A checkpoint (C2SP tlog-checkpoint) as a signed note, origin and signer `snug/{serverId}`. `appointment` is the leaf
 * by which the signing key came into office; it goes along in a line of its own (I29).
 */
export async function signCheckpoint(
  of: Checkpoint & {
    readonly server: ServerId;
    readonly logKey: CryptoKey;
    readonly logPublic: Ed25519Public;
    readonly appointment?: Uint8Array | undefined;
  },
): Promise<string> {
  const name = originOf(of.server);
  const body = `${name}\n${of.size}\n${of.root.toBase64()}\n`;
  const note = await signNote(body, { name, key: of.logKey, public: of.logPublic });
  return of.appointment ? `${note}— ${appointmentName(of.server)} ${of.appointment.toBase64()}\n` : note;
}

/** The size that a checkpoint claims, whoever signed it. Throws SnugError `malformed`. */
export function unverifiedSize(note: string): number {
  const { body = "" } = /^(?<body>[^\n]+\n[^\n]+\n[^\n]+\n)\n/.exec(note)?.groups ?? {};
  const size = form.exec(body)?.groups?.size;
  if (size === undefined) throw new SnugError("malformed", "not a checkpoint");
  return Number(size);
}

/** Which log the reader knows: the server, its first log key, and the keys that came after it. */
export interface KnownLog {
  readonly server: ServerId;
  readonly first: Ed25519Public;
  readonly terms: readonly LogKeyTerm[];
}

/**
 * Opens a checkpoint that somebody else was shown. `appointed`: signed not by the key that the own log has for its
 * size, but by one that a key of the own log has appointed in another history (I29).
 * Throws SnugError `malformed`, or `forbidden` when no log key of the server is known to have signed it.
 */
export async function openShownCheckpoint(
  note: string,
  log: KnownLog,
): Promise<{ is: "signed"; size: number; root: Uint8Array<ArrayBuffer> } | { is: "appointed" }> {
  const { server, first, terms } = log;
  try {
    const logPublic = logKeyAt(terms, first, unverifiedSize(note));
    return { is: "signed", ...(await openCheckpoint(note, { server, logPublic })) };
  } catch (error) {
    if (!(error instanceof SnugError) || error.code !== "forbidden") throw error;
    if (await isAppointedElsewhere(note, log)) return { is: "appointed" };
    throw new SnugError(
      "forbidden",
      "its checkpoint is not signed by the log key that this server has shown us",
      { cause: error },
    );
  }
}

/** Whether a note is signed by a key that one of ours appointed by a leaf that our log does not have. */
async function isAppointedElsewhere(note: string, { server, first, terms }: KnownLog): Promise<boolean> {
  const name = `— ${appointmentName(server)} `;
  const line = note.split("\n").find((one) => one.startsWith(name));
  if (!line) return false;
  const leaf = decodeBase64(line.slice(name.length));
  const before = [first, ...terms.map(({ key }) => key)];
  const decoded = decodeLogKeyChange(leaf);
  const at = before.findIndex(({ x }) => x === decoded?.change.previous.x);
  if (!decoded || at < 0 || terms.some((term) => bytesEqual(term.leaf, leaf))) return false;
  await appointLogKey(terms.slice(0, at), { server, leaf, index: 0 });
  await openCheckpoint(note, { server, logPublic: decoded.change.next });
  return true;
}

function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
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
