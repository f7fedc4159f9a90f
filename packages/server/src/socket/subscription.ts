import { encodeEvent, limits, type Row, type StreamId } from "@snug/protocol";

/** Header bytes of a row in a frame, generously. */
const rowOverhead = 700;
/** Sealed bytes of one batch; a single row may be larger, and still fits a frame. */
const batchBytes: number = limits.frame - 64 * rowOverhead;

/** Where the rows come from, and whereto: both wait for each other. */
export interface Pipe {
  /** Rows above a sequence, at least one if there is one. */
  read(stream: StreamId, after: number, bytes: number): Promise<readonly Row[]>;
  /** Sends a frame, and resolves when the reader has room for another; false when it is gone. */
  send(frame: Uint8Array): Promise<boolean>;
  /** Sends now if there is room now; false when there is none. */
  sendNow(frame: Uint8Array): boolean;
}

type State =
  /** Reading what is stored. `missed`: a row came meanwhile, so look once more before going live. */
  | { readonly is: "backfill"; missed: boolean }
  /** Everything up to `sent` is sent: new rows go out as they come. */
  | { readonly is: "live" }
  | { readonly is: "ended" };

/**
 * One device reading one stream from its cursor: backfill, cutover, live, without a hole or a double. A reader that
 * is slow falls back to backfill: rows wait in the store, never in memory.
 */
export class Subscription {
  readonly stream: StreamId;
  readonly #pipe: Pipe;
  #sent: number;
  #state: State = { is: "live" };

  constructor(stream: StreamId, after: number, pipe: Pipe) {
    this.stream = stream;
    this.#sent = after;
    this.#pipe = pipe;
  }

  /** Reads what is stored, then goes live. Resolves when live or ended. */
  async backfill(): Promise<void> {
    const state: State = { is: "backfill", missed: false };
    this.#state = state;
    for (;;) {
      state.missed = false;
      const rows = await this.#pipe.read(this.stream, this.#sent, batchBytes);
      if (this.#state !== state) return;
      const last = rows.at(-1);
      if (!last) {
        if (state.missed) continue;
        this.#state = { is: "live" };
        return;
      }
      this.#sent = last.seq;
      if (!(await this.#pipe.send(encodeRows(this.stream, rows)))) this.#state = { is: "ended" };
      if (this.#state !== state) return;
    }
  }

  /** Rows were stored, in order. Returns true when backfill has to fetch some of them. */
  appended(rows: readonly Row[]): boolean {
    if (this.#state.is === "backfill") this.#state.missed = true;
    if (this.#state.is !== "live") return false;
    const fresh = rows.filter(({ seq }) => seq > this.#sent);
    for (const batch of cutBatches(fresh)) {
      const continues = batch.every(({ seq }, at) => seq === this.#sent + 1 + at);
      if (!continues || !this.#pipe.sendNow(encodeRows(this.stream, batch))) return true;
      this.#sent += batch.length;
    }
    return false;
  }

  end(): void {
    this.#state = { is: "ended" };
  }
}

function encodeRows(stream: StreamId, rows: readonly Row[]): Uint8Array {
  return encodeEvent("rows", { stream, rows: [...rows] });
}

/** As many as fit into a frame each. */
function cutBatches(rows: readonly Row[]): Row[][] {
  const batches: Row[][] = [];
  let sum = 0;
  for (const row of rows) {
    const batch = batches.at(-1);
    sum += row.sealed?.length ?? 0;
    if (batch && batch.length < limits.rowBatch && sum <= batchBytes) batch.push(row);
    else {
      batches.push([row]);
      sum = row.sealed?.length ?? 0;
    }
  }
  return batches;
}
