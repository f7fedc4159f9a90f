import {
  AccountId,
  decodeDeterministicCbor,
  type Ed25519Public,
  encodeCbor,
  Id256,
  KeyId,
  labels,
  limits,
  ServerId,
  SnugError,
} from "@snug/protocol";
import { z } from "zod";
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

const bytes = z.instanceof(Uint8Array<ArrayBuffer>);
const blobForm = z.tuple([
  z.literal(1),
  ServerId,
  AccountId,
  bytes.refine((nonce) => nonce.length === 12),
  bytes,
]);
const contentForm = z.strictObject({
  signing: bytes,
  encryption: z
    .array(z.strictObject({ keyId: KeyId, key: bytes }))
    .min(1)
    .max(limits.encryptionKeys),
});

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

const associated = (server: ServerId, account: AccountId) =>
  encodeCbor([labels.recoveryWrap, 1, server, account]);

async function wrapKeyOf(secret: Uint8Array, usage: "encrypt" | "decrypt"): Promise<CryptoKey> {
  const raw = await derive(secret, labels.recoveryWrap);
  return crypto.subtle.importKey("raw", raw, "AES-GCM", false, [usage]);
}

/** Wraps an account's keys for recovery: deterministic CBOR [1, server, account, nonce, AES-256-GCM ciphertext]. */
export async function wrapForRecovery(
  secret: Uint8Array,
  of: { readonly server: ServerId; readonly account: AccountId; readonly keys: ExportedKeys },
): Promise<Uint8Array<ArrayBuffer>> {
  const { server, account, keys } = of;
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const additionalData = associated(server, account);
  const content = encodeCbor({ signing: keys.signing, encryption: keys.encryption });
  const key = await wrapKeyOf(secret, "encrypt");
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData }, key, content);
  return encodeCbor([1, server, account, iv, new Uint8Array(sealed)]);
}

/**
 * A recovery code and the wrapped blob → the keys. Throws SnugError `malformed` when the code is mistyped or the blob
 * is none, `forbidden` when they don't belong together.
 */
export async function recoverKeys(code: string, blob: Uint8Array): Promise<RecoveredKeys> {
  const secret = await parseRecoveryCode(code);
  const parsed = blobForm.safeParse(decodeDeterministicCbor(blob, limits.recoveryBlob));
  if (!parsed.success) throw new SnugError("malformed", "not wrapped keys", { cause: parsed.error });
  const [, server, account, iv, sealed] = parsed.data;
  const content = await unwrap(secret, { iv, additionalData: associated(server, account), sealed });
  const keys = contentForm.safeParse(decodeDeterministicCbor(content));
  if (!keys.success) throw new SnugError("malformed", "wrapped keys of another form", { cause: keys.error });
  return { server, account, ...keys.data, recoveryKey: await recoveryKeyOf(secret) };
}

async function unwrap(
  secret: Uint8Array,
  of: {
    readonly iv: Uint8Array<ArrayBuffer>;
    readonly additionalData: Uint8Array<ArrayBuffer>;
    readonly sealed: Uint8Array<ArrayBuffer>;
  },
): Promise<Uint8Array> {
  const { iv, additionalData, sealed } = of;
  const key = await wrapKeyOf(secret, "decrypt");
  try {
    return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv, additionalData }, key, sealed));
  } catch (cause) {
    throw new SnugError("forbidden", "this recovery code does not open these keys", { cause });
  }
}
