/** Most shapes of maps whose key order is remembered; maps of strangers must not fill memory. */
const shapesKept = 256;

interface Shape {
  /** The keys as a map had them. */
  readonly from: readonly string[];
  /** In bytewise order of their encoding. */
  readonly keys: readonly string[];
  readonly heads: readonly Uint8Array[];
}

const utf8 = new TextEncoder();
/** By how many keys they have. */
const shapes: Shape[][] = [];
let shapesHeld = 0;
let buffer = new Uint8Array(65_536);
let at = 0;

/**
 * A value of integers, text, bytes, booleans, null, arrays and plain maps as deterministic CBOR (RFC 8949 §4.2.1);
 * undefined when something else is in it. Frames and row hashes are made here, many thousands a second.
 */
export function encodePlain(value: unknown): Uint8Array<ArrayBuffer> | undefined {
  at = 0;
  return write(value) ? buffer.slice(0, at) : undefined;
}

function room(bytes: number): void {
  if (at + bytes <= buffer.length) return;
  const larger = new Uint8Array(Math.max(at + bytes, buffer.length * 2));
  larger.set(buffer.subarray(0, at));
  buffer = larger;
}

function write(value: unknown): boolean {
  switch (typeof value) {
    case "string":
      writeText(value);
      return true;
    case "number":
      if (!Number.isSafeInteger(value) || Object.is(value, -0)) return false;
      if (value >= 0) writeHead(0, value);
      else writeHead(1, -1 - value);
      return true;
    case "boolean":
      writeByte(value ? 0xf5 : 0xf4);
      return true;
    case "object":
      return writeObject(value);
    default:
      return false;
  }
}

function writeObject(value: object | null): boolean {
  if (value === null) {
    writeByte(0xf6);
    return true;
  }
  if (value instanceof Uint8Array) {
    writeHead(2, value.length);
    writeBytes(value);
    return true;
  }
  if (Array.isArray(value)) {
    writeHead(4, value.length);
    return value.every(write);
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  return writeMap(value as Record<string, unknown>);
}

function writeMap(map: Record<string, unknown>): boolean {
  const { keys, heads } = shapeOf(Object.keys(map));
  writeHead(5, keys.length);
  for (let n = 0; n < keys.length; n++) {
    writeBytes(heads[n] as Uint8Array);
    if (!write(map[keys[n] as string])) return false;
  }
  return true;
}

function shapeOf(from: readonly string[]): Shape {
  const alike = shapes[from.length] ?? [];
  shapes[from.length] = alike;
  const known = alike.find((shape) => isSame(shape.from, from));
  if (known) return known;
  const encoded = from.map((key) => ({ key, head: encodeKey(key) }));
  encoded.sort((a, b) => compareBytes(a.head, b.head));
  const shape = { from, keys: encoded.map(({ key }) => key), heads: encoded.map(({ head }) => head) };
  if (shapesHeld < shapesKept) {
    alike.push(shape);
    shapesHeld++;
  }
  return shape;
}

/** Of two lists of one length. */
function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.every((key, n) => key === b[n]);
}

function encodeKey(key: string): Uint8Array {
  const start = at;
  writeText(key);
  const head = buffer.slice(start, at);
  at = start;
  return head;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let n = 0; n < a.length && n < b.length; n++) {
    if (a[n] !== b[n]) return (a[n] ?? 0) - (b[n] ?? 0);
  }
  return a.length - b.length;
}

function writeText(text: string): void {
  const { length } = text;
  room(length + 9);
  const start = at;
  writeHead(3, length);
  for (let n = 0; n < length; n++) {
    const code = text.charCodeAt(n);
    if (code > 0x7f) {
      at = start;
      const bytes = utf8.encode(text);
      writeHead(3, bytes.length);
      writeBytes(bytes);
      return;
    }
    buffer[at++] = code;
  }
}

function writeBytes(bytes: Uint8Array): void {
  room(bytes.length);
  buffer.set(bytes, at);
  at += bytes.length;
}

function writeByte(byte: number): void {
  room(1);
  buffer[at++] = byte;
}

/** The shortest head for a count or an integer. */
function writeHead(major: number, value: number): void {
  room(9);
  if (value < 24) {
    buffer[at++] = (major << 5) | value;
    return;
  }
  const width = value < 0x100 ? 1 : value < 0x1_0000 ? 2 : value < 0x1_0000_0000 ? 4 : 8;
  buffer[at++] = (major << 5) | (24 + Math.log2(width));
  let rest = value;
  for (let n = width - 1; n >= 0; n--) {
    buffer[at + n] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  at += width;
}
