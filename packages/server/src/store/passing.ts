import type { WriteCall, WriteResult } from "./batch.ts";
import type { Quota } from "./store.ts";
import type { RowFacts, RowValues } from "./writes.ts";

/**
 * How calls and results pass between the threads: lists instead of objects, whose keys would be copied with each
 * letter. `append`, the one that comes by thousands, is flat.
 */
export type PassedCall = readonly unknown[];
export type PassedResult = readonly unknown[];

const rowLength = 9;

export function packCall({ name, args }: WriteCall): PassedCall {
  if (name !== "append") return [name, ...args];
  const [row, { rows, bytes, senderRows, senderBytes }] = args;
  return [name, ...row, rows, bytes, senderRows, senderBytes];
}

export function unpackCall([name, ...args]: PassedCall): WriteCall {
  if (name !== "append") return { name, args } as WriteCall;
  const [rows, bytes, senderRows, senderBytes] = args.slice(rowLength);
  const quota = { rows, bytes, senderRows, senderBytes } as Quota;
  return { name, args: [args.slice(0, rowLength) as unknown as RowValues, quota] };
}

export function packResult(result: WriteResult, { name }: WriteCall): PassedResult {
  if (!("value" in result)) return [result];
  if (name !== "append") return [result];
  const { seq, rowHash, accepted, fresh } = result.value as RowFacts;
  return [seq, rowHash, accepted, fresh?.previous, fresh?.sealedHash];
}

export function unpackResult([first, rowHash, accepted, previous, sealedHash]: PassedResult): WriteResult {
  if (rowHash === undefined) return first as WriteResult;
  const fresh = previous === undefined ? null : { previous, sealedHash };
  return { value: { seq: first, rowHash, accepted, fresh }, durable: true };
}
