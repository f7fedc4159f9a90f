import { SnugError } from "./errors.ts";
import { limits } from "./limits.ts";

// The decoder puts U+FFFD where text is not UTF-8 and drops a byte order mark: different bytes would mean one text.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** Text up to this length is read byte by byte as long as it is ASCII, as keys are: quicker than the decoder. */
const shortText = 24;

const malformed = (why: string): SnugError => new SnugError("malformed", why);
const cut = (): SnugError => malformed("CBOR ends in the middle");

/** What {@link decodeStrict} found that is no part of any frame, and is left to another decoder. */
export const unusual: unique symbol = Symbol("floating point");

/**
 * Strict CBOR in one pass → value, or {@link unusual} when a floating-point number is in it. Nothing is built on a
 * length that the remaining bytes can't hold, and nothing recurses deeper than `limits.depth`. `deterministic`: maps have
 * their keys in bytewise order too, which is all that strict CBOR without floating point leaves open (RFC 8949 §4.2.1).
 * Throws SnugError `malformed`.
 */
export function decodeStrict(bytes: Uint8Array, form: "strict" | "deterministic"): unknown {
  const decoding = new Decoding(bytes, form === "deterministic");
  const value = decoding.item(0);
  if (decoding.float) return unusual;
  if (decoding.at !== bytes.length) throw malformed("not strict CBOR: bytes behind the value");
  return value;
}

class Decoding {
  readonly #bytes: Uint8Array;
  readonly #ordered: boolean;
  at = 0;
  /** A floating-point number was met. */
  float = false;

  constructor(bytes: Uint8Array, ordered: boolean) {
    this.#bytes = bytes;
    this.#ordered = ordered;
  }

  item(depth: number): unknown {
    const initial = this.#bytes[this.at];
    if (initial === undefined) throw cut();
    const major = initial >> 5;
    const info = initial & 31;
    if (info > 27) throw malformed("CBOR with an indefinite or reserved length");
    this.at++;
    if (major === 7) return this.#simple(info);
    const value = this.#argument(info);
    if (major === 0 || major === 1) return major === 0 ? value : negative(value);
    if (major === 6) throw malformed("CBOR with a tag");
    if (major === 2 || major === 3) {
      if (value > this.#bytes.length - this.at) throw cut();
      const end = this.at + value;
      return major === 2 ? this.#copy(end) : this.#text(end);
    }
    // Every item takes a byte at least: an impossible count is refused before it is believed.
    if ((major === 5 ? value * 2 : value) > this.#bytes.length - this.at) throw cut();
    if (value > 0 && depth >= limits.depth) throw malformed(`CBOR nests deeper than ${limits.depth}`);
    return major === 4 ? this.#array(value, depth + 1) : this.#map(value, depth + 1);
  }

  /** The head's number; only its shortest form is taken. */
  #argument(info: number): number {
    if (info < 24) return info;
    const width = 1 << (info - 24);
    if (this.at + width > this.#bytes.length) throw cut();
    let value = 0;
    for (let n = 0; n < width; n++) value = value * 256 + (this.#bytes[this.at++] as number);
    if (value > Number.MAX_SAFE_INTEGER) {
      // A length like that can't be there; a number like that can't be exact.
      throw cut();
    }
    const least = width === 1 ? 24 : 2 ** (width * 4);
    if (value < least) throw malformed("not strict CBOR: a number is not in its shortest form");
    return value;
  }

  #simple(info: number): unknown {
    if (info === 20) return false;
    if (info === 21) return true;
    if (info === 22) return null;
    if (info < 25) throw malformed("not strict CBOR: undefined or another simple value");
    const width = 1 << (info - 24);
    if (this.at + width > this.#bytes.length) throw cut();
    this.at += width;
    this.float = true;
    return 0;
  }

  #copy(end: number): Uint8Array {
    const copy = new Uint8Array(end - this.at);
    copy.set(this.#bytes.subarray(this.at, end));
    this.at = end;
    return copy;
  }

  #text(end: number): string {
    const bytes = this.#bytes;
    const start = this.at;
    this.at = end;
    if (end - start <= shortText) {
      const codes = new Array<number>(end - start);
      let n = start;
      for (; n < end; n++) {
        const byte = bytes[n] as number;
        if (byte > 0x7f) break;
        codes[n - start] = byte;
      }
      if (n === end) return String.fromCharCode(...codes);
    }
    let text: string;
    try {
      text = utf8.decode(bytes.subarray(start, end));
    } catch (cause) {
      throw new SnugError("malformed", "CBOR with text that is not UTF-8", { cause });
    }
    if (text.startsWith("\ufeff")) throw malformed("CBOR with text after a byte order mark");
    return text;
  }

  /** Whether the key that begins at `first` stands before the one at `second`, which was just read. */
  #rises(first: number, second: number): boolean {
    const bytes = this.#bytes;
    // Their heads say their lengths: one can't be the beginning of the other.
    for (let n = 0; second + n < this.at; n++) {
      const [a, b] = [bytes[first + n] as number, bytes[second + n] as number];
      if (a !== b) return a < b;
    }
    return true; // the same key twice, refused as such
  }

  #array(length: number, depth: number): unknown[] {
    const items: unknown[] = [];
    for (let n = 0; n < length; n++) items.push(this.item(depth));
    return items;
  }

  #map(size: number, depth: number): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    let before = -1;
    for (let n = 0; n < size; n++) {
      const start = this.at;
      const key = this.item(depth);
      if (this.#ordered && before >= 0 && !this.#rises(before, start)) {
        throw malformed("CBOR is not in its deterministic form: keys out of order");
      }
      before = start;
      if (typeof key !== "string") throw malformed("not strict CBOR: a key that is not text");
      if (Object.hasOwn(map, key)) throw malformed("not strict CBOR: a key that is there twice");
      const value = this.item(depth);
      // A plain assignment of this one would set the prototype.
      if (key === "__proto__") {
        Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
      } else map[key] = value;
    }
    return map;
  }
}

function negative(value: number): number {
  if (value >= Number.MAX_SAFE_INTEGER) throw malformed("not strict CBOR: an integer beyond 2^53");
  return -1 - value;
}
