import type { AccountId } from "@snug/protocol";
import type { DirectoryLog } from "./directory.ts";
import type { Link } from "./link.ts";
import type { Notices } from "./notices.ts";
import { put, type Records } from "./records.ts";
import type { Turns } from "./turns.ts";

export interface BlockingParts {
  readonly records: Records;
  /** Shared by all who write letters. */
  readonly turns: Turns;
  readonly log: DirectoryLog;
  readonly notices: Notices;
  readonly changed: () => void;
}

/** Whose letters this account does not take: the server refuses them, and this device drops what comes all the same (C39). */
export class Blocking {
  readonly #parts: BlockingParts;
  readonly #blocked = new Set<AccountId>();

  constructor(parts: BlockingParts) {
    this.#parts = parts;
  }

  async load(): Promise<void> {
    for (const { key } of await this.#parts.records.list({ table: "blocked" })) {
      this.#blocked.add(key as AccountId);
    }
  }

  has(account: AccountId): boolean {
    return this.#blocked.has(account);
  }

  /** First the server, whose part it is to refuse. Throws its SnugError; NetworkError, and nothing has changed here. */
  async set(account: AccountId, blocked: boolean, link: Pick<Link, "request">): Promise<void> {
    await link.request("block-set", { account, blocked });
    await this.#keep(account, blocked);
  }

  /**
   * What the server has forgotten (it may have been restored) is said again. What it knows more is taken on, and said:
   * to take letters of somebody whom one has blocked would be worse than the other way round.
   */
  async compare(link: Pick<Link, "request">): Promise<void> {
    const { accounts } = await link.request("block-list", {});
    const theirs = new Set(accounts);
    for (const account of this.#blocked) {
      if (!theirs.has(account)) await link.request("block-set", { account, blocked: true });
    }
    const { log, notices } = this.#parts;
    for (const account of accounts) {
      const person = log.directory.accounts.get(account);
      if (this.#blocked.has(account) || !person) continue;
      await this.#keep(account, true);
      await notices.add(
        "quiet",
        `The server says that you have blocked ${person.display}, which this device did not know. If it was not you, unblock them.`,
      );
    }
  }

  /** Before a letter is stored or behind it. */
  #keep(account: AccountId, blocked: boolean): Promise<void> {
    return this.#parts.turns.run(async () => {
      await this.#parts.records.commit([put("blocked", account, blocked ? {} : null)]);
      if (blocked) this.#blocked.add(account);
      else this.#blocked.delete(account);
      this.#parts.changed();
    });
  }
}
