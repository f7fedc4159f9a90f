import { MediaError } from "./byteSource.ts";

/** More boxes side by side than any writer makes; a bound on what a hostile file can keep a reader busy with. */
const MAX_BOXES = 4096;

/** A cursor over big-endian bytes; reading past its end throws `MediaError("damaged")`. */
export class BoxReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  /** Moves on and gives the position before. */
  skip(count: number): number {
    const at = this.#at;
    if (count > this.remaining) throw new MediaError("damaged", "a box ends before its content does");
    this.#at += count;
    return at;
  }

  u8(): number {
    return this.#view.getUint8(this.skip(1));
  }

  u16(): number {
    return this.#view.getUint16(this.skip(2));
  }

  u24(): number {
    return this.u8() * 0x1_00_00 + this.u16();
  }

  u32(): number {
    return this.#view.getUint32(this.skip(4));
  }

  i32(): number {
    return this.#view.getInt32(this.skip(4));
  }

  u64(): number {
    const value = this.u32() * 0x1_0000_0000 + this.u32();
    if (!Number.isSafeInteger(value)) throw new MediaError("damaged", "a 64-bit number is beyond 2^53");
    return value;
  }

  i64(): number {
    const value = this.i32() * 0x1_0000_0000 + this.u32();
    if (!Number.isSafeInteger(value)) throw new MediaError("damaged", "a 64-bit number is beyond 2^53");
    return value;
  }

  bytes(count: number): Uint8Array {
    const at = this.skip(count);
    return this.#bytes.subarray(at, at + count);
  }

  type(): string {
    return String.fromCharCode(...this.bytes(4));
  }
}

/** One box: its four-character type and its content after the header. */
export interface Box {
  readonly type: string;
  readonly content: Uint8Array;
}

/**
 * The boxes that lie side by side in `bytes` (ISO/IEC 14496-12, 4.2). Fewer than 8 bytes at the end are
 * QuickTime's terminator and are passed over.
 */
export function* boxesIn(bytes: Uint8Array): Generator<Box> {
  const reader = new BoxReader(bytes);
  for (let count = 0; reader.remaining >= 8; count++) {
    if (count === MAX_BOXES) throw new MediaError("damaged", "too many boxes side by side");
    const room = reader.remaining;
    let size = reader.u32();
    const type = reader.type();
    let header = 8;
    if (size === 1) {
      size = reader.u64();
      header = 16;
    } else if (size === 0) size = room;
    if (size < header || size > room)
      throw new MediaError("damaged", `box ${type} has an impossible size ${size}`);
    yield { type, content: reader.bytes(size - header) };
  }
}

/** The content of the first box on the path, or undefined when one of them is missing. */
export function findBox(bytes: Uint8Array, ...path: readonly string[]): Uint8Array | undefined {
  let content: Uint8Array | undefined = bytes;
  for (const type of path) {
    if (content === undefined) return undefined;
    let found: Uint8Array | undefined;
    for (const box of boxesIn(content)) {
      if (box.type === type) {
        found = box.content;
        break;
      }
    }
    content = found;
  }
  return content;
}

/** As findBox, but a missing box is damage. */
export function requireBox(bytes: Uint8Array, ...path: readonly string[]): Uint8Array {
  const content = findBox(bytes, ...path);
  if (content === undefined) throw new MediaError("damaged", `box ${path.join("/")} is missing`);
  return content;
}
