import type { Chance } from "./chance.ts";
import { marker } from "./values.ts";

const utf8 = new TextEncoder();

/** Bytes as somebody would send them who wants to see what happens: changed in up to four places. */
export function bendBytes(bytes: Uint8Array, chance: Chance, other: Uint8Array = bytes): Uint8Array {
  let made = bytes;
  for (let times = 1 + chance.below(4); times > 0; times--) made = bendOnce(made, chance, other);
  return made;
}

function bendOnce(bytes: Uint8Array, chance: Chance, other: Uint8Array): Uint8Array {
  const at = chance.below(bytes.length + 1);
  const length = 1 + chance.below(8);
  switch (chance.below(9)) {
    case 0:
      return withByte(bytes, at, (byte) => byte ^ (1 << chance.below(8)));
    case 1:
      return withByte(bytes, at, () => chance.pick([0, 0xff, 0x7f, 0x80, 0x1f, 0x9f, 0xbf, 0xf7]));
    case 2:
      return bytes.slice(0, at);
    case 3:
      return joined(bytes.subarray(0, at), bytes.subarray(Math.max(0, at - length)));
    case 4:
      return joined(bytes.subarray(0, at), chance.bytes(length), bytes.subarray(at));
    case 5:
      return joined(bytes.subarray(0, at), bytes.subarray(at + length));
    case 6:
      return joined(bytes.subarray(0, at), other.subarray(chance.below(other.length + 1)));
    case 7:
      // Arrays in arrays, deeper than any stack.
      if (chance.oneIn(10)) {
        return joined(bytes.subarray(0, at), new Uint8Array(100_000).fill(0x81), bytes.subarray(at));
      }
      return joined(bytes.subarray(0, at), utf8.encode(marker), bytes.subarray(at));
    default:
      return joined(bytes, chance.oneIn(2) ? bytes : chance.bytes(length));
  }
}

function withByte(bytes: Uint8Array, at: number, change: (byte: number) => number): Uint8Array {
  const made = bytes.slice();
  const was = made[at];
  if (was !== undefined) made[at] = change(was);
  return made;
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const made = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    made.set(part, at);
    at += part.length;
  }
  return made;
}

/**
 * A value as CBOR that a lenient decoder would take for the same: lengths longer than they need be, indefinite ones,
 * tags, keys twice or in another order, floats for whole numbers, text that is not UTF-8. `rate`: one in so many items.
 */
export function encodeLoosely(value: unknown, chance: Chance, rate: number): Uint8Array {
  const out: number[] = [];
  writeItem(out, value, chance, rate);
  return Uint8Array.from(out);
}

/** More than twice the largest frame: what is larger need not be whole. Bytes */
const most = 600_000;

function writeItem(out: number[], value: unknown, chance: Chance, rate: number): void {
  if (out.length > most) return;
  const odd = (): boolean => chance.oneIn(rate);
  if (odd()) writeHead(out, 6, chance.pick([0, 2, 24, 55799, 258]), 0);
  if (value === null) out.push(0xf6);
  else if (value === undefined) out.push(0xf7);
  else if (typeof value === "boolean") out.push(value ? 0xf5 : 0xf4);
  else if (typeof value === "number") writeNumber(out, value, odd());
  else if (typeof value === "bigint") writeBig(out, value);
  else if (typeof value === "string") writeText(out, value, odd, chance);
  else if (value instanceof Uint8Array) writeChunk(out, 2, value, odd);
  else if (Array.isArray(value)) {
    const open = odd();
    if (open) out.push(0x9f);
    else writeHead(out, 4, value.length, odd() ? 1 : 0);
    for (const child of value) writeItem(out, child, chance, rate);
    if (open) out.push(0xff);
  } else writeMap(out, value as object, chance, rate);
}

function writeMap(out: number[], value: object, chance: Chance, rate: number): void {
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  if (chance.oneIn(rate)) entries.reverse();
  const first = entries[0];
  if (chance.oneIn(rate) && first) entries.push(first);
  const open = chance.oneIn(rate);
  if (open) out.push(0xbf);
  else writeHead(out, 5, entries.length, chance.oneIn(rate) ? 1 : 0);
  for (const [key, child] of entries) {
    writeItem(out, key, chance, rate);
    writeItem(out, child, chance, rate);
  }
  if (open) out.push(0xff);
}

function writeHead(out: number[], major: number, value: number, longer: number): void {
  const least = value < 24 ? 0 : value < 256 ? 1 : value < 65_536 ? 2 : value < 2 ** 32 ? 3 : 4;
  const form = Math.min(4, least + longer);
  if (form === 0) {
    out.push((major << 5) | value);
    return;
  }
  out.push((major << 5) | (23 + form));
  const width = 1 << (form - 1);
  for (let byte = width - 1; byte >= 0; byte--) out.push(Math.floor(value / 256 ** byte) % 256);
}

function writeNumber(out: number[], value: number, odd: boolean): void {
  if (!Number.isSafeInteger(value) || Object.is(value, -0) || odd) {
    const view = new DataView(new ArrayBuffer(8));
    view.setFloat64(0, value);
    out.push(0xfb, ...new Uint8Array(view.buffer));
  } else if (value >= 0) writeHead(out, 0, value, 0);
  else writeHead(out, 1, -1 - value, 0);
}

function writeBig(out: number[], value: bigint): void {
  const negative = value < 0n;
  let rest = BigInt.asUintN(64, negative ? -1n - value : value);
  const bytes: number[] = [];
  for (let byte = 0; byte < 8; byte++, rest >>= 8n) bytes.unshift(Number(rest & 255n));
  out.push(negative ? 0x3b : 0x1b, ...bytes);
}

function writeText(out: number[], value: string, odd: () => boolean, chance: Chance): void {
  const bytes = utf8.encode(value);
  // What TextEncoder would mend: half a surrogate pair as three bytes, or a byte that begins nothing.
  const broken = odd() || !value.isWellFormed();
  const stray = chance.pick([[0xed, 0xa0, 0x80], [0xff], [0xc0, 0x80]]);
  const ill = broken ? joined(bytes, Uint8Array.from(stray)) : bytes;
  writeChunk(out, 3, ill, odd);
}

function writeChunk(out: number[], major: 2 | 3, bytes: Uint8Array, odd: () => boolean): void {
  const open = odd();
  if (open) out.push((major << 5) | 31);
  writeHead(out, major, bytes.length, odd() ? 2 : 0);
  for (const byte of bytes) out.push(byte);
  if (open) out.push(0xff);
}
