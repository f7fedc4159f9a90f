import assert from "node:assert/strict";
import {
  type Account,
  applyStatements,
  type Directory,
  emptyDirectory,
  nextHead,
} from "@snug/crypto/identity";
import { signStatement } from "@snug/crypto/sealing";
import {
  type AccountId,
  type DeviceEntry,
  DeviceId,
  Ed25519Public,
  randomId,
  type StatementBody,
  type StatementKind,
} from "@snug/protocol";
import type { RawDevice, RawPerson, Wire, WireServer } from "./wire.ts";

/** The directory as the server shows it over a signed-in wire. */
export async function directoryOver(server: WireServer, wire: Wire): Promise<Directory> {
  const statements: Uint8Array[] = [];
  for (;;) {
    const { entries, size } = await wire.request("directory-read", { from: statements.length });
    statements.push(...entries.map(({ statement }) => statement));
    if (statements.length >= size) break;
  }
  return (await applyStatements(emptyDirectory(server.serverId), statements)).directory;
}

export function accountIn(directory: Directory, id: AccountId): Account {
  const account = directory.accounts.get(id);
  assert.ok(account);
  return account;
}

/** The next statement of a person's chain, signed by them; not sent. */
export async function statementOf<K extends StatementKind>(
  of: { readonly server: WireServer; readonly wire: Wire; readonly person: RawPerson },
  kind: K,
  body: StatementBody<K>,
): Promise<Uint8Array<ArrayBuffer>> {
  const { account, created } = of.person;
  const directory = await directoryOver(of.server, of.wire);
  const keyId = accountIn(directory, account).signingKeyId;
  const head = nextHead(directory, account, Date.now());
  return signStatement({ key: created.keys.signing, keyId, head, kind, body });
}

/** A new device's entry, and what it signs in by. */
export async function newDevice(
  account: AccountId,
  of: Partial<Pick<DeviceEntry, "rights" | "ends">> = {},
): Promise<{ readonly entry: DeviceEntry; readonly device: RawDevice }> {
  const { privateKey, publicKey } = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  const { x } = await crypto.subtle.exportKey("jwk", publicKey);
  const key = Ed25519Public.parse({ kty: "OKP", crv: "Ed25519", x });
  const device = randomId(DeviceId);
  return {
    entry: { device, key, rights: "full", ends: null, ...of },
    device: { account, device, keys: { device: privateKey } },
  };
}

/** A further device of somebody, in the directory. */
export async function addDevice(
  server: WireServer,
  person: RawPerson,
  of: Partial<Pick<DeviceEntry, "rights" | "ends">> = {},
): Promise<RawDevice> {
  await using wire = await person.connect();
  const { entry, device } = await newDevice(person.account, of);
  const statement = await statementOf({ server, wire, person }, "device-add", entry);
  await wire.request("statement-append", { statement });
  return device;
}
