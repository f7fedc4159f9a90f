/** Bytes of one box, or of several one after the other. */
export type Part = Uint8Array | readonly number[] | string;

/** Concatenates parts; strings are four-character types or other Latin-1 text. */
export function concat(...parts: readonly Part[]): Uint8Array {
  const arrays = parts.map((part) => (typeof part === "string" ? latin1(part) : part));
  const bytes = new Uint8Array(arrays.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of arrays) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (sign) => sign.charCodeAt(0));

/** A box (ISO/IEC 14496-12, 4.2) around its content. */
export function box(type: string, ...content: readonly Part[]): Uint8Array {
  const body = concat(...content);
  return concat(u32(body.length + 8), type, body);
}

/** A box with version and flags. */
export function fullBox(
  type: string,
  [version, flags]: readonly [number, number],
  ...content: readonly Part[]
): Uint8Array {
  return box(type, [version, (flags >> 16) & 0xff, (flags >> 8) & 0xff, flags & 0xff], ...content);
}

export const u16 = (value: number): readonly number[] => [(value >> 8) & 0xff, value & 0xff];
export const u32 = (value: number): readonly number[] => [
  (value >>> 24) & 0xff,
  (value >>> 16) & 0xff,
  (value >>> 8) & 0xff,
  value & 0xff,
];
