import { type AccountId, limits } from "@snug/protocol";
import type { Store } from "./store/store.ts";

/** Who takes no letters from whom: held in memory, since every letter asks; changed in the store first. */
export class Blocks {
  readonly #store: Store;
  readonly #blocked = new Map<AccountId, Set<AccountId>>();

  private constructor(store: Store) {
    this.#store = store;
  }

  static async open(store: Store): Promise<Blocks> {
    const blocks = new Blocks(store);
    for (const { account, blocked } of await store.blocks()) blocks.#setOf(account).add(blocked);
    return blocks;
  }

  /** Whether an account takes no letters from a sender. */
  has(account: AccountId, sender: AccountId): boolean {
    return this.#blocked.get(account)?.has(sender) === true;
  }

  of(account: AccountId): AccountId[] {
    return [...(this.#blocked.get(account) ?? [])];
  }

  /** Throws SnugError `quota`. */
  async add(account: AccountId, blocked: AccountId): Promise<void> {
    await this.#store.addBlock({ account, blocked }, limits.blocks);
    this.#setOf(account).add(blocked);
  }

  async remove(account: AccountId, blocked: AccountId): Promise<void> {
    await this.#store.removeBlock({ account, blocked });
    this.#setOf(account).delete(blocked);
  }

  #setOf(account: AccountId): Set<AccountId> {
    const known = this.#blocked.get(account) ?? new Set();
    this.#blocked.set(account, known);
    return known;
  }
}
