import type { AccountId, DeviceId, MessageId } from "@snug/protocol";
import { limits, SnugError, textProblem } from "@snug/protocol";
import { devicesOf } from "./administration.ts";
import type { Client, ClientState, DeviceView, InviteLook, Letter } from "./api.ts";
import { join, lookAtInvite } from "./joining.ts";
import { Membership } from "./membership.ts";
import type { Platform } from "./platform.ts";
import { Records } from "./records.ts";
import type { Store } from "./store.ts";

/**
 * Opens a client on its store; connects when the store knows of a server. The client owns the store and closes it.
 * Throws SnugError `internal` when the store's records are not of this version's form.
 */
export async function createClient(of: {
  readonly store: Store;
  readonly platform: Platform;
}): Promise<Client> {
  const device = new Device(of.store, of.platform);
  await device.open();
  return device;
}

class Device implements Client {
  readonly #store: Store;
  readonly #records: Records;
  readonly #platform: Platform;
  readonly #listeners = new Set<() => void>();
  readonly #letterListeners = new Set<(letter: Letter) => void>();
  #membership: Membership | null = null;
  #ended: string | null = null;
  /** Until everything here is erased, whatever began it. */
  #ending: Promise<void> = Promise.resolve();
  #snapshot: ClientState | null = null;
  #announced = false;
  #joining = false;

  constructor(store: Store, platform: Platform) {
    this.#store = store;
    this.#records = new Records(store);
    this.#platform = platform;
  }

  async open(): Promise<Membership | null> {
    const room = await this.#records.get("room", "room");
    const position = await this.#records.get("position", "inbox");
    const keys = await this.#store.loadKeys();
    if (!room || !position || !keys) return null;
    const membership = new Membership({
      records: this.#records,
      platform: this.#platform,
      keys,
      room,
      position,
      changed: () => this.#changed(),
      arrived: (letters) => this.#arrived(letters),
      left: () => this.#end("you have left this server"),
    });
    this.#membership = membership;
    await membership.load();
    this.#changed();
    return membership;
  }

  get state(): ClientState {
    this.#snapshot ??= this.#ended
      ? { phase: "ended", why: this.#ended }
      : (this.#membership?.state ?? { phase: "new" });
    return this.#snapshot;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onLetter(listener: (letter: Letter) => void): () => void {
    this.#letterListeners.add(listener);
    return () => this.#letterListeners.delete(listener);
  }

  async lookAtInvite(link: string): Promise<InviteLook> {
    const { serverName, inviterName, once } = await lookAtInvite(this.#platform, link);
    return { serverName, inviterName, once };
  }

  async join({
    link,
    name,
  }: {
    readonly link: string;
    readonly name: string;
  }): Promise<{ recoveryCode: string }> {
    if (this.#membership || this.#joining) {
      throw new SnugError("conflict", "this device belongs to an account already");
    }
    this.#joining = true;
    try {
      await this.#ending;
      const joined = await join(
        { platform: this.#platform, store: this.#store, records: this.#records },
        link,
        name,
      );
      this.#ended = null;
      const membership = await this.open();
      // The directory is there before the first letter is written; without a connection it comes later.
      await membership?.connection.attempt();
      return joined;
    } finally {
      this.#joining = false;
    }
  }

  async send(to: AccountId, text: string): Promise<MessageId> {
    const { log, outbox } = this.#joined();
    log.account(to);
    // Files of some systems begin with a byte order mark.
    const normal = text.replace(/^\ufeff+/, "").replaceAll("\r\n", "\n");
    const problem = textProblem(normal);
    if (problem) {
      const long = new TextEncoder().encode(normal).length > limits.text;
      throw new SnugError(long ? "too-large" : "malformed", problem);
    }
    return outbox.add(to, normal);
  }

  settled(id: MessageId): Promise<void> {
    return this.#joined().settled(id);
  }

  async letters(of: {
    readonly thread: AccountId;
    readonly before?: number;
    readonly most: number;
  }): Promise<readonly Letter[]> {
    return this.#joined().letters.page(of);
  }

  async markRead(thread: AccountId): Promise<void> {
    await this.#joined().markRead(thread);
  }

  async invite({ uses, hours }: { readonly uses: number; readonly hours?: number }): Promise<string> {
    const lifetime = hours === undefined ? limits.invite : hours * 3_600_000;
    return this.#joined().invite({ uses, lifetime });
  }

  async invites(): ReturnType<Client["invites"]> {
    return this.#joined().invites();
  }

  async revokeInvite(hash: Parameters<Client["revokeInvite"]>[0]): Promise<void> {
    await this.#joined().revokeInvite(hash);
  }

  async setBlocked(account: AccountId, blocked: boolean): Promise<void> {
    await this.#joined().setBlocked(account, blocked);
  }

  async safetyNumber(account: AccountId): Promise<string> {
    const { people, log } = this.#joined();
    return people.safetyNumber(log.account(account), log.directory);
  }

  async setVerified(account: AccountId, verified: boolean): Promise<void> {
    const { people, log, outbox } = this.#joined();
    await people.setVerified(log.account(account).id, verified);
    outbox.kick();
  }

  async acceptNewKeys(account: AccountId): Promise<void> {
    const { people, log, outbox } = this.#joined();
    await people.acceptNewKeys(log.account(account).id);
    outbox.kick();
  }

  async dismissNotice(id: number): Promise<void> {
    await this.#joined().notices.dismiss(id);
  }

  async devices(account: AccountId): Promise<readonly DeviceView[]> {
    return devicesOf(this.#joined().log.account(account));
  }

  async removeAccount(account: AccountId): Promise<void> {
    await this.#joined().administer("account-remove", { account });
  }

  async endDevice(account: AccountId, device: DeviceId): Promise<void> {
    await this.#joined().administer("device-end", { account, device });
  }

  async setRole(account: AccountId, role: "admin" | "member"): Promise<void> {
    await this.#joined().administer("role", { account, role });
  }

  async title(id: Parameters<Client["title"]>[0]): ReturnType<Client["title"]> {
    return this.#joined().library.title(id);
  }

  async openMedia(): Promise<void> {
    await this.#joined().library.openMedia();
  }

  async playbackUrl(id: Parameters<Client["playbackUrl"]>[0]): Promise<string> {
    return this.#joined().library.playbackUrl(id);
  }

  async signOut(): Promise<void> {
    await this.#joined().signOut();
    await this.#end("this device was signed out");
  }

  async leave(): Promise<void> {
    try {
      await this.#joined().leave();
    } catch (error) {
      // The statement's own push may end everything here before the answer to it arrives.
      if (this.#ended === null) throw error;
    }
    await this.#end("you have left this server");
  }

  async close(): Promise<void> {
    await this.#membership?.close();
    // Whoever asked for it is told what came of it.
    await this.#ending.catch(() => undefined);
    this.#listeners.clear();
    this.#letterListeners.clear();
    await this.#store[Symbol.asyncDispose]();
  }

  #joined(): Membership {
    if (this.#membership) return this.#membership;
    throw new SnugError("unauthenticated", "this device has not joined a server yet");
  }

  /** Resolves once everything is erased. */
  #end(why: string): Promise<void> {
    const membership = this.#membership;
    if (membership) {
      this.#membership = null;
      this.#ended = why;
      this.#ending = this.#erase(membership);
    }
    return this.#ending;
  }

  async #erase(membership: Membership): Promise<void> {
    await membership.close();
    await this.#store.erase();
    this.#changed();
  }

  /** One call of the listeners for all changes of a tick. */
  #changed(): void {
    this.#snapshot = null;
    if (this.#announced) return;
    this.#announced = true;
    queueMicrotask(() => {
      this.#announced = false;
      for (const listener of this.#listeners) listener();
    });
  }

  #arrived(letters: readonly Letter[]): void {
    for (const letter of letters) for (const listener of this.#letterListeners) listener(letter);
  }
}
