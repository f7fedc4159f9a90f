import assert from "node:assert/strict";
import {
  type Account,
  applyStatements,
  type Directory,
  emptyDirectory,
  generateLogKey,
  nextHead,
  sealingKeyOf,
  serverIdOf,
} from "@snug/crypto/identity";
import { type CreatedAccount, createAccount, sealLetter, signStatement } from "@snug/crypto/sealing";
import {
  type AccountId,
  DeviceId,
  type ErrorCode,
  encodeCbor,
  encodeStatement,
  labels,
  MessageId,
  type RsaPublic,
  randomId,
  type ServerId,
  SnugError,
  type StatementBody,
  type StatementKind,
  textContent,
} from "@snug/protocol";
import { makeDeviceKey, makeRsaKey } from "../src/sealing/keys.ts";

/** A server's directory of named people, whose keys the test holds. */
export interface Room {
  readonly server: ServerId;
  readonly people: Readonly<Record<string, CreatedAccount>>;
  readonly directory: Directory;
}

/** The secret of the one invite that everybody but the first came by. */
export const inviteSecret = new Uint8Array(16).fill(7);

/** People in the order they join; the first is the administrator and invites the others. */
export async function makeRoom(names: readonly string[]): Promise<Room> {
  const server = await serverIdOf((await generateLogKey()).public);
  const people: Record<string, CreatedAccount> = {};
  let admin: AccountId | undefined;
  for (const display of names) {
    const invite = admin ? { secret: inviteSecret, inviter: admin } : null;
    const made = await createAccount({ server, display, invite, now: 1_000 });
    admin ??= made.account;
    people[display] = made;
  }
  const statements = Object.values(people).map(({ genesis }) => genesis);
  const { directory } = await applyStatements(emptyDirectory(server), statements);
  return { server, people, directory };
}

export function personOf(room: Room, name: string): CreatedAccount {
  const person = room.people[name];
  assert(person, `nobody is called ${name}`);
  return person;
}

export function accountOf(directory: Directory, id: AccountId): Account {
  const account = directory.accounts.get(id);
  assert(account);
  return account;
}

/** The next statement of somebody's chain, by their signing key. */
export async function nextStatement<K extends StatementKind>(
  room: Room,
  name: string,
  kind: K,
  body: StatementBody<K>,
): Promise<Uint8Array> {
  const { account, keys } = personOf(room, name);
  const { signingKeyId: keyId } = accountOf(room.directory, account);
  return signStatement({
    key: keys.signing,
    keyId,
    head: nextHead(room.directory, account, 2_000),
    kind,
    body,
  });
}

/** A statement as `signStatement` makes it, but with any members: for what a hostile peer would write. */
export async function forgeStatement(
  key: CryptoKey,
  members: readonly unknown[],
  encode: (value: unknown) => Uint8Array = encodeCbor,
): Promise<Uint8Array> {
  const signed = encode(members) as Uint8Array<ArrayBuffer>;
  const signature = await crypto.subtle.sign({ name: key.algorithm.name, saltLength: 32 }, key, signed);
  return encodeStatement(signed, new Uint8Array(signature));
}

/** The members of somebody's next statement, to be bent. */
export function membersOf(room: Room, name: string, kind: string, body: unknown): unknown[] {
  const { account } = personOf(room, name);
  const { server, number, previous, time } = nextHead(room.directory, account, 2_000);
  const { signingKeyId } = accountOf(room.directory, account);
  return [labels.statement, 1, server, account, number, previous, kind, time, body, signingKeyId];
}

export async function deviceEntry(ends: number | null = null) {
  const made = await makeDeviceKey();
  return { entry: { device: randomId(DeviceId), key: made.public, rights: "full" as const, ends }, made };
}

/** Fresh keys as a rotation announces them; making RSA keys is slow, so tests share them. */
export async function rotationBody(): Promise<{ signing: RsaPublic; encryption: RsaPublic[] }> {
  const [signing, encryption] = await Promise.all([makeRsaKey("signing"), makeRsaKey("encryption")]);
  return { signing: signing.public, encryption: [encryption.public] };
}

/** The arguments of a letter between two people, and the row that a server would deliver it in. */
export function letterBetween(room: Room, from: string, to: string, text: string) {
  const sender = personOf(room, from);
  const recipient = accountOf(room.directory, personOf(room, to).account);
  const deviceKeyId = accountOf(room.directory, sender.account).devices.get(sender.device)?.keyId;
  assert(deviceKeyId);
  const { account, device, keys } = sender;
  const row = { account, device, id: randomId(MessageId), counter: 1, accepted: 5_000 };
  const letter = {
    from: { account, device, key: keys.device, deviceKeyId },
    to: { account: recipient.id, ...sealingKeyOf(recipient) },
    server: room.server,
    id: row.id,
    counter: row.counter,
    time: 4_000,
    checkpoint: "",
    content: textContent(text),
    copyOf: null as AccountId | null,
  };
  return { letter, row, seal: () => sealLetter(letter) };
}

/** Whom a letter is opened by. */
export function openerOf(room: Room, name: string) {
  const { account: me, keys } = personOf(room, name);
  return {
    server: room.server,
    me,
    keys: keys.encryption,
    directory: room.directory,
    mayPrecede: () => true,
  };
}

/** For assert.rejects and assert.throws: code and message. */
export function refused(code: ErrorCode, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert(error instanceof SnugError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  };
}
