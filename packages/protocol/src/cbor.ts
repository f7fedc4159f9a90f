import { type DecodeOptions, decode, encode, rfc8949EncodeOptions } from "cborg";
import { SnugError } from "./errors.ts";
import { limits } from "./limits.ts";

const strict: DecodeOptions = {
  strict: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowInfinity: false,
  allowNaN: false,
  allowBigInt: false,
  rejectDuplicateMapKeys: true,
  tags: [],
};

/** A value as deterministic CBOR (RFC 8949 §4.2.1): shortest lengths, keys in bytewise order, no tags. */
export function encodeCbor(value: unknown): Uint8Array<ArrayBuffer> {
  return encode(value, rfc8949EncodeOptions) as Uint8Array<ArrayBuffer>;
}

/**
 * Strict CBOR → value. Size and depth are bounded before anything is built.
 * Throws SnugError `malformed` for tags, indefinite lengths, duplicate keys, floats that are no numbers, text that is
 * not UTF-8 or begins with a byte order mark, trailing bytes.
 */
export function decodeCbor(bytes: Uint8Array, most: number = limits.frame): unknown {
  if (bytes.length > most) {
    throw new SnugError("too-large", `${bytes.length} bytes received, at most ${most} are taken`);
  }
  checkDepth(bytes);
  try {
    return decode(bytes, strict);
  } catch (cause) {
    throw new SnugError("malformed", "not strict CBOR", { cause });
  }
}

/**
 * Like {@link decodeCbor}, and refuses any encoding but the deterministic one: for bytes that are hashed or signed,
 * where two spellings of one value would be two identities.
 */
export function decodeDeterministicCbor(bytes: Uint8Array, most: number = limits.frame): unknown {
  const value = decodeCbor(bytes, most);
  const again = encodeCbor(value);
  if (again.length !== bytes.length || !again.every((byte, at) => byte === bytes[at])) {
    throw new SnugError("malformed", "CBOR is not in its deterministic form");
  }
  return value;
}

// The decoder puts U+FFFD where text is not UTF-8 and drops a byte order mark: different bytes would mean one text.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function checkText(bytes: Uint8Array): void {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch (cause) {
    throw new SnugError("malformed", "CBOR with text that is not UTF-8", { cause });
  }
  if (text.startsWith("\ufeff")) throw new SnugError("malformed", "CBOR with text after a byte order mark");
}

/** Walks heads and texts only, so that nesting is known before the decoder, which recurses, sees the bytes. */
function checkDepth(bytes: Uint8Array): void {
  const open: number[] = [];
  let at = 0;
  do {
    while (open.length > 0 && open[open.length - 1] === 0) open.pop();
    if (open.length > 0) open[open.length - 1] = (open[open.length - 1] ?? 0) - 1;
    const head = readHead(bytes, at);
    at = head.next;
    if (head.items > 0) {
      if (open.length >= limits.depth)
        throw new SnugError("malformed", `CBOR nests deeper than ${limits.depth}`);
      open.push(head.items);
    }
    while (open.length > 0 && open[open.length - 1] === 0) open.pop();
  } while (open.length > 0);
}

function readHead(bytes: Uint8Array, at: number): { next: number; items: number } {
  const initial = bytes[at];
  if (initial === undefined) throw new SnugError("malformed", "CBOR ends in the middle");
  const major = initial >> 5;
  const info = initial & 31;
  if (info > 27) throw new SnugError("malformed", "CBOR with an indefinite or reserved length");
  const width = info < 24 ? 0 : 1 << (info - 24);
  if (at + 1 + width > bytes.length) throw new SnugError("malformed", "CBOR ends in the middle");
  let value = info < 24 ? info : 0;
  for (let i = 0; i < width; i++) value = value * 256 + (bytes[at + 1 + i] ?? 0);
  const next = at + 1 + width;
  if (major === 6) throw new SnugError("malformed", "CBOR with a tag");
  if (major === 2 || major === 3) {
    if (value > bytes.length - next) throw new SnugError("malformed", "CBOR ends in the middle");
    if (major === 3) checkText(bytes.subarray(next, next + value));
    return { next: next + value, items: 0 };
  }
  if (major === 4 || major === 5) {
    // Every item takes a byte at least: an impossible count is refused before it is believed.
    const items = major === 5 ? value * 2 : value;
    if (items > bytes.length - next) throw new SnugError("malformed", "CBOR ends in the middle");
    return { next, items };
  }
  return { next, items: 0 };
}
