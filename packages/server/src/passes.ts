import { hash as digest, randomBytes } from "node:crypto";
import { type AccountId, type DeviceId, type Hash, limits, type TitleId, toBase64url } from "@snug/protocol";
import type { DirectoryLog } from "./directoryLog.ts";
import type { Pass, Store } from "./store/store.ts";

/** Who asks, when a pass was shown. */
export interface Holder {
  readonly account: AccountId;
  readonly device: DeviceId;
}

/** Tokens, session cookies and playback grants: random, kept as their SHA-256, gone at once when their device is. */
export class Passes {
  readonly #store: Store;
  readonly #log: DirectoryLog;
  readonly #now: () => number;

  constructor(store: Store, log: DirectoryLog, now: () => number) {
    this.#store = store;
    this.#log = log;
    this.#now = now;
  }

  /** 256 random bits as base64url: a bearer token, for one hour. */
  createToken(holder: Holder): Promise<{ secret: string; expires: number }> {
    return this.#create("token", holder, null);
  }

  /** The value of a session cookie, made by a token; undefined when that is none. Throws `unauthenticated` when it ends meanwhile (P22). */
  async createSession(token: string): Promise<{ secret: string; expires: number } | undefined> {
    const holder = await this.holderOf(token, "token");
    return holder && this.#create("session", holder, hashOf(token));
  }

  async #create(
    kind: "token" | "session",
    { account, device }: Holder,
    under: Hash | null,
  ): Promise<{ secret: string; expires: number }> {
    const secret = toBase64url(randomBytes(32));
    const expires = this.#now() + (kind === "token" ? limits.token : limits.session);
    await this.#store.addPass({ hash: hashOf(secret), kind, account, device, expires }, under);
    return { secret, expires };
  }

  /** 128 random bits as base64url that open one title, when first used within ten minutes. */
  async createGrant(
    { account, device }: Holder,
    title: TitleId,
  ): Promise<{ secret: string; expires: number }> {
    const secret = toBase64url(randomBytes(16));
    const expires = this.#now() + limits.grantOpen;
    const hash = hashOf(secret);
    await this.#store.addPass({ hash, kind: "grant", account, device, title, opened: null, expires }, null);
    return { secret, expires };
  }

  /** Whose token or session this is; undefined for anything else, whatever the reason. */
  async holderOf(secret: string, kind: "token" | "session"): Promise<Holder | undefined> {
    const pass = await this.#living(secret);
    return pass?.kind === kind ? { account: pass.account, device: pass.device } : undefined;
  }

  /** Whose grant opens a title now. Its first use sets its end: the title's length (µs) and six hours from then. */
  async opens(secret: string, title: TitleId, durationMicroseconds: number): Promise<Holder | undefined> {
    const pass = await this.#living(secret);
    if (pass?.kind !== "grant" || pass.title !== title) return undefined;
    if (pass.opened === null) {
      const opened = this.#now();
      const expires = opened + Math.ceil(durationMicroseconds / 1000) + limits.grantExtra;
      await this.#store.openGrant(pass.hash, opened, expires);
    }
    return pass;
  }

  async #living(secret: string): Promise<Pass | undefined> {
    const pass = await this.#store.pass(hashOf(secret));
    const now = this.#now();
    return pass && lives(pass, now) && this.#log.isActive(pass.account, pass.device, now) ? pass : undefined;
  }
}

/** Ended by its time, or made so far in the future that the clock was put back (P42). */
function lives(pass: Pass, now: number): boolean {
  return pass.expires > now && pass.expires - now <= 2 * lifeOf(pass);
}

function lifeOf(pass: Pass): number {
  if (pass.kind !== "grant") return pass.kind === "token" ? limits.token : limits.session;
  return pass.opened === null ? limits.grantOpen : pass.expires - pass.opened;
}

function hashOf(secret: string): Hash {
  return digest("sha256", secret, "base64url") as Hash;
}
