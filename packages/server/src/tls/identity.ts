import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { fromBase64url, type Hash, toBase64url } from "@snug/protocol";

/** A certificate (PEM, leaf first) and its private key (PEM). */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** What the TLS server needs, and what others may know of it. */
export interface Identity extends Pair {
  /** Our own authority; null when the operator gave a certificate. */
  readonly authority: { readonly pem: string; readonly hash: Hash } | null;
  /** SHA-256 of the authority's certificate (or of the given one), hex with colons. */
  readonly fingerprint: string;
  /** Base64 SHA-256 of the leaf's SubjectPublicKeyInfo. */
  readonly spki: string;
  /** When the leaf ends, ms since 1970. */
  readonly ends: number;
}

/** Throws when the two are no certificate chain and its key, as a TLS server takes them. */
export function describeIdentity({ cert, key }: Pair, authority: string | null): Identity {
  const leaf = new X509Certificate(cert);
  if (!isPair({ cert, key })) throw new Error("the key is another certificate's");
  createSecureContext({ cert, key, ca: [] });
  const root = new X509Certificate(authority ?? cert);
  const spki = leaf.publicKey.export({ type: "spki", format: "der" });
  const hash = toBase64url(createHash("sha256").update(root.raw).digest()) as Hash;
  return {
    cert,
    key,
    authority: authority === null ? null : { pem: authority, hash },
    fingerprint: hexPairs(fromBase64url(hash)),
    spki: createHash("sha256").update(spki).digest("base64"),
    ends: leaf.validToDate.getTime(),
  };
}

function hexPairs(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0").toUpperCase()).join(":");
}

/** Whether a certificate and a key belong together. Throws when one of them is none. */
export function isPair({ cert, key }: Pair): boolean {
  return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
}
