import { StartError } from "../startError.ts";
import { ByteReader } from "./byteReader.ts";

const block = 512;

/** A file in an archive. `time` in ms since 1970. */
export interface TarEntry {
  readonly name: string;
  readonly size: number;
  readonly time: number;
  readonly content: AsyncIterable<Uint8Array>;
}

/** Plain files as a tar archive (POSIX.1-1988 ustar), streamed. Throws when a file has another size than it says. */
export async function* packTar(
  entries: Iterable<TarEntry> | AsyncIterable<TarEntry>,
): AsyncGenerator<Uint8Array> {
  for await (const entry of entries) {
    yield headerOf(entry);
    let size = 0;
    for await (const piece of entry.content) {
      size += piece.length;
      yield piece;
    }
    if (size !== entry.size) throw new Error(`${entry.name} has ${size} bytes, not ${entry.size}`);
    yield Buffer.alloc(padding(size));
  }
  yield Buffer.alloc(2 * block);
}

/** The files of an archive, in order; each must be read before the next. Throws StartError for anything but plain files. */
export async function* unpackTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<Omit<TarEntry, "time">> {
  const reader = new ByteReader(source);
  for (;;) {
    const header = await reader.take(block);
    if (header.length < block) throw notOne();
    if (header.every((byte) => byte === 0)) break;
    const { name, size } = parseHeader(header);
    let left = size;
    yield {
      name,
      size,
      content: (async function* () {
        while (left > 0) {
          const piece = await reader.take(Math.min(left, 65_536));
          if (piece.length === 0) throw notOne();
          left -= piece.length;
          yield piece;
        }
      })(),
    };
    if (left > 0 || (await reader.take(padding(size))).length < padding(size)) throw notOne();
  }
  // To its end, so that the end is authenticated too.
  for (let rest = await reader.take(block); rest.length > 0; rest = await reader.take(block)) {
    if (!rest.every((byte) => byte === 0)) throw notOne();
  }
}

function headerOf({ name, size, time }: TarEntry): Buffer {
  const header = Buffer.alloc(block);
  const put = (text: string, at: number): number => header.write(text, at, "latin1");
  put(name, 0);
  put("0000600\0", 100);
  put("0000000\0", 108);
  put("0000000\0", 116);
  // Above 8 GiB octal digits don't suffice: a base-256 number, marked by its first bit, as GNU and BSD tar read it.
  if (size >= 8 ** 11) header.writeBigUInt64BE(BigInt(size), 128);
  if (size >= 8 ** 11) header[124] = 0x80;
  else put(`${octal(size, 11)}\0`, 124);
  put(`${octal(Math.floor(time / 1000), 11)}\0`, 136);
  put("0", 156);
  put("ustar\x0000", 257);
  header.fill(" ", 148, 156);
  put(`${octal(sumOf(header), 6)}\0 `, 148);
  return header;
}

function parseHeader(header: Buffer): { name: string; size: number } {
  const field = (at: number, length: number): string =>
    header.toString("latin1", at, at + length).replace(/[\0 ]+$/, "");
  const octals = (at: number, length: number): number =>
    /^[0-7]+$/.test(field(at, length)) ? Number.parseInt(field(at, length), 8) : Number.NaN;
  const sum = octals(148, 8);
  const copy = Buffer.from(header);
  copy.fill(" ", 148, 156);
  const name = field(0, 100);
  const size = header[124] === 0x80 ? Number(header.readBigUInt64BE(128)) : octals(124, 12);
  const plain = header[156] === 0x30 && field(345, 155) === "" && field(257, 5) === "ustar";
  if (sum !== sumOf(copy) || !plain || name === "" || !Number.isSafeInteger(size)) throw notOne();
  return { name, size };
}

function sumOf(header: Buffer): number {
  return header.reduce((sum, byte) => sum + byte, 0);
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, "0");
}

function padding(size: number): number {
  return (block - (size % block)) % block;
}

function notOne(): StartError {
  return new StartError("the backup opens, but what is in it is not what snug backup writes");
}
