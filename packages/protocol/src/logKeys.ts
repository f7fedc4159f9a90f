import { z } from "zod";
import { decodeCbor, decodeDeterministicCbor, encodeCbor } from "./cbor.ts";
import { SnugError } from "./errors.ts";
import { ServerId } from "./ids.ts";
import { labels } from "./labels.ts";
import { limits } from "./limits.ts";
import { Ed25519Public } from "./statements.ts";

/** A leaf of the directory log that puts another log key in the place of the one before (I28). */
export interface LogKeyChange {
  readonly server: ServerId;
  /** 1 in the first change, then one more each time. */
  readonly number: number;
  readonly previous: Ed25519Public;
  readonly next: Ed25519Public;
  /** ms since 1970, informative. */
  readonly time: number;
}

export interface DecodedLogKeyChange {
  readonly change: LogKeyChange;
  /** Exactly the bytes that the signature covers. */
  readonly signed: Uint8Array<ArrayBuffer>;
  /** Ed25519, by the previous key. */
  readonly signature: Uint8Array<ArrayBuffer>;
}

const pair = z.tuple([
  z.instanceof(Uint8Array),
  z.instanceof(Uint8Array).refine(({ length }) => length === 64),
]);
const members = z.tuple([
  z.literal(labels.logKey),
  z.literal(1),
  ServerId,
  z.int().positive(),
  Ed25519Public,
  Ed25519Public,
  z.int().nonnegative(),
]);
const labelled = encodeCbor(labels.logKey);

/** The bytes to sign. */
export function encodeLogKeyChangeContent(change: LogKeyChange): Uint8Array<ArrayBuffer> {
  const { server, number, previous, next, time } = change;
  return encodeCbor([labels.logKey, 1, server, number, previous, next, time]);
}

/** Signed bytes and signature → the leaf as it is stored, served and hashed. */
export function encodeLogKeyChange(signed: Uint8Array, signature: Uint8Array): Uint8Array<ArrayBuffer> {
  return encodeCbor([signed, signature]);
}

/**
 * The change of the log key that a leaf is, or null for a leaf with another label: a statement.
 * Throws SnugError `malformed`, or `upgrade` for a later form.
 */
export function decodeLogKeyChange(leaf: Uint8Array): DecodedLogKeyChange | null {
  // In any spelling: nearly all leaves are statements, and their own decoder asks for the one.
  const outer = decodeCbor(leaf, limits.statement);
  const signed: unknown = Array.isArray(outer) ? outer[0] : undefined;
  // One byte opens the array; then the label stands (S2).
  if (!(signed instanceof Uint8Array) || !labelled.every((byte, at) => signed[at + 1] === byte)) return null;
  const parts = pair.safeParse(decodeDeterministicCbor(leaf, limits.statement));
  const content = decodeDeterministicCbor(signed, limits.statement);
  if (Array.isArray(content) && typeof content[1] === "number" && content[1] > 1) {
    throw new SnugError("upgrade", "a log key change of a newer version of Snug");
  }
  const parsed = members.safeParse(content);
  if (!parts.success || !parsed.success) throw new SnugError("malformed", "not a log key change");
  const [, , server, number, previous, next, time] = parsed.data;
  return {
    change: { server, number, previous, next, time },
    signed: signed as Uint8Array<ArrayBuffer>,
    signature: parts.data[1] as Uint8Array<ArrayBuffer>,
  };
}
