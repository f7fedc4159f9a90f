import {
  type LibraryView,
  limits,
  type RequestOf,
  type ResponseOf,
  SnugError,
  type TitleDetail,
  type TitleId,
} from "@snug/protocol";
import { NetworkError } from "./api.ts";
import type { Connection } from "./connection.ts";
import { callHttp, type HttpOperation } from "./http.ts";
import type { Address, Platform } from "./platform.ts";

/** Tokens and cookies are renewed this long before they end. */
const margin = 5 * 60_000;

/** The server's videos, over HTTP with a short-lived token of this device. */
export class Library {
  readonly #platform: Platform;
  readonly #address: () => Address;
  readonly #connection: Connection;
  readonly #changed: () => void;
  /** With the time at which it was asked for, by this device's clock: the server's may be another (C31). */
  #token: { readonly token: string; readonly made: number } | null = null;
  #cookieMade = Number.POSITIVE_INFINITY;
  #view: LibraryView | null = null;
  #reading: Promise<void> | null = null;
  #again = false;

  constructor(of: {
    readonly platform: Platform;
    readonly address: () => Address;
    readonly connection: Connection;
    readonly changed: () => void;
  }) {
    this.#platform = of.platform;
    this.#address = of.address;
    this.#connection = of.connection;
    this.#changed = of.changed;
  }

  /** null until first read. */
  get view(): LibraryView | null {
    return this.#view;
  }

  /** Reads the list anew; once more when it changes meanwhile. A failure leaves the former one: the next event or link tries again. */
  reload(): Promise<void> {
    this.#again = true;
    this.#reading ??= this.#readAll().finally(() => {
      this.#reading = null;
    });
    return this.#reading;
  }

  async title(title: TitleId): Promise<TitleDetail> {
    const detail = await this.#call("title-read", { title });
    if (detail.title.id !== title) throw new NetworkError("title-read: the answer is of another title");
    return detail;
  }

  async openMedia(): Promise<void> {
    if (!this.#platform.needsCookie || this.#isFresh(this.#cookieMade, limits.session)) return;
    const made = this.#platform.now();
    await this.#call("session-create", {});
    this.#cookieMade = made;
  }

  async playbackUrl(title: TitleId): Promise<string> {
    const { path } = await this.#connection.request("grant-create", { title });
    return new URL(path, this.#address().origin).href;
  }

  async #readAll(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      this.#view = await this.#call("library-read", {});
      this.#changed();
    }
  }

  async #call<N extends HttpOperation>(name: N, request: RequestOf<N>): Promise<ResponseOf<N>> {
    const at = { platform: this.#platform, address: this.#address() };
    try {
      return await callHttp({ ...at, token: await this.#bearer() }, name, request);
    } catch (error) {
      if (!(error instanceof SnugError) || error.code !== "unauthenticated") throw error;
      // The token ended before its time: the server was restarted or the device's passes were ended.
      this.#token = null;
      this.#cookieMade = Number.POSITIVE_INFINITY;
      return callHttp({ ...at, token: await this.#bearer() }, name, request);
    }
  }

  async #bearer(): Promise<string> {
    if (this.#token && this.#isFresh(this.#token.made, limits.token)) return this.#token.token;
    const made = this.#platform.now();
    const { token } = await this.#connection.request("token-create", {});
    this.#token = { token, made };
    return token;
  }

  /** Made less than its life ago. What was made in the future was made before the clock was put back: nobody knows when. */
  #isFresh(made: number, life: number): boolean {
    const age = this.#platform.now() - made;
    return age >= 0 && age < life - margin;
  }
}
