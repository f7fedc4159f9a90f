const alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const generators = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];

/** Bytes as Bech32 (BIP 173, without its bound of 90 characters, as age uses it), in lower case. */
export function encodeBech32(prefix: string, bytes: Uint8Array): string {
  const words = regroup(bytes, { from: 8, to: 5, pad: true });
  const rest = checksum(prefix, [...words, 0, 0, 0, 0, 0, 0]) ^ 1;
  const check = [5, 4, 3, 2, 1, 0].map((at) => (rest >>> (5 * at)) & 31);
  return `${prefix}1${[...words, ...check].map((word) => alphabet[word]).join("")}`;
}

/** Bech32 of this prefix, all in one case → bytes; undefined for anything else. */
export function decodeBech32(prefix: string, text: string): Uint8Array<ArrayBuffer> | undefined {
  const lower = text.toLowerCase();
  if (text !== lower && text !== text.toUpperCase()) return undefined;
  if (!lower.startsWith(`${prefix}1`)) return undefined;
  const words = [...lower.slice(prefix.length + 1)].map((character) => alphabet.indexOf(character));
  if (words.length < 6 || words.includes(-1) || checksum(prefix, words) !== 1) return undefined;
  const padded = words.slice(0, -6);
  const bytes = regroup(padded, { from: 5, to: 8, pad: false });
  const again = regroup(bytes, { from: 8, to: 5, pad: true });
  // Stray bits would be a second spelling.
  return again.join() === padded.join() ? new Uint8Array(bytes) : undefined;
}

function checksum(prefix: string, words: readonly number[]): number {
  const codes = [...prefix].map((character) => character.charCodeAt(0));
  let sum = 1;
  for (const word of [...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31), ...words]) {
    const top = sum >>> 25;
    sum = ((sum & 0x1ffffff) << 5) ^ word;
    for (const [bit, generator] of generators.entries()) if ((top >>> bit) & 1) sum ^= generator;
  }
  return sum;
}

function regroup(
  values: Iterable<number>,
  { from, to, pad }: { readonly from: number; readonly to: number; readonly pad: boolean },
): number[] {
  const groups: number[] = [];
  let held = 0;
  let bits = 0;
  for (const value of values) {
    held = (held << from) | value;
    bits += from;
    while (bits >= to) {
      bits -= to;
      groups.push((held >>> bits) & (2 ** to - 1));
      held &= 2 ** bits - 1;
    }
  }
  if (pad && bits > 0) groups.push((held << (to - bits)) & (2 ** to - 1));
  return groups;
}
