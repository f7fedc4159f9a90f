import { checkPrimeSync } from "node:crypto";
import type { Chance } from "./chance.ts";

const publicExponent = 65_537n;
const primeBits = 1536;
const smallPrimes: readonly number[] = primesBelow(20_000);

/**
 * An RSA-3072 pair that follows from chance alone. What the system draws differs from process to process, also in
 * length: a private key of one byte more arrives later, and another course begins (SI1). Never for real use.
 */
export async function makeRsaPair(
  subtle: SubtleCrypto,
  chance: Chance,
  algorithm: RsaHashedKeyGenParams,
): Promise<CryptoKeyPair> {
  const jwk = rsaJwk(chance);
  const { kty, n, e } = jwk;
  const usages: Record<"public" | "private", KeyUsage[]> =
    algorithm.name === "RSA-PSS"
      ? { public: ["verify"], private: ["sign"] }
      : { public: ["encrypt"], private: ["decrypt"] };
  return {
    publicKey: await subtle.importKey("jwk", { kty, n, e }, algorithm, true, usages.public),
    privateKey: await subtle.importKey("jwk", jwk, algorithm, true, usages.private),
  };
}

/** RFC 8017, 3.1 and 3.2. */
function rsaJwk(chance: Chance): { kty: "RSA"; n: string; e: string } & JsonWebKey {
  const [p, q] = [primeOf(chance), primeOf(chance)];
  const d = inverse(publicExponent, (p - 1n) * (q - 1n));
  const text = base64url;
  return {
    ...{ kty: "RSA", n: text(p * q), e: text(publicExponent), d: text(d), p: text(p), q: text(q) },
    ...{ dp: text(d % (p - 1n)), dq: text(d % (q - 1n)), qi: text(inverse(q, p)) },
  };
}

/** The next prime behind a number of chance, whose two highest bits are set: two of them give 3072 bits. */
function primeOf(chance: Chance): bigint {
  let first = 3n;
  for (let bits = 2; bits < primeBits - 6; bits += 8) first = (first << 8n) | BigInt(chance.int(0, 255));
  first = (first << 6n) | 1n;
  const rests = smallPrimes.map((prime) => Number(first % BigInt(prime)));
  for (let step = 0; ; step += 2) {
    if (smallPrimes.some((prime, at) => ((rests[at] ?? 0) + step) % prime === 0)) continue;
    const candidate = first + BigInt(step);
    if ((candidate - 1n) % publicExponent !== 0n && checkPrimeSync(candidate)) return candidate;
  }
}

/** Knuth, The Art of Computer Programming, volume 2, algorithm 4.5.2 X. */
function inverse(of: bigint, modulus: bigint): bigint {
  let [a, b] = [of, modulus];
  let [x, y] = [1n, 0n];
  while (b > 0n) {
    const quotient = a / b;
    [a, b] = [b, a - quotient * b];
    [x, y] = [y, x - quotient * y];
  }
  return x < 0n ? x + modulus : x;
}

function base64url(value: bigint): string {
  const digits = value.toString(16);
  const even = digits.padStart(digits.length + (digits.length % 2), "0");
  return Uint8Array.fromHex(even).toBase64({ alphabet: "base64url", omitPadding: true });
}

function primesBelow(bound: number): number[] {
  const primes: number[] = [];
  for (let number = 3; number < bound; number += 2) {
    if (primes.every((prime) => number % prime !== 0)) primes.push(number);
  }
  return primes;
}
