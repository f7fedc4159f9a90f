import { type Account, type Directory, safetyNumber } from "@snug/crypto/identity";
import { checkInviteBinding } from "@snug/crypto/sealing";
import {
  type AccountId,
  type EventOf,
  type Hash,
  isPresent,
  SnugError,
  type StatementContent,
  takePresence,
} from "@snug/protocol";
import { administrationNews } from "./administration.ts";
import type { Person } from "./api.ts";
import { Stop } from "./connection.ts";
import type { Judgement, News, Step } from "./directory.ts";
import type { Notices } from "./notices.ts";
import { put, type RecordOf, type Records, type Room, type Trusted } from "./records.ts";
import type { Change } from "./store.ts";

const unknown: Trusted = { trust: { how: "unverified" }, notice: null };

export interface PeopleParts {
  readonly records: Records;
  readonly room: Room;
  readonly notices: Notices;
  readonly isBlocked: (account: AccountId) => boolean;
  readonly now: () => number;
  readonly changed: () => void;
}

/** Who is known how well, who is here, and to whom nothing may be sent. */
export class People {
  readonly #parts: PeopleParts;
  readonly #trusted = new Map<AccountId, Trusted>();
  readonly #invites = new Map<Hash, RecordOf<"invites">>();
  readonly #made = new Set<string>();
  #present: Uint8Array = new Uint8Array();

  constructor(parts: PeopleParts) {
    this.#parts = parts;
  }

  async load(): Promise<void> {
    const { records } = this.#parts;
    for (const { key, value } of await records.list({ table: "people" })) {
      this.#trusted.set(key as AccountId, value);
    }
    for (const { key, value } of await records.list({ table: "invites" })) {
      this.#invites.set(key as Hash, value);
    }
    for (const { key } of await records.list({ table: "made" })) this.#made.add(key);
  }

  list(directory: Directory): Person[] {
    return [...directory.accounts.values()].map((account, position) => {
      const { trust, notice } = this.#of(account.id);
      return {
        account: account.id,
        name: account.display,
        online: isPresent(this.#present, position),
        role: account.role,
        trust: account.id === this.#parts.room.account ? { how: "verified", by: "self" } : trust,
        removed: account.removed,
        removedBy: account.removedBy === account.id ? null : account.removedBy,
        blocked: this.#parts.isBlocked(account.id),
        notice,
        newer: account.newer,
      };
    });
  }

  presence({ runs }: EventOf<"presence">): void {
    this.#present = takePresence(this.#present, runs);
    this.#parts.changed();
  }

  /** Without a server nobody is known to be here (C24). */
  forgetPresence(): void {
    this.#present = new Uint8Array();
    this.#parts.changed();
  }

  /** Why nothing may be sealed to this account now, in words, or null (C15). */
  obstacle(account: Account): string | null {
    if (account.removed) return `${account.display} is no longer on this server`;
    if (this.#parts.isBlocked(account.id)) {
      return `you have blocked ${account.display}; unblock them to write to them`;
    }
    if (account.newer)
      return `${account.display} uses a newer version of Snug; update this one to write to them`;
    if (this.#of(account.id).trust.how === "key-changed") {
      return `the keys of ${account.display} have changed; compare the safety number or accept the new keys first`;
    }
    if (this.#of(account.id).trust.how === "unproven") {
      return `${account.display} came by an invite of yours without its proof; compare the safety number or accept the keys first`;
    }
    return null;
  }

  async setVerified(account: AccountId, verified: boolean): Promise<void> {
    await this.#set(account, {
      trust: verified ? { how: "verified", by: "safety-number" } : { how: "unverified" },
      notice: null,
    });
  }

  async acceptNewKeys(account: AccountId): Promise<void> {
    await this.#set(account, unknown);
  }

  /** 12 groups of five digits. */
  async safetyNumber(account: Account, directory: Directory): Promise<string> {
    const me = directory.accounts.get(this.#parts.room.account);
    if (!me) throw new SnugError("unavailable", "the directory has not been read yet");
    return safetyNumber(me, account);
  }

  /** Before a statement of our own leaves: later it is recognised as ours. */
  async keepMade(hash: Hash, kind: string): Promise<void> {
    await this.#parts.records.commit([put("made", hash, { kind })]);
    this.#made.add(hash);
  }

  /** Before an invite is registered: its secret is what the joiner's genesis is checked by. */
  async keepInvite(hash: Hash, invite: RecordOf<"invites">): Promise<void> {
    await this.#parts.records.commit([put("invites", hash, invite)]);
    this.#invites.set(hash, invite);
  }

  /** Once nobody can join by it any more, or it was never registered. */
  async forgetInvite(hash: Hash): Promise<void> {
    await this.#parts.records.commit([put("invites", hash, null)]);
    this.#invites.delete(hash);
  }

  /** What this device keeps of an invite that it made itself. */
  keptInvite(hash: Hash): RecordOf<"invites"> | undefined {
    return this.#invites.get(hash);
  }

  /** Invites that have ended by this device's clock. */
  endedInvites(): Hash[] {
    const now = this.#parts.now();
    return [...this.#invites].filter(([, { expires }]) => expires < now).map(([hash]) => hash);
  }

  /**
   * What new leaves of the log mean for trust, and what is said of them. Throws Stop when the directory lacks ourselves:
   * then somebody else may stand there under our name.
   */
  async judge({ steps, newLogKey, first }: News, after: Directory): Promise<Judgement> {
    if (!after.accounts.has(this.#parts.room.account)) {
      const { name } = this.#parts.room;
      throw new Stop(
        "directory",
        `the server's directory does not have your account: somebody else may stand there as ${name}`,
      );
    }
    const verdicts: Verdict[] = newLogKey && !first ? [logKeyNews] : [];
    for (const step of steps) verdicts.push(await this.#judgeStep(step, after, first));
    const notices = verdicts.flatMap(({ say }) =>
      say.map(({ level, text }) => this.#parts.notices.make(level, text)),
    );
    const trusted = verdicts.flatMap(({ trusted }) => (trusted ? [trusted] : []));
    const used = this.#useUp(verdicts.flatMap(({ used }) => (used ? [used] : [])));
    const changes: Change[] = [
      ...notices.map(({ change }) => change),
      ...trusted.map(([account, value]) => put("people", account, value)),
      ...[...used].map(([hash, left]) => put("invites", hash, left)),
    ];
    return {
      changes,
      apply: () => {
        for (const [account, value] of trusted) this.#trusted.set(account, value);
        for (const [hash, left] of used) {
          if (left) this.#invites.set(hash, left);
          else this.#invites.delete(hash);
        }
        for (const { show } of notices) show();
      },
    };
  }

  /** What is left of invites after these uses; null for nothing. */
  #useUp(used: readonly Hash[]): ReadonlyMap<Hash, RecordOf<"invites"> | null> {
    const left = new Map<Hash, RecordOf<"invites"> | null>();
    for (const hash of used) {
      const invite = left.get(hash) ?? this.#invites.get(hash);
      if (!invite) continue;
      const usesLeft = invite.usesLeft - 1;
      left.set(hash, usesLeft > 0 ? { ...invite, usesLeft } : null);
    }
    return left;
  }

  async #judgeStep(step: Step, after: Directory, first: boolean): Promise<Verdict> {
    const { content, account: owner } = step;
    const me = this.#parts.room.account;
    if (owner === me) return this.#made.has(step.hash) ? silent : ownSurprise(content);
    const name = after.accounts.get(owner)?.display ?? "somebody";
    if (content.kind === "genesis" && content.body.invite?.inviter === me) {
      return this.#judgeGuest(content, owner);
    }
    const signedBy = after.accounts.get(owner)?.history[content.number]?.signedBy;
    // Behind a statement that isn't understood, one without a known signer is not believed (I14).
    const news = first || !signedBy ? null : administrationNews(step, after, this.#parts.room);
    if (news) return { say: [news] };
    if (first || (content.kind !== "rotate" && content.kind !== "recovery-change")) return silent;
    const { trust } = this.#of(owner);
    if (signedBy === "recovery") {
      return { say: [], trusted: [owner, { trust, notice: "renewed their keys with the recovery code" }] };
    }
    const text = `The keys of ${name} have changed, without their recovery code. Nothing is sent to them until you have compared the safety number or accepted the new keys.`;
    return {
      say: [{ level: "loud", text }],
      trusted: [owner, { trust: { how: "key-changed", when: this.#parts.now() }, notice: null }],
    };
  }

  async #judgeGuest(content: Genesis, owner: AccountId): Promise<Verdict> {
    for (const [hash, { secret, once }] of this.#invites) {
      const { account: inviter, server } = this.#parts.room;
      if (!(await checkInviteBinding({ secret, genesis: content.body, inviter, server }))) continue;
      if (!once) return { say: [], used: hash };
      const trust = { how: "verified", by: "invite" } as const;
      return { say: [], trusted: [owner, { trust, notice: null }], used: hash };
    }
    const text = `${content.body.display} claims to have joined by an invite of yours, but the proof is wrong: the server may have put its own keys in. Nothing is sent to them until you have compared the safety number or accepted the keys.`;
    const trust = { how: "unproven", when: this.#parts.now() } as const;
    return { say: [{ level: "loud", text }], trusted: [owner, { trust, notice: null }] };
  }

  #of(account: AccountId): Trusted {
    return this.#trusted.get(account) ?? unknown;
  }

  async #set(account: AccountId, trusted: Trusted): Promise<void> {
    await this.#parts.records.commit([put("people", account, trusted)]);
    this.#trusted.set(account, trusted);
    this.#parts.changed();
  }
}

type Genesis = Extract<StatementContent, { kind: "genesis" }>;

interface Verdict {
  readonly say: readonly { readonly level: "quiet" | "loud"; readonly text: string }[];
  readonly trusted?: readonly [AccountId, Trusted];
  /** The invite of ours that this was a use of. */
  readonly used?: Hash;
}

const silent: Verdict = { say: [] };

const logKeyNews: Verdict = {
  say: [
    {
      level: "quiet",
      text: "The server has renewed the key that signs its directory; the key before vouches for it. There is nothing to do.",
    },
  ],
};

function ownSurprise(content: StatementContent): Verdict {
  const kind = content.kind === "unknown" ? content.named : content.kind;
  const text = `A statement about your own account that this device did not make is in the directory: ${kind}. If it was not you, somebody has your keys or your recovery code.`;
  return { say: [{ level: "loud", text }] };
}
