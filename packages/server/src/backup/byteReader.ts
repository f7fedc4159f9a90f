/** Bytes of a stream, taken in pieces of the size that is asked for. */
export class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #held: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Exactly so many bytes; fewer only at the end. */
  async take(count: number): Promise<Buffer> {
    await this.#fill(count);
    const taken = this.#held.subarray(0, count);
    this.#held = this.#held.subarray(taken.length);
    return taken;
  }

  /** A line without its newline, at most `most` bytes long; undefined for anything longer, or without an end. */
  async line(most: number): Promise<string | undefined> {
    await this.#fill(most + 1);
    const end = this.#held.subarray(0, most + 1).indexOf(10);
    if (end < 0) return undefined;
    return (await this.take(end + 1)).subarray(0, -1).toString("latin1");
  }

  async #fill(count: number): Promise<void> {
    if (this.#held.length >= count) return;
    const pieces: Uint8Array[] = [this.#held];
    let length = this.#held.length;
    while (length < count) {
      const next = await this.#source.next();
      if (next.done) break;
      pieces.push(next.value);
      length += next.value.length;
    }
    this.#held = Buffer.concat(pieces);
  }
}
