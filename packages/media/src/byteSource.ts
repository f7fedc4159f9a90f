/**
 * Where a video's bytes come from. `read` gives exactly `length` bytes from `offset`, or throws
 * `MediaError("truncated")` when they reach past `size`. The array may be a view of a larger buffer;
 * the caller does not change it.
 */
export interface ByteSource {
  readonly size: number;
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** damaged: the file contradicts itself · unsupported: a format we don't read · truncated: bytes are missing. */
export type MediaErrorCode = "damaged" | "unsupported" | "truncated";

/** The only error that reading a foreign file throws, however broken the file is. */
export class MediaError extends Error {
  readonly code: MediaErrorCode;

  constructor(code: MediaErrorCode, message: string) {
    super(message);
    this.name = "MediaError";
    this.code = code;
  }
}

/** A source over bytes in memory. */
export function memorySource(bytes: Uint8Array): ByteSource {
  return {
    size: bytes.length,
    read: async (offset, length) => {
      requireRange(bytes.length, offset, length);
      return bytes.subarray(offset, offset + length);
    },
  };
}

/** Throws `MediaError("truncated")` unless [offset, offset + length) lies within [0, size). */
export function requireRange(size: number, offset: number, length: number): void {
  if (!(Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0)) {
    throw new MediaError("damaged", `bytes ${offset}+${length} can't be addressed`);
  }
  if (offset + length > size) {
    throw new MediaError("truncated", `bytes ${offset}+${length} lie past the end (${size})`);
  }
}
