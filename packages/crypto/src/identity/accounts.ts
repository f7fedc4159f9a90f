import {
  type AccountId,
  type DecodedStatement,
  type DeviceEntry,
  type DeviceId,
  type Ed25519Public,
  type GenesisBody,
  type Hash,
  type KeyId,
  limits,
  type RsaPublic,
  SnugError,
  type StatementContent,
} from "@snug/protocol";
import { checkRsaPublic, keyIdOf, verifyEd25519, verifyPss } from "./keys.ts";
import { normalizeName } from "./names.ts";

/** One installed client of an account. `ends` in ms since 1970, or null. */
export interface Device {
  readonly key: Ed25519Public;
  readonly keyId: KeyId;
  readonly rights: "full" | "send-only";
  readonly ends: number | null;
  readonly revoked: boolean;
  /** When it was introduced, by the clock of who signed that; ms since 1970. */
  readonly added: number;
  /** Who revoked it: the account itself, or an administrator; null while nobody has. */
  readonly endedBy: AccountId | null;
  /** How many leaves the log had before the one that revoked it; null while none has. */
  readonly endedAt: number | null;
}

export interface EncryptionKey {
  readonly key: RsaPublic;
  readonly keyId: KeyId;
}

/** Which of an account's two authorities signed a statement. */
export type Signer = "signing" | "recovery";

/**
 * `signatures`: each is verified. `root`: somebody who verified each has vouched for the root over exactly these
 * statements, and the caller compares it before anything of them is used.
 */
export type Proof = "signatures" | "root";

/** A person as the statements tell. Immutable; each statement makes the next one. */
export interface Account {
  readonly id: AccountId;
  readonly display: string;
  readonly name: string;
  readonly signing: RsaPublic;
  readonly signingKeyId: KeyId;
  /** The last one is sealed to. */
  readonly encryption: readonly EncryptionKey[];
  readonly recovery: Ed25519Public;
  readonly recoveryKeyId: KeyId;
  readonly devices: ReadonlyMap<DeviceId, Device>;
  readonly role: "admin" | "member";
  readonly removed: boolean;
  /** Who removed it: the account itself, or an administrator; null while nobody has. */
  readonly removedBy: AccountId | null;
  /** How many leaves the log had before the one that removed it; null while none has. */
  readonly removedAt: number | null;
  /** Has statements that this version does not understand: nothing new is sealed to it. */
  readonly newer: boolean;
  /** Number and hash of its newest statement. */
  readonly number: number;
  readonly head: Hash;
  readonly invite: GenesisBody["invite"];
  readonly genesis: GenesisBody;
  /** Its statements in order. `signedBy` is null only behind one that this version does not understand. */
  readonly history: readonly { readonly kind: string; readonly signedBy: Signer | null }[];
}

type Content<K> = Extract<StatementContent, { kind: K }>;

const forbidden = (why: string): SnugError => new SnugError("forbidden", why);
const malformed = (why: string): SnugError => new SnugError("malformed", why);

/** The account that a genesis founds; checks all that can be checked without the directory. */
export async function foundAccount(
  statement: DecodedStatement,
  content: Content<"genesis">,
  { hash, proof }: { readonly hash: Hash; readonly proof: Proof },
): Promise<Account> {
  const { body } = content;
  if (content.account !== null || content.number !== 0 || content.previous !== null) {
    throw malformed("a genesis that claims to follow something");
  }
  const { display, name } = normalizeName(body.display);
  if (display !== body.display || name !== body.name) {
    throw new SnugError("name-invalid", "the name in the genesis is not in its normal form");
  }
  const keys = await checkKeys(body);
  if (content.keyId !== keys.signingKeyId) throw forbidden("a genesis not signed by its own signing key");
  if (proof === "signatures" && !(await verifyPss(body.signing, statement.signed, statement.signature))) {
    throw forbidden("a genesis whose signature is wrong");
  }
  return {
    id: hash as string as AccountId,
    display,
    name,
    signing: body.signing,
    ...keys,
    recovery: body.recovery,
    recoveryKeyId: await keyIdOf(body.recovery),
    devices: new Map([[body.device.device, await deviceOf(body.device, content.time)]]),
    role: body.invite ? "member" : "admin",
    removed: false,
    removedBy: null,
    removedAt: null,
    newer: false,
    number: 0,
    head: hash,
    invite: body.invite,
    genesis: body,
    history: [{ kind: "genesis", signedBy: "signing" }],
  };
}

async function checkKeys(body: {
  readonly signing: RsaPublic;
  readonly encryption: readonly RsaPublic[];
}): Promise<Pick<Account, "signingKeyId" | "encryption">> {
  checkRsaPublic(body.signing);
  const signingKeyId = await keyIdOf(body.signing);
  const seen = new Set<KeyId>([signingKeyId]);
  const encryption: EncryptionKey[] = [];
  for (const key of body.encryption) {
    checkRsaPublic(key);
    const keyId = await keyIdOf(key);
    if (seen.has(keyId)) throw malformed("a key used twice: signing and each encryption key are to differ");
    seen.add(keyId);
    encryption.push({ key, keyId });
  }
  return { signingKeyId, encryption };
}

async function deviceOf(entry: DeviceEntry, added: number): Promise<Device> {
  const { key, rights, ends } = entry;
  return {
    key,
    keyId: await keyIdOf(key),
    rights,
    ends,
    revoked: false,
    added,
    endedBy: null,
    endedAt: null,
  };
}

/** Who signed a statement of an account, or null when no key that the account has now did. */
export async function signerOf(
  account: Account,
  statement: DecodedStatement,
  proof: Proof,
): Promise<Signer | null> {
  const { content, signed, signature } = statement;
  // Only behind a statement that this version does not understand does the log take what nobody signed.
  const vouched = proof === "root" && !account.newer;
  if (content.keyId === account.signingKeyId) {
    return vouched || (await verifyPss(account.signing, signed, signature)) ? "signing" : null;
  }
  if (content.keyId === account.recoveryKeyId) {
    return vouched || (await verifyEd25519(account.recovery, signed, signature)) ? "recovery" : null;
  }
  return null;
}

/**
 * The account after one more statement of its own, which is already known to be next in the chain and signed; `index`
 * is its place in the log.
 */
export async function advanceAccount(
  account: Account,
  content: StatementContent,
  step: { readonly hash: Hash; readonly signedBy: Signer | null; readonly index: number },
): Promise<Account> {
  const kind = content.kind === "unknown" ? content.named : content.kind;
  const next: Account = {
    ...account,
    number: content.number,
    head: step.hash,
    history: [...account.history, { kind, signedBy: step.signedBy }],
  };
  // Behind a statement that isn't understood, a signer may be unknown too: the chain goes on, nothing is believed.
  if (step.signedBy === null) return next;
  return { ...next, ...(await changes(account, content, step.index)) };
}

async function changes(
  account: Account,
  content: StatementContent,
  index: number,
): Promise<Partial<Account>> {
  switch (content.kind) {
    case "device-add":
      return { devices: await addDevice(account, content.body, content.time) };
    case "device-revoke":
      return { devices: revokeDevice(account, content.body.device, { by: account.id, index }) };
    case "rotate":
      return rotate(account, content.body);
    case "recovery-change":
      return changeRecovery(account, content.body.recovery);
    case "remove":
      return { removed: true, removedBy: account.id, removedAt: index };
    case "unknown":
      return { newer: true };
    case "genesis":
      throw malformed("a second genesis");
    case "role":
    case "account-remove":
    case "device-end":
      return {}; // changes another account: administration.ts
  }
}

async function addDevice(account: Account, entry: DeviceEntry, time: number): Promise<Account["devices"]> {
  const device = await deviceOf(entry, time);
  const active = [...account.devices.values()].filter(({ revoked }) => !revoked).length;
  if (active >= limits.devices) {
    throw new SnugError("policy", `the account has ${active} devices, at most ${limits.devices} are taken`);
  }
  if ([...account.devices.values()].some(({ keyId }) => keyId === device.keyId)) {
    throw new SnugError("conflict", "a device with the key of another device");
  }
  return new Map([...account.devices, [entry.device, device]]);
}

/** The devices without this one, ended for good by the statement at this place of the log. Throws SnugError `conflict`. */
export function revokeDevice(
  account: Account,
  id: DeviceId,
  { by, index }: { readonly by: AccountId; readonly index: number },
): Account["devices"] {
  const device = account.devices.get(id);
  if (!device || device.revoked) throw new SnugError("conflict", "the account has no such device to revoke");
  return new Map([...account.devices, [id, { ...device, revoked: true, endedBy: by, endedAt: index }]]);
}

async function rotate(account: Account, body: Content<"rotate">["body"]): Promise<Partial<Account>> {
  const keys = await checkKeys(body);
  const newest = keys.encryption.at(-1)?.keyId;
  if (keys.signingKeyId === account.signingKeyId || newest === account.encryption.at(-1)?.keyId) {
    throw malformed("a rotation that keeps a key which it is to renew");
  }
  return { signing: body.signing, ...keys };
}

async function changeRecovery(account: Account, recovery: Ed25519Public): Promise<Partial<Account>> {
  const recoveryKeyId = await keyIdOf(recovery);
  if (recoveryKeyId === account.recoveryKeyId) throw malformed("a recovery change that changes nothing");
  return { recovery, recoveryKeyId };
}
