import { z } from "zod";
import { decodeDeterministicCbor, encodeCbor } from "./cbor.ts";
import { SnugError } from "./errors.ts";
import { AccountId, KeyId, ServerId } from "./ids.ts";
import { labels } from "./labels.ts";
import { limits } from "./limits.ts";

const bytes = z.instanceof(Uint8Array<ArrayBuffer>);

const wrapped = z.tuple([
  z.literal(1), // version
  ServerId,
  AccountId,
  bytes.refine((nonce) => nonce.length === 12),
  bytes, // AES-256-GCM
]);

/** An account's keys as the server keeps them for recovery: sealed (docs/spec/identity.md, I6). */
export interface WrappedKeys {
  readonly server: ServerId;
  readonly account: AccountId;
  readonly nonce: Uint8Array<ArrayBuffer>;
  readonly sealed: Uint8Array<ArrayBuffer>;
}

const content = z.strictObject({
  signing: bytes,
  encryption: z
    .array(z.strictObject({ keyId: KeyId, key: bytes }))
    .min(1)
    .max(limits.encryptionKeys),
});
/** What is wrapped: private keys as PKCS #8. */
export type RecoveryContent = z.infer<typeof content>;

/** What the sealing binds besides its content. */
export function wrappedKeysContext(of: Pick<WrappedKeys, "server" | "account">): Uint8Array<ArrayBuffer> {
  return encodeCbor([labels.recoveryWrap, 1, of.server, of.account]);
}

export function encodeWrappedKeys(of: WrappedKeys): Uint8Array<ArrayBuffer> {
  return encodeCbor([1, of.server, of.account, of.nonce, of.sealed]);
}

/** Throws SnugError `malformed` or `too-large`. */
export function decodeWrappedKeys(blob: Uint8Array): WrappedKeys {
  const parsed = wrapped.safeParse(decodeDeterministicCbor(blob, limits.recoveryBlob));
  if (!parsed.success) throw new SnugError("malformed", "not wrapped keys", { cause: parsed.error });
  const [, server, account, nonce, sealed] = parsed.data;
  return { server, account, nonce, sealed };
}

export function encodeRecoveryContent({ signing, encryption }: RecoveryContent): Uint8Array<ArrayBuffer> {
  return encodeCbor({ signing, encryption });
}

/** Throws SnugError `malformed`. */
export function decodeRecoveryContent(opened: Uint8Array): RecoveryContent {
  const parsed = content.safeParse(decodeDeterministicCbor(opened));
  if (!parsed.success)
    throw new SnugError("malformed", "wrapped keys of another form", { cause: parsed.error });
  return parsed.data;
}
