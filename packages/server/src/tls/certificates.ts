import type { Identity } from "./identity.ts";

/** Where the server's certificate comes from: its own authority, ACME, or files that the operator gave. */
export interface CertificateSource {
  readonly kind: "own" | "acme" | "files";
  /** What to show at first. */
  readonly first: Identity;
  /**
   * What to show from now on; undefined while `current` is the best there is. Throws, with a reason for the operator,
   * when there should be another and it can't be used.
   */
  next(current: Identity, stop: AbortSignal): Promise<Identity | undefined>;
}

/** What came of asking a source: a certificate that is shown from now on, or why it is not. */
export type CertificateNews = { readonly taken: Identity } | { readonly kept: string };

/** How often a source is asked. ms */
const askEvery = 60_000;

/** The certificate that is shown now, and its renewal while the server runs. */
export class Certificates implements AsyncDisposable {
  readonly kind: CertificateSource["kind"];
  #current: Identity;
  readonly #source: CertificateSource;
  readonly #tell: (news: CertificateNews) => void;
  readonly #stop = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #asking: Promise<void> | undefined;
  #trouble: string | undefined;

  /** `tell` hears of each certificate that is taken, and once of each reason that one is not. */
  constructor(source: CertificateSource, tell: (news: CertificateNews) => void) {
    this.kind = source.kind;
    this.#source = source;
    this.#current = source.first;
    this.#tell = tell;
    this.#timer = setInterval(() => void this.renew(), askEvery);
  }

  get current(): Identity {
    return this.#current;
  }

  /** Asks the source now. Resolves when that is decided; never rejects: whatever goes wrong, the current one stays. */
  renew(): Promise<void> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #ask(): Promise<void> {
    try {
      const next = await this.#source.next(this.#current, this.#stop.signal);
      this.#trouble = undefined;
      if (!next || this.#stop.signal.aborted) return;
      this.#tell({ taken: next });
      this.#current = next;
    } catch (cause) {
      const kept = cause instanceof Error ? cause.message : String(cause);
      if (kept === this.#trouble || this.#stop.signal.aborted) return;
      this.#trouble = kept;
      this.#tell({ kept });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#stop.abort();
    await this.#asking;
  }
}
