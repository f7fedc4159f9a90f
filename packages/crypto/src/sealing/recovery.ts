import {
  type AccountId,
  decodeRecoveryContent,
  decodeWrappedKeys,
  type Ed25519Public,
  encodeRecoveryContent,
  encodeWrappedKeys,
  Id256,
  labels,
  type ServerId,
  SnugError,
  type WrappedKeys,
  wrappedKeysContext,
} from "@snug/protocol";
import { derive } from "../identity/derive.ts";
import { ed25519PublicOf } from "../identity/keys.ts";
import type { ExportedKeys } from "./keys.ts";
import { parseRecoveryCode } from "./recoveryCode.ts";

/** What comes back with the recovery code. The device's key does not: a reinstalled device is a new device. */
export interface RecoveredKeys {
  readonly server: ServerId;
  readonly account: AccountId;
  readonly signing: ExportedKeys["signing"];
  readonly encryption: ExportedKeys["encryption"];
  readonly recoveryKey: RecoveryKey;
}

/** The Ed25519 key that outranks the signing key. It rests on no device. */
export interface RecoveryKey {
  readonly key: CryptoKey;
  readonly public: Ed25519Public;
}

/** A PKCS #8 Ed25519 key is this prefix and the 32 bytes of the seed (RFC 8410 §7). */
const pkcs8Prefix = Uint8Array.fromHex("302e020100300506032b657004220420");

/** The recovery key of a code's secret. */
export async function recoveryKeyOf(secret: Uint8Array): Promise<RecoveryKey> {
  return ed25519FromSeed(await derive(secret, labels.recoveryKey));
}

/** An Ed25519 key pair from its 32-byte seed (RFC 8032 §5.1.5). */
export async function ed25519FromSeed(seed: Uint8Array): Promise<RecoveryKey> {
  const pkcs8 = new Uint8Array([...pkcs8Prefix, ...seed]);
  const readable = await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", true, ["sign"]);
  const { x } = await crypto.subtle.exportKey("jwk", readable);
  const key = await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", false, ["sign"]);
  return { key, public: ed25519PublicOf(Id256.parse(x)) };
}

async function wrapKeyOf(secret: Uint8Array, usage: "encrypt" | "decrypt"): Promise<CryptoKey> {
  const raw = await derive(secret, labels.recoveryWrap);
  return crypto.subtle.importKey("raw", raw, "AES-GCM", false, [usage]);
}

/** Wraps an account's signing and encryption keys for recovery (I6). */
export async function wrapForRecovery(
  secret: Uint8Array,
  of: { readonly server: ServerId; readonly account: AccountId; readonly keys: ExportedKeys },
): Promise<Uint8Array<ArrayBuffer>> {
  const nonce = crypto.getRandomValues(new Uint8Array(12));
  const content = encodeRecoveryContent({ signing: of.keys.signing, encryption: [...of.keys.encryption] });
  const key = await wrapKeyOf(secret, "encrypt");
  const sealed = await crypto.subtle.encrypt(gcm(of, nonce), key, content);
  return encodeWrappedKeys({ ...of, nonce, sealed: new Uint8Array(sealed) });
}

function gcm(of: Pick<WrappedKeys, "server" | "account">, iv: Uint8Array<ArrayBuffer>): AesGcmParams {
  return { name: "AES-GCM", iv, additionalData: wrappedKeysContext(of) };
}

/**
 * A recovery code and the wrapped blob → the keys. Throws SnugError `malformed` when the code is mistyped or the blob
 * is none, `forbidden` when they don't belong together.
 */
export async function recoverKeys(code: string, blob: Uint8Array): Promise<RecoveredKeys> {
  const secret = await parseRecoveryCode(code);
  const wrapped = decodeWrappedKeys(blob);
  const { signing, encryption } = decodeRecoveryContent(await unwrap(secret, wrapped));
  const { server, account } = wrapped;
  return { server, account, signing, encryption, recoveryKey: await recoveryKeyOf(secret) };
}

async function unwrap(secret: Uint8Array, wrapped: WrappedKeys): Promise<Uint8Array> {
  const key = await wrapKeyOf(secret, "decrypt");
  try {
    return new Uint8Array(await crypto.subtle.decrypt(gcm(wrapped, wrapped.nonce), key, wrapped.sealed));
  } catch (cause) {
    throw new SnugError("forbidden", "this recovery code does not open these keys", { cause });
  }
}
