import { type DecodeOptions, decode, encode, rfc8949EncodeOptions } from "cborg";
import { decodeStrict, unusual } from "./cborDecoding.ts";
import { encodePlain } from "./cborEncoding.ts";
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
  return encodePlain(value) ?? (encode(value, rfc8949EncodeOptions) as Uint8Array<ArrayBuffer>);
}

/**
 * Strict CBOR → value. Size and depth are bounded before anything is built.
 * Throws SnugError `malformed` for tags, indefinite lengths, duplicate keys, floats that are no numbers, text that is
 * not UTF-8 or begins with a byte order mark, trailing bytes.
 */
export function decodeCbor(bytes: Uint8Array, most: number = limits.frame): unknown {
  mustFit(bytes, most);
  const value = decodeStrict(bytes, "strict");
  if (value !== unusual) return value;
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
  mustFit(bytes, most);
  const value = decodeStrict(bytes, "deterministic");
  if (value !== unusual) return value;
  const floating = decodeCbor(bytes, most);
  const again = encodeCbor(floating);
  if (again.length !== bytes.length || !again.every((byte, at) => byte === bytes[at])) {
    throw new SnugError("malformed", "CBOR is not in its deterministic form");
  }
  return floating;
}

function mustFit({ length }: Uint8Array, most: number): void {
  if (length > most) throw new SnugError("too-large", `${length} bytes received, at most ${most} are taken`);
}
