import { hash } from "node:crypto";
import { Chance } from "./chance.ts";
import { makeRsaPair } from "./rsaPairs.ts";

type Work = <T>(done: Promise<T>) => Promise<T>;
type Method = (...args: unknown[]) => Promise<unknown>;

/**
 * WebCrypto with a memory, for many courses: RSA pairs are made once (half a second each), the same ones in every
 * process, and given out anew in each course, and what was sealed with RSA here is opened from memory (4 ms each). Everything else is the real thing.
 */
export class KeyPool {
  readonly #pairs = new Map<string, Promise<CryptoKeyPair>[]>();
  readonly #moduli = new WeakMap<CryptoKey, string>();
  readonly #byPkcs8 = new Map<string, string>();
  #sealed = new Map<string, ArrayBuffer>();

  /** `subtle` for one course; each outcome is handed on by `work`. */
  wrap(real: SubtleCrypto, work: Work): SubtleCrypto {
    const given = new Map<string, number>();
    this.#sealed = new Map();
    const own: Record<string, Method> = {
      generateKey: (algorithm, ...rest) =>
        isRsa(algorithm)
          ? this.#pair(real, given, algorithm)
          : call(real, "generateKey", [algorithm, ...rest]),
      importKey: (...args) => this.#import(real, args),
      exportKey: (...args) => this.#export(real, args),
      encrypt: (...args) => this.#encrypt(real, args),
      decrypt: (...args) => this.#decrypt(real, args),
      digest: async (algorithm, data) =>
        algorithm === "SHA-256"
          ? new Uint8Array(hash("sha256", new Uint8Array(data as ArrayBuffer), "buffer")).buffer
          : call(real, "digest", [algorithm, data]),
    };
    return new Proxy(real, {
      get: (_target, name) => {
        const method: Method = own[String(name)] ?? ((...args) => call(real, String(name), args));
        return (...args: unknown[]) => work(method(...args));
      },
    });
  }

  #pair(
    real: SubtleCrypto,
    given: Map<string, number>,
    algorithm: RsaHashedKeyGenParams,
  ): Promise<CryptoKeyPair> {
    const { name } = algorithm;
    const at = given.get(name) ?? 0;
    given.set(name, at + 1);
    const pairs = this.#pairs.get(name) ?? [];
    this.#pairs.set(name, pairs);
    const known = pairs[at];
    if (known) return known;
    const made = makeRsaPair(real, new Chance(`${name} ${at}`), algorithm);
    pairs[at] = made;
    return made;
  }

  async #import(real: SubtleCrypto, args: unknown[]): Promise<unknown> {
    const key = (await call(real, "importKey", args)) as CryptoKey;
    if (key.algorithm.name !== "RSA-OAEP") return key;
    const [format, data] = args;
    const modulus = format === "jwk" ? (data as JsonWebKey).n : this.#byPkcs8.get(base64(data as Uint8Array));
    if (modulus !== undefined) this.#moduli.set(key, modulus);
    return key;
  }

  async #export(real: SubtleCrypto, args: unknown[]): Promise<unknown> {
    const [format, key] = args as [string, CryptoKey];
    const exported = await call(real, "exportKey", args);
    if (format === "pkcs8" && key.algorithm.name === "RSA-OAEP") {
      const { n } = await real.exportKey("jwk", key);
      if (n !== undefined) this.#byPkcs8.set(base64(new Uint8Array(exported as ArrayBuffer)), n);
    }
    return exported;
  }

  async #encrypt(real: SubtleCrypto, args: unknown[]): Promise<unknown> {
    const [, key, data] = args as [unknown, CryptoKey, Uint8Array];
    const plain = new Uint8Array(data).slice().buffer;
    const sealed = (await call(real, "encrypt", args)) as ArrayBuffer;
    const modulus = this.#moduli.get(key);
    if (modulus !== undefined) this.#sealed.set(`${modulus}:${base64(new Uint8Array(sealed))}`, plain);
    return sealed;
  }

  async #decrypt(real: SubtleCrypto, args: unknown[]): Promise<unknown> {
    const [, key, data] = args as [unknown, CryptoKey, Uint8Array];
    const modulus = this.#moduli.get(key);
    const known =
      modulus === undefined ? undefined : this.#sealed.get(`${modulus}:${base64(new Uint8Array(data))}`);
    return known ? known.slice(0) : call(real, "decrypt", args);
  }
}

function isRsa(algorithm: unknown): algorithm is RsaHashedKeyGenParams {
  return typeof algorithm === "object" && String((algorithm as Algorithm).name).startsWith("RSA");
}

function call(real: SubtleCrypto, name: string, args: unknown[]): Promise<unknown> {
  const method = Reflect.get(real, name) as Method;
  return Reflect.apply(method, real, args) as Promise<unknown>;
}

function base64(bytes: Uint8Array): string {
  return new Uint8Array(bytes).toBase64();
}
