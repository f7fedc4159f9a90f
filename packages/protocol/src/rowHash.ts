import { encodeCbor } from "./cbor.ts";
import type { AccountId, DeviceId, Hash, Incarnation, MessageId, StreamId } from "./ids.ts";
import { labels } from "./labels.ts";

/** What the server vouches for of a row: everything but its sealed bytes, of which it vouches for the hash. */
export interface RowHeader {
  readonly stream: StreamId;
  readonly seq: number;
  readonly incarnation: Incarnation;
  readonly kind: string;
  readonly class: "durable";
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly id: MessageId;
  readonly counter: number;
  readonly generation: number | null;
  readonly epoch: number | null;
  readonly sealedHash: Hash;
  readonly accepted: number;
  readonly expires: number | null;
  readonly previous: Hash;
}

/** The `previous` of a stream's first row. */
export const firstPrevious: Hash = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" as Hash;

/** The exact bytes whose SHA-256 is a row's rowHash: the header, chained to the row before. */
export function rowHashInput(row: RowHeader): Uint8Array<ArrayBuffer> {
  return encodeCbor([
    labels.row,
    row.stream,
    row.seq,
    row.previous,
    [
      row.incarnation,
      row.kind,
      row.class,
      row.account,
      row.device,
      row.id,
      row.counter,
      row.generation,
      row.epoch,
      row.accepted,
      row.expires,
    ],
    row.sealedHash,
  ]);
}
