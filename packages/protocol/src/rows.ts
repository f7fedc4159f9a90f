import { z } from "zod";
import { sha256 } from "./hash.ts";
import { AccountId, DeviceId, Hash, Incarnation, MessageId, StreamId } from "./ids.ts";
import { limits } from "./limits.ts";
import { rowHashInput } from "./rowHash.ts";

/** Kinds of rows. Conversations will add theirs. */
export const RowKind = z.enum(["letter"]);
export type RowKind = z.infer<typeof RowKind>;
/** Durable rows are stored and acknowledged after fsync; fleeting frames are never stored. */
export const RowClass = z.enum(["durable", "fleeting"]);
export type RowClass = z.infer<typeof RowClass>;

const sealed = z.instanceof(Uint8Array).refine((value) => value.length > 0 && value.length <= limits.sealed);

/** One row of a stream, as delivered (docs/spec/delivery.md). Times in ms since 1970, informative: they order nothing. */
export const Row = z.strictObject({
  stream: StreamId,
  seq: z.int().positive(),
  incarnation: Incarnation,
  kind: RowKind,
  class: z.literal("durable"),
  account: AccountId,
  device: DeviceId,
  id: MessageId,
  counter: z.int().positive(),
  generation: z.int().nonnegative().nullable(),
  epoch: z.int().nonnegative().nullable(),
  sealedHash: Hash,
  /** null once erased: the record against doubles outlives the body. */
  sealed: sealed.nullable(),
  accepted: z.int().nonnegative(),
  expires: z.int().nonnegative().nullable(),
  previous: Hash,
  rowHash: Hash,
});
export type Row = z.infer<typeof Row>;

/** Recomputes the hashes of a delivered row; false when the server changed anything in it. */
export async function checkRow(row: Row): Promise<boolean> {
  if (row.sealed && (await sha256(row.sealed)) !== row.sealedHash) return false;
  return (await sha256(rowHashInput(row))) === row.rowHash;
}
