import { type KeyId, type RsaPublic, toBase64url } from "@snug/protocol";
import { sealBytes } from "../forgeries.ts";
import type { Chance } from "./chance.ts";

/** The keys that a letter from one person to another takes. */
export interface LetterKeys {
  readonly signing: CryptoKey;
  readonly signingId: string;
  readonly to: { readonly keyId: KeyId; readonly key: RsaPublic };
}

const utf8 = new TextEncoder();

/** JWS inside JWE (RFC 7515, RFC 7516) around any bytes: what a member could send who writes their own client. */
export async function sealAnything(
  of: LetterKeys,
  payload: Uint8Array,
  chance: Chance,
): Promise<Uint8Array<ArrayBuffer>> {
  const header = { alg: "EdDSA", typ: "snug-letter-signed", kid: of.signingId };
  const signed = `${toBase64url(utf8.encode(JSON.stringify(header)))}.${toBase64url(payload)}`;
  const signature = new Uint8Array(await crypto.subtle.sign("Ed25519", of.signing, utf8.encode(signed)));
  const inner = chance.oneIn(10) ? chance.bytes(50) : utf8.encode(`${signed}.${toBase64url(signature)}`);
  return sealBytes(inner, of);
}
