/**
 * The machine-readable counter in the corner of the sample title's pictures.
 *
 * All lengths are in blocks. A block is a square with a side of 1/20 of the picture's height (12 px at 240p).
 * The counter is a grid of 16 × 2 blocks whose upper left corner stands 1 block from the left edge and 3 blocks
 * from the lower edge. Read row by row, white = 1, most significant bit first, it is a 32-bit word:
 *
 *     1010 | frame (16 bits) | rendition (4 bits) | CRC-8 of the 24 bits frame ‖ 0000 ‖ rendition
 *
 * CRC-8: polynomial 0x07, start 0xff, no reflection. Renditions: 0 = 240p, 1 = 720p, 2 = 1440p.
 */
export const COUNTER: {
  readonly columns: 16;
  readonly rows: 2;
  readonly blocksPerHeight: 20;
  readonly left: 1;
  readonly top: 17;
} = { columns: 16, rows: 2, blocksPerHeight: 20, left: 1, top: 17 };

/** The disc that turns white on each full second: centre and radius as fractions of the picture's height. */
export const FLASH: { readonly fromCentre: 0; readonly y: 0.4; readonly radius: 0.1 } = {
  fromCentre: 0,
  y: 0.4,
  radius: 0.1,
};

/** Frames a second, length in seconds and heights (by rendition number) of the sample title. */
export const SAMPLE: {
  readonly frameRate: 24;
  readonly seconds: 24;
  readonly heights: readonly [240, 720, 1440];
} = { frameRate: 24, seconds: 24, heights: [240, 720, 1440] };

/** What a picture of the sample title says about itself. */
export interface Counter {
  readonly frame: number;
  readonly rendition: number;
}

/** The 32 blocks for a frame, row by row: true is white. */
export function counterBlocks(counter: Counter): boolean[] {
  let crc = 0xff;
  for (const byte of [counter.frame >> 8, counter.frame & 0xff, counter.rendition]) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x80 ? ((crc << 1) ^ 0x07) & 0xff : crc << 1;
  }
  const bits = [
    [0b1010, 4],
    [counter.frame, 16],
    [counter.rendition, 4],
    [crc, 8],
  ] as const;
  return bits.flatMap(([value, width]) =>
    Array.from({ length: width }, (_, index) => ((value >> (width - 1 - index)) & 1) === 1),
  );
}

/**
 * Reads the counter from a picture of any size: RGBA (width × height × 4 bytes) or luma (width × height bytes).
 * Returns null unless every block is clearly black or white and the checksum is right.
 * Needs nothing outside itself, so that its source can be sent into a page.
 */
export function readCounter(
  pixels: ArrayLike<number>,
  width: number,
  height: number,
): { frame: number; rendition: number } | null {
  const stride = pixels.length >= width * height * 4 ? 4 : 1;
  const block = height / 20;
  let crc = 0xff;
  let frame = 0;
  let rendition = 0;
  let sum = 0;
  for (let index = 0; index < 32; index++) {
    const left = block * (1 + (index % 16));
    const top = block * (17 + Math.floor(index / 16));
    let total = 0;
    let count = 0;
    // Only the middle half of a block: scaling and compression soften its edges.
    for (let y = Math.floor(top + block * 0.25); y < top + block * 0.75; y++) {
      for (let x = Math.floor(left + block * 0.25); x < left + block * 0.75; x++) {
        const at = (y * width + x) * stride;
        total += pixels[stride === 4 ? at + 1 : at] ?? 128;
        count++;
      }
    }
    const level = total / count;
    if (level > 90 && level < 160) return null;
    const bit = level >= 160 ? 1 : 0;
    if (index < 4) {
      if (bit !== 1 - (index % 2)) return null;
    } else if (index < 20) frame = frame * 2 + bit;
    else if (index < 24) rendition = rendition * 2 + bit;
    else sum = sum * 2 + bit;
  }
  for (const byte of [frame >> 8, frame & 0xff, rendition]) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x80 ? ((crc << 1) ^ 0x07) & 0xff : crc << 1;
  }
  return crc === sum ? { frame, rendition } : null;
}
