import { type RsaPublic, toBase64url } from "@snug/protocol";
import type { Chance } from "./chance.ts";

/** The keys that a letter from one person to another takes. */
export interface LetterKeys {
  readonly signing: CryptoKey;
  readonly signingId: string;
  readonly sealing: RsaPublic;
  readonly sealingId: string;
}

const utf8 = new TextEncoder();

/** JWS inside JWE (RFC 7515, RFC 7516) around any bytes: what a member could send who writes their own client. */
export async function sealAnything(
  of: LetterKeys,
  payload: Uint8Array,
  chance: Chance,
): Promise<Uint8Array<ArrayBuffer>> {
  const signed = `${part({ alg: "EdDSA", typ: "snug-letter-signed", kid: of.signingId })}.${toBase64url(payload)}`;
  const signature = await crypto.subtle.sign("Ed25519", of.signing, utf8.encode(signed));
  const inner = chance.oneIn(10) ? chance.bytes(50) : utf8.encode(`${signed}.${base64(signature)}`);
  const header = part({ alg: "RSA-OAEP-256", enc: "A256GCM", typ: "snug-letter", kid: of.sealingId });
  const secret = crypto.getRandomValues(new Uint8Array(32));
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const oaep = { name: "RSA-OAEP", hash: "SHA-256" };
  const rsa = await crypto.subtle.importKey("jwk", { ...of.sealing }, oaep, false, ["encrypt"]);
  const aes = await crypto.subtle.importKey("raw", secret, "AES-GCM", false, ["encrypt"]);
  const wrapped = await crypto.subtle.encrypt(oaep, rsa, secret);
  const algorithm = { name: "AES-GCM", iv, additionalData: utf8.encode(header) };
  const sealed = new Uint8Array(await crypto.subtle.encrypt(algorithm, aes, inner));
  const tag = sealed.subarray(-16);
  const parts = [
    header,
    base64(wrapped),
    toBase64url(iv),
    toBase64url(sealed.subarray(0, -16)),
    toBase64url(tag),
  ];
  return utf8.encode(parts.join("."));
}

function part(header: object): string {
  return toBase64url(utf8.encode(JSON.stringify(header)));
}

function base64(bytes: ArrayBuffer): string {
  return toBase64url(new Uint8Array(bytes));
}
