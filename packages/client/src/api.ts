import type { SenderEnd } from "@snug/crypto/sealing";
import type {
  AccountId,
  DeviceId,
  Hash,
  InviteView,
  LibraryView,
  MessageId,
  ServerId,
  TitleDetail,
  TitleId,
} from "@snug/protocol";

/** Whom we know how well. Only "verified" is ever shown in green. */
export type Trust =
  | { readonly how: "unverified" }
  /** Through a one-use invite: both sides checked each other's keys by its secret. */
  | { readonly how: "verified"; readonly by: "invite" | "safety-number" | "self" }
  /** The keys changed without the recovery key's word: nothing is sent until the person is looked at again. */
  | { readonly how: "key-changed"; readonly when: number }
  /** Claims to come by an invite of ours and does not prove it: the keys may be the server's. Nothing is sent either. */
  | { readonly how: "unproven"; readonly when: number };

export interface Person {
  readonly account: AccountId;
  readonly name: string;
  readonly online: boolean;
  readonly role: "admin" | "member";
  readonly trust: Trust;
  readonly removed: boolean;
  /** The administrator who removed it; null while it is there, and when it has left by itself. */
  readonly removedBy: AccountId | null;
  /** Their letters are not taken, and nothing is sent to them. */
  readonly blocked: boolean;
  /** A quiet notice, in words ("renewed their keys with the recovery code"), or null. */
  readonly notice: string | null;
  /** The account has statements this version doesn't understand; nothing new is sent to it. */
  readonly newer: boolean;
}

/** An own invite that can still be used. */
export type OpenInvite = InviteView & {
  /** Its link, and whether it was made for one person alone; null where another device made it and has the secret. */
  readonly kept: { readonly link: string; readonly once: boolean } | null;
};

/** One device of an account, as the directory tells. Times in ms since 1970. */
export interface DeviceView {
  readonly device: DeviceId;
  readonly rights: "full" | "send-only";
  /** When it ends by itself; null: open-ended. */
  readonly ends: number | null;
  /** By the clock of who introduced it. */
  readonly added: number;
  /** Who ended it for good: its account, or an administrator; null while nobody has. */
  readonly endedBy: AccountId | null;
}

/** A letter as shown. Times in ms since 1970; they order nothing (`order` does). */
export interface Letter {
  readonly id: MessageId;
  /** Who this thread is with: the other account, or oneself. */
  readonly thread: AccountId;
  readonly from: AccountId;
  readonly text: string;
  /** The sender's clock. */
  readonly time: number;
  /** Rises with each letter of the store; the key for paging. */
  readonly order: number;
  /**
   * Opened after its sender had left or was removed, or the device that wrote it was ended: written before that, as far
   * as can be told (L9). null for everybody else's.
   */
  readonly senderEnd: SenderEnd | null;
  readonly state:
    | { readonly is: "received"; readonly gapBefore: boolean }
    | { readonly is: "queued" }
    /** Waits for something a person should know, in words. */
    | { readonly is: "held"; readonly why: string }
    | { readonly is: "accepted" }
    | { readonly is: "delivered" };
}

export interface Thread {
  readonly account: AccountId;
  readonly last: Letter | null;
  readonly unread: number;
}

export type Connection =
  | { readonly is: "connecting" }
  | { readonly is: "online" }
  /** `byDisk`: not the way to the server, but this device's disk is the trouble. `retryAt` in ms since 1970. */
  | { readonly is: "offline"; readonly why: string; readonly byDisk: boolean; readonly retryAt: number }
  /** Stopped for good until a person acts: dishonest or restored server, revoked device, newer protocol. */
  | { readonly is: "stopped"; readonly code: string; readonly why: string };

/** Something a person should see once: refused rows, a forged binding, a bent directory. */
export interface Notice {
  readonly id: number;
  readonly time: number;
  readonly level: "quiet" | "loud";
  readonly text: string;
}

/** All a client shows; plain data, replaced as a whole at each change, safe to post between threads. */
export type ClientState =
  | { readonly phase: "new" }
  | {
      readonly phase: "joined";
      readonly me: {
        readonly account: AccountId;
        readonly device: DeviceId;
        readonly name: string;
        readonly role: "admin" | "member";
      };
      readonly server: {
        readonly id: ServerId;
        readonly name: string;
        /** The origin this client talks to. */
        readonly origin: string;
        /** The server's own TLS authority (PEM), for players started by us; null where the system's list decides. */
        readonly authority: string | null;
      };
      readonly connection: Connection;
      readonly people: readonly Person[];
      readonly threads: readonly Thread[];
      /** null until first loaded. */
      readonly library: LibraryView | null;
      readonly notices: readonly Notice[];
      /** Letters of others that the server delivered once more; they were left out. */
      readonly repeated: number;
    }
  | { readonly phase: "ended"; readonly why: string };

export interface InviteLook {
  readonly serverName: string;
  /** Checked against the link; null for the setup link. */
  readonly inviterName: string | null;
  readonly once: boolean;
}

/** The one door. Every failure is a SnugError with a code of the closed list, a NetworkError, or a StoreError of this device's own disk. */
export interface Client {
  readonly state: ClientState;
  /** Called after each change of `state`. Returns the way to stop. */
  subscribe(listener: () => void): () => void;
  /** Called for each new letter that arrives, after it is durable and opened. */
  onLetter(listener: (letter: Letter) => void): () => void;

  lookAtInvite(link: string): Promise<InviteLook>;
  /** Makes the account and this device. The recovery code is returned once and kept nowhere. */
  join(of: { readonly link: string; readonly name: string }): Promise<{ readonly recoveryCode: string }>;

  /** Resolves once the letter is durable in the outbox. */
  send(to: AccountId, text: string): Promise<MessageId>;
  /** Resolves once the letter has left the outbox (accepted or delivered), or rejects with what holds it. */
  settled(id: MessageId): Promise<void>;
  /** Letters of one thread, oldest first, those before `before` (an order), at most `most`. */
  letters(of: {
    readonly thread: AccountId;
    readonly before?: number;
    readonly most: number;
  }): Promise<readonly Letter[]>;
  markRead(thread: AccountId): Promise<void>;

  /** A link for one person (`uses` 1) or counted, good for `hours` (at most, and without a word, 168). */
  invite(of: { readonly uses: number; readonly hours?: number }): Promise<string>;
  /** Own invites that can still be used, oldest first. */
  invites(): Promise<readonly OpenInvite[]>;
  /** Nobody joins by it any more; one that has ended already is no error. */
  revokeInvite(hash: Hash): Promise<void>;

  /**
   * Blocked: the server refuses their letters, this device drops what comes all the same, and own letters to them are
   * held. NetworkError while offline.
   */
  setBlocked(account: AccountId, blocked: boolean): Promise<void>;

  /** 60 digits in 12 groups of five, the same on both sides. */
  safetyNumber(account: AccountId): Promise<string>;
  setVerified(account: AccountId, verified: boolean): Promise<void>;
  /** After a loud key change, or a join without proof: go on with these keys, as unverified. Held letters leave. */
  acceptNewKeys(account: AccountId): Promise<void>;
  dismissNotice(id: number): Promise<void>;

  /** All devices that an account ever had, oldest first. */
  devices(account: AccountId): Promise<readonly DeviceView[]>;
  /**
   * What only an administrator may do, each by a signed statement that everybody sees. Resolve once it is in the own
   * directory; throw SnugError `forbidden` (no administrator, or about oneself), `conflict` (nobody there, ended
   * already), `policy` (the last administrator), NetworkError while offline.
   */
  removeAccount(account: AccountId): Promise<void>;
  endDevice(account: AccountId, device: DeviceId): Promise<void>;
  setRole(account: AccountId, role: "admin" | "member"): Promise<void>;

  title(id: TitleId): Promise<TitleDetail>;
  /** Browser: makes sure that the cookie for /m/me/… is there. Node: nothing to do. */
  openMedia(): Promise<void>;
  /** An absolute URL of the title's master playlist under a playback grant. */
  playbackUrl(id: TitleId): Promise<string>;

  /** Ends this device here; its keys are erased. */
  signOut(): Promise<void>;
  /** Removes the account from the server for good, by a signed statement, then ends. */
  leave(): Promise<void>;
  /** Closes connection and store; nothing is left running. */
  close(): Promise<void>;
}

/** The server could not be reached, or the connection broke in the middle. */
export class NetworkError extends Error {
  override readonly name = "NetworkError";
}
