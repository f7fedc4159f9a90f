import { z } from "zod";
import { decodeDeterministicCbor, encodeCbor } from "./cbor.ts";
import { SnugError } from "./errors.ts";
import { AccountId, DeviceId, Hash, Id256, KeyId, ServerId } from "./ids.ts";
import { labels } from "./labels.ts";
import { limits } from "./limits.ts";

const bytes = (least: number, most: number) =>
  z.instanceof(Uint8Array).refine((value) => value.length >= least && value.length <= most);
const base64url = (most: number) =>
  z
    .string()
    .regex(/^[A-Za-z0-9_-]+$/)
    .max(most);

/** An RSA-3072 public key as JWK members (RFC 7517); e is 65537. */
export const RsaPublic = z.strictObject({
  kty: z.literal("RSA"),
  n: base64url(512).length(512),
  e: z.literal("AQAB"),
});
export type RsaPublic = z.infer<typeof RsaPublic>;
/** An Ed25519 public key as JWK members (RFC 8037). */
export const Ed25519Public = z.strictObject({ kty: z.literal("OKP"), crv: z.literal("Ed25519"), x: Id256 });
export type Ed25519Public = z.infer<typeof Ed25519Public>;

/** A device as a statement introduces it. `ends` is a time in ms or null for open-ended. */
export const DeviceEntry = z.strictObject({
  device: DeviceId,
  key: Ed25519Public,
  rights: z.enum(["full", "send-only"]),
  ends: z.int().nonnegative().nullable(),
});
export type DeviceEntry = z.infer<typeof DeviceEntry>;

/** The first statement of an account; its hash is the account id. */
export const GenesisBody = z.strictObject({
  /** The name as the person wrote it, NFC. */
  display: z.string().min(1).max(limits.name),
  /** Its normal form (docs/spec/identity.md, section Names), computed once and never again. */
  name: z.string().min(1).max(limits.name),
  signing: RsaPublic,
  encryption: z.array(RsaPublic).min(1).max(limits.encryptionKeys),
  recovery: Ed25519Public,
  device: DeviceEntry,
  /** null for the account made by the setup link. */
  invite: z.strictObject({ inviter: AccountId, binding: bytes(32, 32) }).nullable(),
});
export type GenesisBody = z.infer<typeof GenesisBody>;

const bodies = {
  genesis: GenesisBody,
  "device-add": DeviceEntry,
  "device-revoke": z.strictObject({ device: DeviceId }),
  rotate: z.strictObject({
    signing: RsaPublic,
    encryption: z.array(RsaPublic).min(1).max(limits.encryptionKeys),
  }),
  "recovery-change": z.strictObject({ recovery: Ed25519Public }),
  remove: z.strictObject({}),
  role: z.strictObject({ account: AccountId, role: z.enum(["admin", "member"]) }),
  /** An administrator ends somebody else's account. */
  "account-remove": z.strictObject({ account: AccountId }),
  /** An administrator ends a device of somebody else's account. */
  "device-end": z.strictObject({ account: AccountId, device: DeviceId }),
} as const;

export type StatementKind = keyof typeof bodies;
/** All kinds that this version knows, in alphabetical order. */
export const statementKinds: readonly string[] = Object.keys(bodies).sort();
export type StatementBody<K extends StatementKind> = z.infer<(typeof bodies)[K]>;

const outer = z.tuple([bytes(1, limits.statement), bytes(64, 512)]);
const envelope = z.tuple([
  z.literal(labels.statement),
  z.int().min(1).max(65_535), // version
  ServerId,
  AccountId.nullable(), // null in genesis: it can't name its own hash
  z.int().nonnegative(), // dense number
  Hash.nullable(), // hash of the previous statement of this account
  z.string().regex(/^[a-z-]{1,32}$/), // kind
  z.int().nonnegative(), // time, informative
  z.unknown(), // body
  KeyId, // the signing key, or the recovery key
]);

interface Head {
  readonly version: number;
  readonly server: ServerId;
  readonly account: AccountId | null;
  readonly number: number;
  readonly previous: Hash | null;
  readonly time: number;
  readonly keyId: KeyId;
}

/** What a statement says. Unknown kinds and versions are kept and hashed, and freeze the account (I14). */
export type StatementContent =
  | {
      readonly [K in StatementKind]: Head & { readonly kind: K; readonly body: StatementBody<K> };
    }[StatementKind]
  | (Head & { readonly kind: "unknown"; readonly named: string });

export interface DecodedStatement {
  readonly content: StatementContent;
  /** Exactly the bytes that the signature covers. */
  readonly signed: Uint8Array<ArrayBuffer>;
  readonly signature: Uint8Array<ArrayBuffer>;
}

/** The bytes to sign. */
export function encodeStatementContent<K extends StatementKind>(
  head: Omit<Head, "version">,
  kind: K,
  body: StatementBody<K>,
): Uint8Array<ArrayBuffer> {
  const { server, account, number, previous, time, keyId } = head;
  return encodeCbor([labels.statement, 1, server, account, number, previous, kind, time, body, keyId]);
}

/** Signed bytes and signature → the statement as it is stored, served and hashed. */
export function encodeStatement(signed: Uint8Array, signature: Uint8Array): Uint8Array<ArrayBuffer> {
  return encodeCbor([signed, signature]);
}

/** Throws SnugError `malformed` or `too-large`. Says nothing of the signature: that is crypto's. */
export function decodeStatement(statement: Uint8Array): DecodedStatement {
  const pair = outer.safeParse(decodeDeterministicCbor(statement, limits.statement));
  if (!pair.success) throw new SnugError("malformed", "not a statement");
  const [signed, signature] = pair.data;
  const parsed = envelope.safeParse(decodeDeterministicCbor(signed, limits.statement));
  if (!parsed.success) throw new SnugError("malformed", "not a statement's content", { cause: parsed.error });
  const [, version, server, account, number, previous, kind, time, body, keyId] = parsed.data;
  const head: Head = { version, server, account, number, previous, time, keyId };
  return {
    content: version === 1 ? knownContent(head, kind, body) : { ...head, kind: "unknown", named: kind },
    signed: signed as Uint8Array<ArrayBuffer>,
    signature: signature as Uint8Array<ArrayBuffer>,
  };
}

function knownContent(head: Head, kind: string, body: unknown): StatementContent {
  if (!Object.hasOwn(bodies, kind)) return { ...head, kind: "unknown", named: kind };
  const parsed = bodies[kind as StatementKind].safeParse(body);
  if (!parsed.success)
    throw new SnugError("malformed", `a ${kind} statement with a wrong body`, { cause: parsed.error });
  return { ...head, kind, body: parsed.data } as StatementContent;
}
