import assert from "node:assert/strict";
import { type Directory, nextHead, sealingKeyOf } from "@snug/crypto/identity";
import { createAccount, sealLetter, signStatement } from "@snug/crypto/sealing";
import {
  type AccountId,
  type DeviceId,
  DeviceId as DeviceIds,
  type DirectoryEntry,
  decodeStatement,
  fromBase64url,
  type GenesisBody,
  type KeyId,
  MessageId,
  type Row,
  type RsaPublic,
  randomId,
  type StatementBody,
  type StatementKind,
  textContent,
  toBase64url,
} from "@snug/protocol";
import { accountIn } from "./statements.ts";

/** Keys of the server's own: what it signs with in the place of somebody whose keys it lacks. */
export async function ownKeys(): Promise<{ readonly device: CryptoKey; readonly signing: CryptoKey }> {
  const device = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  const rsa = { modulusLength: 3072, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256" };
  const signing = await crypto.subtle.generateKey({ name: "RSA-PSS", ...rsa }, true, ["sign", "verify"]);
  return { device: device.privateKey, signing: signing.privateKey };
}

/** A letter that the server wrote itself, under somebody's name, in a row that says the same. */
export async function forgeLetter(of: {
  readonly directory: Directory;
  readonly like: Row;
  readonly from: AccountId;
  /** Null: a device that nobody has. */
  readonly device: DeviceId | null;
  readonly to: AccountId;
  readonly key: CryptoKey;
  readonly text: string;
}): Promise<Row> {
  const { directory, from, to } = of;
  const recipient = accountIn(directory, to);
  const device = of.device ?? randomId(DeviceIds);
  const deviceKeyId = accountIn(directory, from).devices.get(device)?.keyId ?? ("A".repeat(43) as KeyId);
  const id = randomId(MessageId);
  const counter = of.like.counter + 1;
  const sealed = await sealLetter({
    from: { account: from, device, key: of.key, deviceKeyId },
    to: { account: to, ...sealingKeyOf(recipient) },
    ...{ server: directory.server, id, counter, time: Date.now(), checkpoint: "" },
    ...{ content: textContent(of.text), copyOf: null },
  });
  return { ...of.like, account: from, device, id, counter, sealed };
}

/** The device that somebody joined with. */
export function deviceOf(directory: Directory, id: AccountId): DeviceId {
  const [device] = accountIn(directory, id).devices.keys();
  assert.ok(device);
  return device;
}

/** What its reader got out of a letter, sealed anew for somebody else: the inner signature is its writer's own. */
export async function sealAnew(of: {
  readonly sealed: Uint8Array;
  readonly key: CryptoKey;
  readonly to: { readonly keyId: KeyId; readonly key: RsaPublic };
  readonly typ?: string;
}): Promise<Uint8Array<ArrayBuffer>> {
  const parts = new TextDecoder().decode(of.sealed).split(".");
  const [header = "", wrapped = "", nonce = "", text = "", tag = ""] = parts;
  const raw = await crypto.subtle.decrypt("RSA-OAEP", of.key, fromBase64url(wrapped));
  const inner = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["decrypt"]);
  const signed = await crypto.subtle.decrypt(
    { name: "AES-GCM", iv: fromBase64url(nonce), additionalData: new TextEncoder().encode(header) },
    inner,
    new Uint8Array([...fromBase64url(text), ...fromBase64url(tag)]),
  );
  return sealBytes(new Uint8Array(signed), of);
}

/** Any bytes as a compact JWE (RFC 7516 §3.1) to somebody's key. */
export async function sealBytes(
  bytes: Uint8Array<ArrayBuffer>,
  of: { readonly to: { readonly keyId: KeyId; readonly key: RsaPublic }; readonly typ?: string },
): Promise<Uint8Array<ArrayBuffer>> {
  const fixed = { alg: "RSA-OAEP-256", enc: "A256GCM", kid: of.to.keyId, typ: of.typ ?? "snug-letter" };
  const header = toBase64url(new TextEncoder().encode(JSON.stringify(fixed)));
  const secret = crypto.getRandomValues(new Uint8Array(32));
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const rsa = { name: "RSA-OAEP", hash: "SHA-256" };
  const to = await crypto.subtle.importKey("jwk", { ...of.to.key }, rsa, false, ["encrypt"]);
  const content = await crypto.subtle.importKey("raw", secret, "AES-GCM", false, ["encrypt"]);
  const additionalData = new TextEncoder().encode(header);
  const whole = new Uint8Array(
    await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData }, content, bytes),
  );
  const wrapped = new Uint8Array(await crypto.subtle.encrypt("RSA-OAEP", to, secret));
  const rest = [wrapped, iv, whole.slice(0, -16), whole.slice(-16)].map(toBase64url);
  return new TextEncoder().encode([header, ...rest].join("."));
}

/** A statement in somebody's chain, signed by a key that is said to be their signing key. */
export async function forgeStatement<K extends StatementKind>(
  of: { readonly directory: Directory; readonly account: AccountId; readonly key: CryptoKey },
  kind: K,
  body: StatementBody<K>,
): Promise<Uint8Array<ArrayBuffer>> {
  const { signingKeyId } = accountIn(of.directory, of.account);
  const head = nextHead(of.directory, of.account, Date.now());
  return signStatement({ key: of.key, keyId: signingKeyId, head, kind, body });
}

/** A genesis of the server's own under somebody's name, with an invite that it can't prove. */
export async function forgeGenesis(
  directory: Directory,
  display: string,
  inviter: AccountId,
): Promise<Awaited<ReturnType<typeof createAccount>>> {
  const secret = crypto.getRandomValues(new Uint8Array(16));
  return createAccount({ server: directory.server, display, invite: { secret, inviter }, now: Date.now() });
}

/** What a genesis says. */
export function bodyOf(genesis: Uint8Array): GenesisBody {
  const { content } = decodeStatement(genesis);
  assert.equal(content.kind, "genesis");
  return content.body;
}

/** Sealed bytes with one of them changed. */
export function bent(sealed: Uint8Array | null): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sealed ?? []);
  // Base64url: another letter of its alphabet.
  const at = bytes.length - 40;
  bytes[at] = bytes[at] === 0x41 ? 0x42 : 0x41;
  return bytes;
}

/** The log with another statement in the place of one. */
export function exchanged(
  entries: readonly DirectoryEntry[],
  at: Uint8Array,
  by: Uint8Array<ArrayBuffer>,
): readonly DirectoryEntry[] {
  return entries.map((entry) =>
    Buffer.compare(entry.statement, at) === 0 ? { ...entry, statement: by } : entry,
  );
}
