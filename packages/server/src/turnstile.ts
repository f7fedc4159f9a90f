/** In one turn of the loop so many who come are dealt with: thousands at once leave turns for those who are there. */
const most = 4;

/** Lets who comes through in the order in which they came, a few in each turn of the event loop. */
export class Turnstile {
  #waiting: (() => void)[] = [];
  #turning = false;

  /** Calls `go` in a later turn. */
  pass(go: () => void): void {
    this.#waiting.push(go);
    if (!this.#turning) this.#turnSoon();
  }

  #turnSoon(): void {
    this.#turning = this.#waiting.length > 0;
    if (this.#turning) setImmediate(() => this.#turn());
  }

  #turn(): void {
    for (const go of this.#waiting.splice(0, most)) go();
    this.#turnSoon();
  }
}
