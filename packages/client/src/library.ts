import type { LibraryView, RequestOf, ResponseOf, TitleDetail, TitleId } from "@snug/protocol";
import { SnugError } from "@snug/protocol";
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
  #token: { readonly token: string; readonly expires: number } | null = null;
  #cookieEnds = 0;
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

  title(title: TitleId): Promise<TitleDetail> {
    return this.#call("title-read", { title });
  }

  async openMedia(): Promise<void> {
    if (!this.#platform.needsCookie || this.#cookieEnds - margin > this.#platform.now()) return;
    this.#cookieEnds = (await this.#call("session-create", {})).expires;
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
      return callHttp({ ...at, token: await this.#bearer() }, name, request);
    }
  }

  async #bearer(): Promise<string> {
    if (!this.#token || this.#token.expires - margin < this.#platform.now()) {
      this.#token = await this.#connection.request("token-create", {});
    }
    return this.#token.token;
  }
}
