/** Takes MP4 files apart and puts them together again, to make those that ffmpeg doesn't make. */
import { boxesIn } from "../src/boxes.ts";
import { box, concat } from "../src/boxWriter.ts";

const CONTAINERS = ["moov", "trak", "mdia", "minf", "stbl", "edts"];

/** Rebuilds boxes, each content changed by `edit` where it gives another (type, content), null to drop the box. */
export function editBoxes(
  bytes: Uint8Array,
  edit: (type: string, content: Uint8Array) => readonly [string, Uint8Array] | null,
): Uint8Array {
  const parts = [...boxesIn(bytes)].map(({ content, type }) => {
    const inner = CONTAINERS.includes(type) ? editBoxes(content, edit) : content;
    const changed = edit(type, inner);
    return changed === null ? new Uint8Array(0) : box(changed[0], changed[1]);
  });
  return concat(...parts);
}

/** stco as co64, all offsets moved by `shift`. */
export function wideOffsets(stco: Uint8Array, shift: number): Uint8Array {
  const from = new DataView(stco.buffer, stco.byteOffset, stco.length);
  const count = from.getUint32(4);
  const wide = new Uint8Array(8 + count * 8);
  const to = new DataView(wide.buffer);
  to.setUint32(4, count);
  for (let index = 0; index < count; index++) {
    to.setBigUint64(8 + index * 8, BigInt(from.getUint32(8 + index * 4)) + BigInt(shift));
  }
  return wide;
}
