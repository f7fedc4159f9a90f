import { createPublicKey, hash, type KeyObject, sign } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import { type Answer, ask } from "./http.ts";

/** What a CA wants to see in DNS before it believes that a name is ours (RFC 8555 §8.4). */
export interface DnsRecord {
  /** `_acme-challenge.home.example` */
  readonly name: string;
  /** Of the TXT record. */
  readonly value: string;
}

/** Puts a TXT record into DNS; resolves, once it can be seen, with the way to take it out again. */
export type ShowRecord = (record: DnsRecord, stop: AbortSignal) => Promise<() => Promise<void>>;

/** How long the CA may take over a step, and how often it is asked when it does not say. ms */
const patience = 180_000;
const askEvery = 2000;
/** A nonce may be refused without anybody's fault (§6.5). */
const tries = 10;

type Json = Readonly<Record<string, unknown>>;

/** An ACME account at one CA (RFC 8555), as far as DNS-01 needs it. The key is an ECDSA P-256 private key. */
export class AcmeClient {
  readonly #directoryUrl: string;
  readonly #ca: string | undefined;
  readonly #key: KeyObject;
  readonly #jwk: Json;
  readonly #stop: AbortSignal;
  #directory: Json | undefined;
  #account: string | undefined;
  #nonce: string | undefined;

  /** `ca`: PEM of the authority that vouches for the directory's own TLS, in place of the system's. */
  constructor(of: {
    readonly directoryUrl: string;
    readonly ca: string | undefined;
    readonly key: KeyObject;
    readonly stop: AbortSignal;
  }) {
    this.#directoryUrl = of.directoryUrl;
    this.#ca = of.ca;
    this.#key = of.key;
    this.#stop = of.stop;
    const { crv, kty, x, y } = createPublicKey(of.key).export({ format: "jwk" });
    // In this order its hash is the thumbprint (RFC 7638).
    this.#jwk = { crv, kty, x, y };
  }

  /** Makes the account or finds it again by its key; agrees to the CA's terms. */
  async register(email: string): Promise<void> {
    const request = { termsOfServiceAgreed: true, contact: [`mailto:${email}`] };
    const { headers } = await this.#post(await this.#resource("newAccount"), request);
    this.#account = String(headers.location);
  }

  /** Orders a certificate for a name: PEM, leaf first. `makeRequest` gives the DER of the signing request. */
  async order(
    name: string,
    of: { readonly show: ShowRecord; readonly makeRequest: () => Promise<Buffer> },
  ): Promise<string> {
    const identifiers = [{ type: "dns", value: name }];
    const order = await this.#post(await this.#resource("newOrder"), { identifiers });
    const url = String(order.headers.location);
    for (const authorization of list(order.json.authorizations)) {
      await this.#authorize(String(authorization), of.show);
    }
    await this.#settled(url, ["ready", "valid"]);
    const csr = (await of.makeRequest()).toString("base64url");
    await this.#post(String(order.json.finalize), { csr });
    const done = await this.#settled(url, ["valid"]);
    const { body } = await this.#post(String(done.certificate), null);
    return body.toString("utf8");
  }

  async #authorize(url: string, show: ShowRecord): Promise<void> {
    const { json } = await this.#post(url, null);
    if (json.status === "valid") return;
    const challenge = list(json.challenges).find((one) => (one as Json).type === "dns-01") as
      | Json
      | undefined;
    if (!challenge) throw new Error("the ACME authority offers no DNS-01 for this name");
    const thumbprint = hash("sha256", JSON.stringify(this.#jwk), "base64url");
    const value = hash("sha256", `${String(challenge.token)}.${thumbprint}`, "base64url");
    const { value: domain } = json.identifier as Json;
    const remove = await show({ name: `_acme-challenge.${String(domain)}`, value }, this.#stop);
    try {
      await this.#post(String(challenge.url), {});
      await this.#settled(url, ["valid"]);
    } finally {
      await remove();
    }
  }

  /** Asks until the object has one of these states. Throws when it became invalid, or takes too long. */
  async #settled(url: string, states: readonly string[]): Promise<Json> {
    const end = performance.now() + patience;
    for (;;) {
      const { json, headers } = await this.#post(url, null);
      if (states.includes(String(json.status))) return json;
      if (json.status === "invalid") throw new Error(`the ACME authority refused: ${reasonOf(json)}`);
      if (performance.now() > end) throw new Error(`the ACME authority leaves it at ${String(json.status)}`);
      const seconds = Number(headers["retry-after"]);
      const pause = Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, 60) * 1000 : askEvery;
      await wait(pause, undefined, { signal: this.#stop });
    }
  }

  async #resource(name: string): Promise<string> {
    this.#directory ??= (await this.#ask("GET", this.#directoryUrl)).json;
    const url = this.#directory[name];
    if (typeof url !== "string") throw new Error(`${this.#directoryUrl} is no ACME directory`);
    return url;
  }

  /** `payload` null asks for what is there (POST-as-GET, §6.3). */
  async #post(url: string, payload: Json | null): Promise<Answer & { readonly json: Json }> {
    for (let left = tries; ; left--) {
      const nonce = this.#nonce ?? (await this.#freshNonce());
      this.#nonce = undefined;
      const answer = await this.#ask("POST", url, this.#sign(url, nonce, payload));
      if (answer.status < 400) return answer;
      if (left > 1 && answer.json.type === "urn:ietf:params:acme:error:badNonce") continue;
      throw new Error(`the ACME authority refused: ${reasonOf(answer.json) || `status ${answer.status}`}`);
    }
  }

  async #freshNonce(): Promise<string> {
    const { headers } = await this.#ask("HEAD", await this.#resource("newNonce"));
    return String(headers["replay-nonce"]);
  }

  /** A flattened JWS with the account's key: by its URL, or as a whole while there is none. */
  #sign(url: string, nonce: string, payload: Json | null): string {
    const who = this.#account === undefined ? { jwk: this.#jwk } : { kid: this.#account };
    const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const signed = {
      protected: encode({ alg: "ES256", nonce, url, ...who }),
      payload: payload === null ? "" : encode(payload),
    };
    const bytes = Buffer.from(`${signed.protected}.${signed.payload}`);
    const signature = sign("sha256", bytes, { key: this.#key, dsaEncoding: "ieee-p1363" });
    return JSON.stringify({ ...signed, signature: signature.toString("base64url") });
  }

  async #ask(
    method: "GET" | "HEAD" | "POST",
    url: string,
    body?: string,
  ): Promise<Answer & { readonly json: Json }> {
    const answer = await ask({ method, url, body, ca: this.#ca, stop: this.#stop });
    const nonce = answer.headers["replay-nonce"];
    if (typeof nonce === "string") this.#nonce = nonce;
    const type = String(answer.headers["content-type"] ?? "");
    return { ...answer, json: /\bjson\b/.test(type) ? parse(answer.body) : {} };
  }
}

function parse(body: Buffer): Json {
  const json: unknown = body.length === 0 ? {} : JSON.parse(body.toString("utf8"));
  if (typeof json !== "object" || json === null) throw new Error("the ACME authority answers with no object");
  return json as Json;
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value.slice(0, 100) : [];
}

/** The problem (RFC 7807) in an answer, an authorization or one of its challenges; foreign words, so not many. */
function reasonOf(json: Json): string {
  const problems = [json, json.error, ...list(json.challenges).map((one) => (one as Json).error)] as (
    | Json
    | undefined
  )[];
  return problems
    .flatMap((problem) => problem?.detail ?? [])
    .join("; ")
    .slice(0, 300);
}
