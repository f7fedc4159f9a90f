import type { Store } from "./store/store.ts";

/** An answer is good for this long: strangers may ask, and each answer costs an fsync. ms */
const goodFor = 5000;
/** A disk that takes longer than this takes nothing. ms */
const patience = 5000;

/** Whether the store takes what it is given: asked by writing, the only question whose answer counts. */
export class Health {
  readonly #store: Pick<Store, "probe">;
  readonly #now: () => number;
  readonly #report: (cause: unknown) => void;
  #asked = Number.NEGATIVE_INFINITY;
  #answer: Promise<boolean> = Promise.resolve(false);

  /** `now`: ms of any clock that does not go back; `report` takes why the store is not well. */
  constructor(
    store: Pick<Store, "probe">,
    of: { readonly now: () => number; readonly report: (cause: unknown) => void },
  ) {
    this.#store = store;
    this.#now = of.now;
    this.#report = of.report;
  }

  /** Never rejects. */
  isWell(): Promise<boolean> {
    const now = this.#now();
    if (now - this.#asked >= goodFor) {
      this.#asked = now;
      this.#answer = this.#ask();
    }
    return this.#answer;
  }

  async #ask(): Promise<boolean> {
    const late = Promise.withResolvers<false>();
    const timer = setTimeout(() => late.resolve(false), patience);
    const taken = this.#store.probe().then(
      () => true,
      (cause: unknown) => {
        this.#report(cause);
        return false;
      },
    );
    try {
      return await Promise.race([taken, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }
}
