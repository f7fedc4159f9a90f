import { BoxReader } from "./boxes.ts";
import { MediaError } from "./byteSource.ts";

/** What an avcC box (ISO/IEC 14496-15, 5.3.3) says. */
export interface AvcConfiguration {
  /** RFC 6381, for instance avc1.64001f. */
  readonly codec: string;
  /** Bytes of the length in front of each NAL unit: 1, 2 or 4. */
  readonly lengthBytes: number;
  readonly hasParameterSets: boolean;
}

/** Reads the content of an avcC box. */
export function parseAvcConfiguration(avcC: Uint8Array): AvcConfiguration {
  const reader = new BoxReader(avcC);
  if (reader.u8() !== 1) throw new MediaError("damaged", "avcC has an unknown version");
  const profile = [...reader.bytes(3)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const lengthBytes = (reader.u8() & 3) + 1;
  if (lengthBytes === 3) throw new MediaError("damaged", "avcC has 3-byte lengths");
  return { codec: `avc1.${profile}`, lengthBytes, hasParameterSets: (reader.u8() & 0x1f) > 0 };
}

/** NAL unit types that carry a picture (ISO/IEC 14496-10, table 7-1): 1–4 are not IDR, 5 is. */
const IDR = 5;

/** What the start of a sample shows: a picture and its kind, or where the next NAL unit's header lies. */
export type SampleStart =
  | { readonly kind: "idr" | "other" }
  | { readonly kind: "beyond"; readonly next: number };

/**
 * Looks for the first picture in a sample. `bytes` are the sample's bytes from `at` on (all of them or only the
 * first); the answer is "beyond" when the next NAL unit's header is not among them.
 */
export function firstPicture(bytes: Uint8Array, lengthBytes: number, at: number): SampleStart {
  let position = 0;
  while (position + lengthBytes < bytes.length) {
    let length = 0;
    for (let index = 0; index < lengthBytes; index++) length = length * 256 + (bytes[position + index] ?? 0);
    const type = (bytes[position + lengthBytes] ?? 0) & 0x1f;
    if (type === IDR) return { kind: "idr" };
    if (type >= 1 && type < IDR) return { kind: "other" };
    position += lengthBytes + length;
  }
  return { kind: "beyond", next: at + position };
}
