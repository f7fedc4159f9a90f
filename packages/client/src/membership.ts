import { admitHash, admitOf, nextHead, sealingKeyOf } from "@snug/crypto/identity";
import { type AccountKeys, openLetter, sealLetter, signSignIn, signStatement } from "@snug/crypto/sealing";
import {
  type AccountId,
  type Event,
  type EventOf,
  encodeInviteLink,
  type Hash,
  type Invite,
  limits,
  protocolVersion,
  type ResponseOf,
  SnugError,
  type StatementBody,
  type StatementKind,
  sha256,
  signInBytes,
} from "@snug/protocol";
import { endOf } from "./administration.ts";
import { type ClientState, type Letter, NetworkError, type OpenInvite } from "./api.ts";
import { Blocking } from "./blocking.ts";
import { Connection, Stop } from "./connection.ts";
import { DirectoryLog } from "./directory.ts";
import { Inbox, passing } from "./inbox.ts";
import { Letters } from "./letters.ts";
import { Library } from "./library.ts";
import type { Link } from "./link.ts";
import { Notices } from "./notices.ts";
import { Outbox, type Sealer } from "./outbox.ts";
import { People } from "./people.ts";
import type { Platform } from "./platform.ts";
import { type Position, put, type Records, type Room } from "./records.ts";
import { bringBack } from "./restoring.ts";
import { StoreError } from "./store.ts";
import { Turns } from "./turns.ts";

export interface MembershipParts {
  readonly records: Records;
  readonly platform: Platform;
  readonly keys: AccountKeys;
  readonly room: Room;
  readonly position: Position;
  readonly changed: () => void;
  readonly arrived: (letters: readonly Letter[]) => void;
  /** The account was removed by our own word: nothing is left to be done here. */
  readonly left: () => Promise<void>;
}

/** A server that says how far the inbox reaches delivers up to there within this. ms */
const deliveryLimit = 60_000;

/** An account's device on its server, while it is open: everything that joining brings to life. */
export class Membership {
  readonly connection: Connection;
  readonly log: DirectoryLog;
  readonly people: People;
  readonly letters: Letters;
  readonly outbox: Outbox;
  readonly inbox: Inbox;
  readonly notices: Notices;
  readonly library: Library;
  readonly blocking: Blocking;
  readonly #parts: MembershipParts;
  readonly #stopHints: () => void;
  /** One writer of letters at a time: the outbox, the inbox, the reader who marks them read. */
  readonly #turns = new Turns();
  #room: Room;
  #link: Link | null = null;
  #leaving = false;
  /** A restored server has not got back yet what it lacks: it takes for delivered what it has lost our own copy of. */
  #lacks = false;
  #telling: Promise<void> = Promise.resolve();

  constructor(parts: MembershipParts) {
    const { records, platform, room, changed, keys } = parts;
    this.#parts = parts;
    this.#room = room;
    const me = room.account;
    const address = () => ({ origin: this.#room.origin, authority: this.#room.authority });
    this.notices = new Notices(records, platform.now, changed);
    const isBlocked = (account: AccountId): boolean => this.blocking.has(account);
    this.people = new People({
      ...{ records, room, notices: this.notices, now: platform.now, changed, isBlocked },
    });
    this.letters = new Letters(records, changed);
    this.log = new DirectoryLog(records, room, {
      // Up to a limit a server adds whom it likes; each of them is ended at most once, by fewer bytes.
      most: 2 * limits.directory,
      judge: (news, after) => this.people.judge(news, after),
      changed: () => this.#directoryChanged(),
    });
    this.connection = new Connection(platform, {
      address,
      greet: (link) => this.#greet(link),
      event: (event) => this.#take(event),
      changed: () => this.#connectionChanged(),
      ended: () => this.#ended(),
      online: () => this.#online(),
    });
    const shared = {
      records,
      turns: this.#turns,
      letters: this.letters,
      log: this.log,
      notices: this.notices,
      me,
    };
    this.outbox = new Outbox({
      ...shared,
      platform,
      people: this.people,
      seal: (of) => this.#seal(of),
      submit: (request) => this.connection.request("submit", request),
      readDelivery: (request) => this.connection.request("delivery-read", request),
      isOnline: () => this.connection.state.is === "online",
      broken: (error) => this.#broken(error),
    });
    this.inbox = new Inbox(
      {
        ...shared,
        platform,
        open: (sealed, by) => openLetter(sealed, { server: room.server, me, keys: keys.encryption, ...by }),
        arrived: parts.arrived,
        isBlocked,
      },
      parts.position,
    );
    this.blocking = new Blocking({ ...shared, changed: () => this.#directoryChanged() });
    this.library = new Library({ platform, address, connection: this.connection, changed });
    this.#stopHints = platform.onNetwork(() => this.connection.hint());
  }

  async load(): Promise<void> {
    await this.notices.load();
    await this.people.load();
    await this.blocking.load();
    await this.log.load();
    await this.letters.load();
    await this.outbox.load();
    await this.inbox.load();
    const stopped = await this.#parts.records.get("stopped", "stopped");
    const end = endOf(this.log.directory, this.#room);
    if (stopped) this.connection.stop(new Stop(stopped.code, stopped.why));
    else if (end) this.connection.stop(new Stop("unauthenticated", end));
    else this.connection.start();
  }

  get state(): ClientState {
    const { account, device, name, server, serverName, origin, authority } = this.#room;
    const role = this.log.directory.accounts.get(account)?.role ?? "member";
    return {
      phase: "joined",
      me: { account, device, name, role },
      server: { id: server, name: serverName, origin, authority },
      connection: this.connection.state,
      people: this.people.list(this.log.directory),
      threads: this.letters.threads,
      library: this.library.view,
      notices: this.notices.shown,
      repeated: this.inbox.repeated,
    };
  }

  async settled(id: Parameters<Outbox["settled"]>[0]): Promise<void> {
    const waiting = this.outbox.settled(id);
    const { state } = this.connection;
    if (state.is === "stopped") this.outbox.end(stoppedError(state));
    return waiting;
  }

  markRead(thread: AccountId): Promise<void> {
    return this.#turns.run(() => this.letters.markRead(thread));
  }

  /** An invite link: its secret is durable here before the server learns its hash. */
  async invite({ uses, lifetime }: { readonly uses: number; readonly lifetime: number }): Promise<string> {
    const secret = crypto.getRandomValues(new Uint8Array(16));
    const hash = await admitHash(await admitOf(secret));
    const once = uses === 1;
    const expires = this.#parts.platform.now() + lifetime;
    await this.people.keepInvite(hash, { secret, once, usesLeft: uses, expires });
    await this.connection.request("invite-create", { hash, uses, lifetime }).catch(async (error: unknown) => {
      // A clear no. Without an answer it may be there.
      if (error instanceof SnugError) await this.people.forgetInvite(hash);
      throw error;
    });
    return this.#inviteLink({ secret, once });
  }

  async invites(): Promise<readonly OpenInvite[]> {
    const { invites } = await this.connection.request("invite-list", {});
    return invites.map((view) => {
      const kept = this.people.keptInvite(view.hash);
      return { ...view, kept: kept ? { link: this.#inviteLink(kept), once: kept.once } : null };
    });
  }

  #inviteLink({ secret, once }: Pick<Invite, "secret" | "once">): string {
    const { server, addresses, authorityHash, account } = this.#room;
    return encodeInviteLink({
      version: 1,
      addresses: [...addresses],
      server,
      logKey: this.log.logKey,
      authority: authorityHash,
      checkpoint: this.log.checkpoint,
      inviter: account,
      secret,
      once,
    });
  }

  /** Nobody joins by it any more, and its secret is forgotten. One that has ended already is as good as revoked. */
  async revokeInvite(hash: Hash): Promise<void> {
    await this.connection.request("invite-revoke", { hash }).catch((error: unknown) => {
      if (!(error instanceof SnugError) || error.code !== "not-found") throw error;
    });
    // Who joined by it before is judged by its secret first.
    await this.log.catchUp(this.connection);
    await this.people.forgetInvite(hash);
  }

  async setBlocked(account: AccountId, blocked: boolean): Promise<void> {
    await this.blocking.set(this.log.account(account).id, blocked, this.connection);
  }

  /** Removes the account by a statement that its signing key makes. */
  async leave(): Promise<void> {
    if (this.connection.state.is !== "online") {
      throw new NetworkError("not connected to the server; leaving needs its word");
    }
    const statement = await this.#make("remove", {});
    // The server ends the connection of a removed account, maybe before its answer or push arrives.
    this.#leaving = true;
    await this.connection.request("statement-append", { statement }).catch((error: unknown) => {
      const { state } = this.connection;
      if (state.is !== "stopped" || state.code !== "unauthenticated") throw error;
    });
  }

  /** Appends a statement of ours about somebody else; resolves once the own directory has it. */
  async administer<K extends "role" | "account-remove" | "device-end">(
    kind: K,
    body: StatementBody<K>,
  ): Promise<void> {
    if (this.log.account(this.#room.account).role !== "admin") {
      throw new SnugError("forbidden", "only an administrator of this server may do this");
    }
    const statement = await this.#make(kind, body);
    await this.connection.request("statement-append", { statement });
    await this.log.catchUp(this.connection);
  }

  /** The own account's next statement, signed, and remembered as made here. */
  async #make<K extends StatementKind>(kind: K, body: StatementBody<K>): Promise<Uint8Array<ArrayBuffer>> {
    const me = this.log.account(this.#room.account);
    const head = nextHead(this.log.directory, me.id, this.#parts.platform.now());
    const by = { key: this.#parts.keys.signing, keyId: me.signingKeyId };
    const statement = await signStatement({ ...by, head, kind, body });
    await this.people.keepMade(await sha256(statement), kind);
    return statement;
  }

  /** Ends this device's tokens and grants. Without a connection they end by themselves within the hour. */
  async signOut(): Promise<void> {
    this.#leaving = true;
    if (this.connection.state.is === "online") {
      await this.connection.request("sign-out", {}).catch(() => undefined);
    }
  }

  async close(): Promise<void> {
    this.#stopHints();
    this.outbox.end(new NetworkError("this client was closed"));
    if (this.#link && this.connection.state.is === "online") this.inbox.tellLast(this.#link);
    this.connection.close();
    await this.inbox.close();
    await this.#turns.idle();
    await this.#telling;
  }

  async #greet(link: Link): Promise<void> {
    const hello = await link.hello;
    this.#checkHello(hello);
    this.#link = link;
    const restored = hello.incarnation !== this.inbox.position.incarnation;
    this.#lacks = restored;
    if (restored) await this.#bringStatements(link);
    const signed = await this.#signIn(link, hello);
    await this.log.catchUp(link);
    await this.log.compare(signed.checkpoint, "sign-in", link);
    const claimed = await this.#parts.records.get("checkpoint", "claimed");
    if (claimed) {
      const whose = claimed.size === 0 ? "whoever invited us" : "somebody who wrote to us";
      await this.log.compare(claimed.text, whose, link).catch((error: unknown) => {
        if (!(error instanceof SnugError)) throw error;
        // A log key of ours signed it then: the log shown since does not have that key.
        throw new Stop("two-histories", `the server shows us another log key than ${whose}`);
      });
      await this.#parts.records.commit([put("checkpoint", "claimed", null)]);
    }
    await this.#keepFacts(signed);
    const { records } = this.#parts;
    const { inbox, outbox, notices } = this;
    const counters = restored
      ? await bringBack({ records, turns: this.#turns, inbox, outbox, notices }, link, { hello, signed })
      : signed.counters;
    this.#lacks = false;
    await this.outbox.compare(counters);
    await this.inbox.resume(link);
    // Online means caught up: a script that reads and leaves finds everything that waited.
    await Promise.race([this.inbox.caughtUp(), brokenLink(link)]);
    await this.outbox.askDelivered(link);
    await this.blocking.compare(link);
    await this.#forgetEnded(link);
  }

  /** Everybody who joined by them was judged by now: the directory was read after they had ended. */
  async #forgetEnded(link: Link): Promise<void> {
    const ended = this.people.endedInvites();
    if (ended.length === 0) return;
    // This device's clock alone does not decide.
    const { invites } = await link.request("invite-list", {});
    const open = new Set(invites.map(({ hash }) => hash));
    for (const hash of ended) if (!open.has(hash)) await this.people.forgetInvite(hash);
  }

  #checkHello(hello: EventOf<"hello">): void {
    if (!hello.versions.includes(protocolVersion)) {
      throw new Stop(
        "upgrade",
        `the server speaks versions ${hello.versions.join(", ")} of the protocol only`,
      );
    }
    if (hello.server !== this.#room.server) {
      throw new Stop("forbidden", "another server answers at this address");
    }
  }

  /** Another incarnation: before signing in, because the server may not know this device any more. */
  async #bringStatements(link: Link): Promise<void> {
    try {
      await this.log.bringBack(link);
    } catch (error) {
      if (!(error instanceof SnugError)) throw error;
      if (error.code === "policy" || error.code === "unauthenticated") {
        throw new Stop(
          "incarnation-changed",
          "the server says that it is not what it was, and that it was not restored either",
        );
      }
      // A disk that is full now shows less than the server will have.
      if (passing.has(error.code)) throw error;
      // What it does not take back, it must still show: the directory is compared after signing in (C6).
    }
  }

  async #signIn(link: Link, hello: EventOf<"hello">): Promise<ResponseOf<"sign-in">> {
    const { account, device } = this.#room;
    const bytes = signInBytes({ ...hello, device });
    const signature = await signSignIn({ key: this.#parts.keys.device, bytes });
    const signed = await link
      .request("sign-in", { version: protocolVersion, account, device, signature })
      .catch((error: unknown) => {
        if (!(error instanceof SnugError)) throw error;
        if (error.code === "upgrade") throw new Stop("upgrade", error.message);
        if (error.code !== "unauthenticated" && error.code !== "forbidden") throw error;
        if (this.#leaving) this.#parts.left().catch(this.#broken);
        if (hello.restoring && error.code === "unauthenticated") {
          throw new NetworkError(
            "the server was restored from a backup and waits to hear of this device again",
          );
        }
        throw new Stop(
          error.code,
          "the server does not let this device in any more: the device was ended or its account removed",
        );
      });
    if (signed.server !== hello.server || signed.inbox !== this.inbox.position.stream) {
      throw new Stop("forbidden", "the server signs us in to another account than we joined with");
    }
    if (signed.incarnation !== hello.incarnation) {
      throw new Stop("forbidden", "the server signs us in to another incarnation than it greeted with");
    }
    return signed;
  }

  /** What the server says of itself goes into later invites. */
  async #keepFacts(signed: ResponseOf<"sign-in">): Promise<void> {
    const { serverName, addresses, authority: authorityHash } = signed;
    const name = this.log.directory.accounts.get(this.#room.account)?.display ?? this.#room.name;
    const room: Room = { ...this.#room, name, serverName, addresses, authorityHash };
    if (JSON.stringify(room) === JSON.stringify(this.#room)) return;
    await this.#parts.records.commit([put("room", "room", room)]);
    this.#room = room;
  }

  #take(event: Event): Promise<void> {
    const link = this.#link;
    return link ? this.#follow(this.#handle(event, link), link) : Promise.resolve();
  }

  #handle(event: Event, link: Link): Promise<void> {
    if (event.name === "rows") return this.inbox.take(event.body, link);
    if (event.name === "directory") return this.log.push(event.body, link);
    // All that is not delivered is asked for once the server has everything back.
    if (event.name === "delivered")
      return this.#lacks ? Promise.resolve() : this.outbox.delivered(event.body.ids);
    if (event.name === "presence") this.people.presence(event.body);
    if (event.name === "library") this.#reload();
    if (event.name === "restored") this.outbox.kick();
    return Promise.resolve();
  }

  /** Work that fails leaves a hole behind what comes next: the link is ended, the next one resumes from the store. */
  #follow(work: Promise<void>, link: Link): Promise<void> {
    return work.catch((error: unknown) => {
      if (error instanceof Stop) this.connection.stop(error);
      else link.close(error);
    });
  }

  #online(): void {
    this.outbox.kick();
    this.#reload();
    this.#askHead();
  }

  /** Somebody was ended while we are here: how far the inbox reaches now tells what of theirs came before (L9). */
  #askHead(): void {
    const link = this.#link;
    if (!link || this.connection.state.is !== "online" || !this.inbox.mustAsk) return;
    const callOff = this.#parts.platform.after(deliveryLimit, () =>
      link.close("the server does not deliver what it says the inbox has"),
    );
    const asked = this.inbox
      .resume(link)
      .then(() => Promise.race([this.inbox.caughtUp(), brokenLink(link)]))
      .finally(callOff);
    void this.#follow(asked, link);
  }

  #reload(): void {
    this.library.reload().catch((error: unknown) => {
      // Without a list there is nothing to watch, but letters go on; the next event or link reads it again.
      if (error instanceof NetworkError) return;
      const why = error instanceof Error ? error.message : "";
      const said = "The list of videos could not be read: ";
      if (!this.notices.has(said)) this.notices.add("quiet", said + why).catch(this.#broken);
    });
  }

  #directoryChanged(): void {
    this.#parts.changed();
    const end = endOf(this.log.directory, this.#room);
    if (end && this.#leaving) this.#parts.left().catch(this.#broken);
    else if (end) this.connection.stop(new Stop("unauthenticated", end));
    this.outbox.kick();
    this.#askHead();
  }

  /** The directory's word for it was pushed before the server closed, and may still be under way here. */
  #ended(): Stop | Promise<Stop> {
    const stop = (): Stop =>
      new Stop("unauthenticated", endOf(this.log.directory, this.#room) ?? "this device was signed out");
    return this.#leaving ? stop() : this.log.idle().then(stop);
  }

  #connectionChanged(): void {
    const { state } = this.connection;
    // Who is there is the server's word of now; without a server nobody is known to be.
    if (state.is === "offline" || state.is === "stopped") this.people.forgetPresence();
    if (state.is === "stopped") {
      this.outbox.end(stoppedError(state));
      // What can't be told because the store fails is still in the state.
      this.#telling = this.#tellStop(state).catch(() => undefined);
    }
    this.#parts.changed();
  }

  /** A proof of two histories is remembered: a restart doesn't make the server honest. */
  async #tellStop({ code, why }: { readonly code: string; readonly why: string }): Promise<void> {
    // Our own doing is no news.
    if (this.#leaving && code === "unauthenticated") return;
    if (code === "two-histories") {
      await this.#parts.records.commit([put("stopped", "stopped", { code, why })]);
    }
    await this.notices.add("loud", `Connecting to the server has been stopped: ${why}`);
  }

  /** What the disk does not take for now is asked for and tried again with the next link (C32). */
  readonly #broken = (error: unknown): void => {
    if (error instanceof StoreError) {
      this.#link?.close(error);
      return;
    }
    this.connection.stop(new Stop("store", `this device can't keep its data: ${String(error)}`));
  };

  readonly #seal: Sealer = async ({ to, outgoing, counter }) => {
    const { account, device, server } = this.#room;
    const deviceKeyId = this.log.account(account).devices.get(device)?.keyId;
    if (!deviceKeyId) throw new SnugError("forbidden", "this device is not in the directory");
    const { key, keyId } = sealingKeyOf(to);
    const { id, time, content, copyOf } = outgoing;
    const bytes = await sealLetter({
      from: { account, device, key: this.#parts.keys.device, deviceKeyId },
      to: { account: to.id, keyId, key },
      ...{ server, id, counter, time, content, copyOf },
      checkpoint: this.log.checkpoint,
    });
    return { bytes, counter, keyId };
  };
}

function stoppedError({ code, why }: { readonly code: string; readonly why: string }): SnugError {
  const known = { "incarnation-changed": true, "rolled-back": true, upgrade: true } as const;
  return new SnugError(Object.hasOwn(known, code) ? (code as keyof typeof known) : "forbidden", why);
}

async function brokenLink(link: Link): Promise<never> {
  const { why } = await link.ended;
  throw new NetworkError(why);
}
