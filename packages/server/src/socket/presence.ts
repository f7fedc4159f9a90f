import { encodeEvent, presenceRuns } from "@snug/protocol";

/**
 * Who is here, by the positions of accounts in the directory log, as frames that everybody shares. Between two tellings
 * all know the same: also who comes then, so that nobody misses what is taken back before the next.
 */
export class Presence {
  #bits = new Uint8Array();
  /** What everybody was told last. */
  #told = new Uint8Array();
  #whole: Uint8Array = encodeEvent("presence", { runs: [] });

  set(position: number, here: boolean): void {
    const at = position >> 3;
    if (at >= this.#bits.length) {
      const longer = new Uint8Array(at + 1);
      longer.set(this.#bits);
      this.#bits = longer;
    }
    const bit = 1 << (position & 7);
    const byte = this.#bits[at] ?? 0;
    this.#bits[at] = here ? byte | bit : byte & ~bit;
  }

  /** All that was told so far, for who has just come. */
  get whole(): Uint8Array {
    return this.#whole;
  }

  /** What has changed since this was last asked for, to be told now; undefined when all is as it was. */
  changes(): Uint8Array | undefined {
    const runs = presenceRuns(this.#told, this.#bits);
    if (runs.length === 0) return undefined;
    this.#told = this.#bits.slice();
    this.#whole = encodeEvent("presence", { runs: presenceRuns(new Uint8Array(), this.#told) });
    return encodeEvent("presence", { runs });
  }
}
