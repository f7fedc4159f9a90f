import { type Ed25519Public, SnugError } from "@snug/protocol";
import { rawEd25519, verifyEd25519 } from "./keys.ts";

const text = new TextEncoder();

/** A name and an Ed25519 key that sign notes. */
export interface NoteKey {
  readonly name: string;
  readonly public: Ed25519Public;
}

/** A signed note (C2SP signed-note): the text, which ends with a line feed, an empty line, the signature line. */
export async function signNote(body: string, by: NoteKey & { readonly key: CryptoKey }): Promise<string> {
  const signature = new Uint8Array(await crypto.subtle.sign("Ed25519", by.key, text.encode(body)));
  const line = new Uint8Array([...(await noteKeyHash(by)), ...signature]).toBase64();
  return `${body}\n— ${by.name} ${line}\n`;
}

// The body may hold empty lines: the last one separates (the first group is greedy).
const form = /^(?<body>.*\n)\n(?<lines>(?:— [^\s+]+ [A-Za-z0-9+/]+={0,2}\n){1,16})$/s;

/**
 * A note's text, signed by this key. Lines by other signers (witnesses) are passed over.
 * Throws SnugError `malformed` or `forbidden`.
 */
export async function openNote(note: string, by: NoteKey): Promise<string> {
  const { body, lines } = form.exec(note)?.groups ?? {};
  if (body === undefined || lines === undefined) throw new SnugError("malformed", "not a signed note");
  const signature = signatureOf(lines, by.name, await noteKeyHash(by));
  if (!signature || !(await verifyEd25519(by.public, text.encode(body), signature))) {
    throw new SnugError("forbidden", `the note is not signed by ${by.name}`);
  }
  return body;
}

/** The first four bytes of SHA-256(name ‖ LF ‖ 0x01 ‖ key). */
export async function noteKeyHash(of: NoteKey): Promise<Uint8Array<ArrayBuffer>> {
  const input = new Uint8Array([...text.encode(`${of.name}\n`), 1, ...rawEd25519(of.public)]);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", input)).slice(0, 4);
}

function signatureOf(lines: string, name: string, hash: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  for (const line of lines.split("\n")) {
    const [, signer, encoded = ""] = line.split(" ");
    if (signer !== name) continue;
    const bytes = decodeBase64(encoded);
    if (hash.every((byte, at) => byte === bytes[at])) return bytes.slice(4);
  }
  return undefined;
}

/** Base64 with padding, strictly (RFC 4648 §4). Throws SnugError `malformed`. */
export function decodeBase64(encoded: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.fromBase64(encoded, { lastChunkHandling: "strict" }) as Uint8Array<ArrayBuffer>;
  } catch (cause) {
    throw new SnugError("malformed", "base64 that is none", { cause });
  }
}
