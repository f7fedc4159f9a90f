import {
  type AccountId,
  type Content,
  type DeviceId,
  decodeLetterPayload,
  encodeLetterPayload,
  type KeyId,
  type LetterPayload,
  limits,
  type MessageId,
  type Row,
  type RsaPublic,
  type ServerId,
  SnugError,
} from "@snug/protocol";
import { CompactEncrypt, CompactSign, compactDecrypt, compactVerify, errors } from "jose";
import type { Account, Device } from "../identity/accounts.ts";
import { unverifiedSize } from "../identity/checkpoints.ts";
import type { Directory } from "../identity/directory.ts";
import { eddsaKey, oaepKey } from "../identity/keys.ts";
import { splitCompact } from "./compact.ts";
import type { AccountKeys } from "./keys.ts";

// Protected headers are these members and the key id, nothing else.
const sealing = { alg: "RSA-OAEP-256", enc: "A256GCM", typ: "snug-letter" } as const;
const signing = { alg: "EdDSA", typ: "snug-letter-signed" } as const;

/** What a letter says of itself; the row that carries it says the same. */
interface Sending {
  readonly server: ServerId;
  readonly id: MessageId;
  readonly counter: number;
  readonly time: number;
  readonly checkpoint: string;
  readonly content: Content;
  /** In the copy sealed to oneself, whom the letter went to; else null. */
  readonly copyOf: AccountId | null;
}

/**
 * Seals a letter: JWS by the sending device inside JWE to the recipient's key, as the ASCII of the compact form.
 * `to.key` with `to.keyId` is what `sealingKeyOf` gives. Throws SnugError `malformed` or `too-large` for the text.
 */
export async function sealLetter(
  of: Sending & {
    readonly from: {
      readonly account: AccountId;
      readonly device: DeviceId;
      readonly key: CryptoKey;
      readonly deviceKeyId: KeyId;
    };
    readonly to: { readonly account: AccountId; readonly keyId: KeyId; readonly key: RsaPublic };
  },
): Promise<Uint8Array<ArrayBuffer>> {
  const { from, to, server, id, counter, time, checkpoint, content, copyOf } = of;
  checkCopy(from.account, to.account, copyOf);
  const payload = encodeLetterPayload({
    version: 1,
    server,
    from: { account: from.account, device: from.device },
    to: { account: to.account, key: to.keyId },
    copyOf,
    id,
    counter,
    time,
    checkpoint,
    content,
  });
  const signed = await new CompactSign(payload)
    .setProtectedHeader({ ...signing, kid: from.deviceKeyId })
    .sign(from.key);
  const sealed = await new CompactEncrypt(new TextEncoder().encode(signed))
    .setProtectedHeader({ ...sealing, kid: to.keyId })
    .encrypt(await oaepKey(to.key));
  return new TextEncoder().encode(sealed);
}

export interface OpenedLetter {
  readonly from: AccountId;
  readonly device: DeviceId;
  readonly id: MessageId;
  readonly counter: number;
  readonly time: number;
  readonly checkpoint: string;
  readonly content: Content;
  readonly copyOf: AccountId | null;
  /** Whoever wrote it was ended since (L9); else null. */
  readonly senderEnd: SenderEnd | null;
}

/** How a letter's sender came to its end: the person left or was removed, or their device was ended. */
export type SenderEnd = "left" | "removed" | "device";

/** What the row outside says, in the server's word. */
export type LetterRow = Pick<Row, "account" | "device" | "id" | "counter" | "accepted">;

/**
 * Opens a letter and checks all that can be checked; whether (from, id) was there before is the caller's to know, and
 * `mayPrecede`: whether the server may have taken the row while the directory log had no more than so many leaves.
 * Throws SnugError: `too-large`; `malformed` (form, headers, payload, padding); `not-found` (sender not in this
 * directory: perhaps it is old); `forbidden` (not for this account, not by this sender); `upgrade`.
 */
export async function openLetter(
  sealed: Uint8Array,
  by: {
    readonly server: ServerId;
    readonly me: AccountId;
    readonly keys: AccountKeys["encryption"];
    readonly directory: Directory;
    readonly row: LetterRow;
    readonly mayPrecede: (leaves: number) => boolean;
  },
): Promise<OpenedLetter> {
  const { directory, row } = by;
  const { signed, kid } = await decrypt(sealed, by.keys);
  const { sender, end } = senderOf(directory, row);
  if (end && !by.mayPrecede(end.at)) throw tooLate[end.how]();
  const payload = decodeLetterPayload(await verify(signed, sender));
  checkPlace(payload, { ...by, kid });
  checkCopy(payload.from.account, payload.to.account, payload.copyOf);
  // Neither clock alone: a lent device could turn its own back, and the server's word is only the server's.
  if (sender.ends !== null && Math.max(payload.time, row.accepted) >= sender.ends) {
    throw new SnugError("forbidden", "a letter by a device whose time had ended");
  }
  const { id, counter, time, checkpoint, content, copyOf } = payload;
  // Its own words: whoever knew the end wrote after it.
  if (end && checkpoint !== "" && unverifiedSize(checkpoint) > end.at) throw tooLate[end.how]();
  const from = { from: row.account, device: row.device, senderEnd: end?.how ?? null };
  return { ...from, id, counter, time, checkpoint, content, copyOf };
}

async function decrypt(
  sealed: Uint8Array,
  keys: AccountKeys["encryption"],
): Promise<{ signed: Uint8Array; kid: KeyId }> {
  if (sealed.length > limits.sealed) {
    throw new SnugError(
      "too-large",
      `a letter of ${sealed.length} bytes, at most ${limits.sealed} are taken`,
    );
  }
  const { header, text } = splitCompact(sealed, 5);
  const kid = checkHeader(header, sealing, "seal");
  const mine = keys.find(({ keyId }) => keyId === kid);
  if (!mine) throw new SnugError("forbidden", "a letter sealed to a key that this device doesn't hold");
  try {
    const { plaintext } = await compactDecrypt(text, mine.key);
    return { signed: plaintext, kid: mine.keyId };
  } catch (cause) {
    throw fromJose(cause, "a letter that doesn't open: its bytes were changed");
  }
}

/** The end of a sender, and how many leaves the log had before the one that says so. */
interface End {
  readonly how: SenderEnd;
  readonly at: number;
}

const tooLate: Readonly<Record<SenderEnd, () => SnugError>> = {
  left: () => new SnugError("forbidden", "a letter by an account that had left before it was sent"),
  removed: () => new SnugError("forbidden", "a letter by an account that was removed before it was sent"),
  device: () => new SnugError("forbidden", "a letter by a device that was ended before it was sent"),
};

function senderOf(directory: Directory, row: LetterRow): { sender: Device; end: End | null } {
  const account = directory.accounts.get(row.account);
  const device = account?.devices.get(row.device);
  if (!account || !device)
    throw new SnugError("not-found", "a letter by a device that the directory doesn't have");
  return { sender: device, end: firstEnd(account, device) };
}

function firstEnd(account: Account, device: Device): End | null {
  const { removedAt, removedBy } = account;
  const { endedAt } = device;
  if (endedAt !== null && (removedAt === null || endedAt < removedAt)) return { how: "device", at: endedAt };
  return removedAt === null ? null : { how: removedBy === account.id ? "left" : "removed", at: removedAt };
}

async function verify(signed: Uint8Array, sender: Device): Promise<Uint8Array> {
  const { header, text } = splitCompact(signed, 3);
  if (checkHeader(header, signing, "signature") !== sender.keyId) {
    throw new SnugError("forbidden", "a letter signed by another key than its sender's");
  }
  try {
    return (await compactVerify(text, await eddsaKey(sender.key))).payload;
  } catch (cause) {
    throw fromJose(cause, "a letter whose signature is wrong");
  }
}

/** Exactly the members of `fixed` and `kid`, exactly its values; gives the key id. Throws SnugError `malformed`. */
function checkHeader(
  header: Record<string, unknown>,
  fixed: Readonly<Record<string, string>>,
  what: string,
): string {
  const { kid, ...rest } = header;
  const names = Object.keys(fixed);
  if (typeof kid !== "string" || Object.keys(rest).length !== names.length) {
    throw new SnugError("malformed", `the ${what}'s header has other members than kid, ${names.join(", ")}`);
  }
  const odd = names.find((name) => rest[name] !== fixed[name]);
  if (odd !== undefined) {
    throw new SnugError(
      "malformed",
      `the ${what}'s header has ${named(rest[odd])} as ${odd}, not ${fixed[odd]}`,
    );
  }
  return kid;
}

/** A value that a sender chose, as a message may say it: such as names of algorithms are, and nothing else. */
function named(value: unknown): string {
  return typeof value === "string" && /^[\w+-]{1,16}$/.test(value) ? JSON.stringify(value) : "something else";
}

function checkPlace(
  payload: LetterPayload,
  by: { readonly server: ServerId; readonly me: AccountId; readonly row: LetterRow; readonly kid: KeyId },
): void {
  const { row } = by;
  const checks: readonly (readonly [boolean, string])[] = [
    [payload.server === by.server, "for another server"],
    [payload.to.account === by.me && payload.to.key === by.kid, "written to somebody else"],
    [
      payload.from.account === row.account && payload.from.device === row.device,
      "by another sender than its row says",
    ],
    [payload.id === row.id, "with another id than its row says"],
    [payload.counter === row.counter, "with another counter than its row says"],
  ];
  const failed = checks.find(([holds]) => !holds);
  if (failed) throw new SnugError("forbidden", `a letter ${failed[1]}`);
}

/** A copy goes to oneself and names somebody else. */
function checkCopy(from: AccountId, to: AccountId, copyOf: AccountId | null): void {
  if (copyOf !== null && (from !== to || copyOf === from)) {
    throw new SnugError("malformed", "a copy of a letter that is not to oneself, of a letter to another");
  }
}

/** JOSE's refusals become ours; a fault inside stays one. */
function fromJose(cause: unknown, message: string): unknown {
  if (!(cause instanceof errors.JOSEError)) return cause;
  return new SnugError("forbidden", message, { cause });
}
