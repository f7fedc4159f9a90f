/**
 * Frames for the load, made by patching bytes: a load that encodes and decodes with care would be slower than what it
 * is to measure. Held against the real encoder once, at the start.
 */
import {
  encodeRequest,
  MessageId,
  type Request,
  type RequestOf,
  randomId,
  type SocketOperation,
} from "@snug/protocol";

const marks = { counter: 0x1234_5678, number: 0x1234_5679, seq: 0x1234_567a } as const;

/** Writes requests of one shape: everything but the numbers in it and the id stays as it is. */
export class FrameTemplate {
  readonly #pieces: (Buffer | keyof typeof marks | "id")[] = [];

  constructor(name: SocketOperation, body: Record<string, unknown>) {
    const id = randomId(MessageId);
    const filled = Object.fromEntries(
      Object.entries(body).map(([key, value]) => {
        if (key === "id") return [key, id];
        return [key, key === "counter" || key === "seq" ? marks[key] : value];
      }),
    );
    const frame = Buffer.from(
      encodeRequest({ number: marks.number, name, body: filled as RequestOf<typeof name> } as Request),
    );
    const found = Object.entries(marks)
      .map(([mark, value]) => ({
        mark: mark as keyof typeof marks,
        at: frame.indexOf(encodeInt(value)),
        length: 5,
      }))
      .concat({ mark: "id" as never, at: frame.indexOf(id), length: 22 })
      .filter(({ at }) => at >= 0)
      .toSorted((a, b) => a.at - b.at);
    let from = 0;
    for (const { mark, at, length } of found) {
      this.#pieces.push(frame.subarray(from, at), mark);
      from = at + length;
    }
    this.#pieces.push(frame.subarray(from));
  }

  write(numbers: { readonly number: number; readonly counter?: number; readonly seq?: number }): Buffer {
    return Buffer.concat(
      this.#pieces.map((piece) => {
        if (piece === "id") return Buffer.from(randomId16());
        return typeof piece === "string" ? encodeInt(numbers[piece] ?? 0) : piece;
      }),
    );
  }
}

function randomId16(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("base64url");
}

/** A CBOR unsigned integer in its shortest form, below 2^32. */
function encodeInt(value: number): Buffer {
  if (value < 24) return Buffer.of(value);
  if (value < 256) return Buffer.of(0x18, value);
  const wide = value >= 65_536;
  const bytes = Buffer.alloc(wide ? 5 : 3);
  bytes[0] = wide ? 0x1a : 0x19;
  if (wide) bytes.writeUInt32BE(value, 1);
  else bytes.writeUInt16BE(value, 1);
  return bytes;
}

function readInt(bytes: Buffer, at: number): number {
  const info = (bytes[at] ?? 0) & 31;
  if (info < 24) return info;
  if (info === 24) return bytes.readUInt8(at + 1);
  return info === 25 ? bytes.readUInt16BE(at + 1) : bytes.readUInt32BE(at + 1);
}

const numberKey = Buffer.from("\x66number", "latin1");
const rowsHead = Buffer.from("\xa3\x64body\xa2\x64rows", "latin1");
const errorHead = Buffer.from("\xa4\x64code", "latin1");

/** What a frame from the server says, as far as the load cares: keys stand in bytewise order, so places are known. */
export type Heard =
  | { readonly is: "answer"; readonly number: number }
  | { readonly is: "rows"; readonly count: number }
  | { readonly is: "other" };

/** Throws for an error of the server: the load sends nothing that is to be refused. */
export function hear(frame: Buffer): Heard {
  if (begins(frame, rowsHead)) {
    return { is: "rows", count: readInt(frame, rowsHead.length) };
  }
  if (begins(frame, errorHead)) throw new Error(frame.toString("latin1"));
  const at = frame.indexOf(numberKey, Math.max(0, frame.length - 13));
  return at < 0 ? { is: "other" } : { is: "answer", number: readInt(frame, at + numberKey.length) };
}

function begins(frame: Buffer, head: Buffer): boolean {
  return frame.compare(head, 0, head.length, 0, Math.min(head.length, frame.length)) === 0;
}
