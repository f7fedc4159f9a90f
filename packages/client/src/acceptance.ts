import { numberKey, put, type Records } from "./records.ts";
import type { Change } from "./store.ts";

/**
 * What is known of when the server took the rows of the own inbox, told by the directory log: for each leaf that ended
 * an account or a device, the last row that may have been taken before it (L9). A server that keeps its word takes
 * nothing of theirs behind it.
 */
export class Acceptance {
  readonly #records: Records;
  /** Place of the leaf in the log → sequence of the row. */
  readonly #last = new Map<number, number>();

  constructor(records: Records) {
    this.#records = records;
  }

  async load(): Promise<void> {
    for (const { key, value } of await this.#records.list({ table: "ends" })) {
      this.#last.set(Number(key), value.seq);
    }
  }

  /** Whether a row may have been taken before the leaf at this place. */
  mayPrecede(leaf: number, seq: number): boolean {
    return seq <= (this.#last.get(leaf) ?? Number.POSITIVE_INFINITY);
  }

  /** Whether nothing is known yet of one of these leaves. */
  lacks(leaves: readonly number[]): boolean {
    return leaves.some((leaf) => !this.#last.has(leaf));
  }

  /** All rows behind `seq` were taken when the log had at least `size` leaves. Counts at once; the records are to be kept. */
  learn(leaves: readonly number[], { seq, size }: { readonly seq: number; readonly size: number }): Change[] {
    const news = leaves.filter((leaf) => leaf < size && (this.#last.get(leaf) ?? seq + 1) > seq);
    for (const leaf of news) this.#last.set(leaf, seq);
    return news.map((leaf) => put("ends", numberKey(leaf), { seq }));
  }

  /**
   * The inbox goes on from an earlier row, on a server that was restored: what was read to its end stays so, though
   * other rows take the places. Counts at once; the records are to be kept.
   */
  goBack(of: { readonly from: number; readonly to: number }): Change[] {
    const read = [...this.#last].filter(([, seq]) => seq <= of.from && seq > of.to);
    for (const [leaf] of read) this.#last.set(leaf, of.to);
    return read.map(([leaf]) => put("ends", numberKey(leaf), { seq: of.to }));
  }
}
