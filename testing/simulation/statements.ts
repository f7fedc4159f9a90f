import { keyIdOf, nextHead } from "@snug/crypto/identity";
import { createAccount, signStatement } from "@snug/crypto/sealing";
import {
  type AccountId,
  DeviceId,
  decodeCbor,
  decodeStatement,
  Ed25519Public,
  encodeCbor,
  firstPrevious,
  type GenesisBody,
  type Hash,
  randomId,
  type StatementBody,
  sha256,
} from "@snug/protocol";
import type { Room } from "../../packages/server/src/room.ts";
import type { Course } from "./course.ts";
import type { Device, Person } from "./device.ts";
import type { House } from "./house.ts";

/**
 * New keys by the old signing key alone, from elsewhere, while all devices of the account are off. They start again when
 * it is done, or came to nothing.
 */
export async function changeKeys(
  person: Person,
  of: { readonly course: Course; readonly house: House; readonly lasts: number; readonly epoch: number },
): Promise<void> {
  const { course, house } = of;
  const { account } = person;
  const { room } = house;
  const keys = person.devices[0]?.disk.keys;
  const before = account && room?.log.member(account);
  if (!room || !keys || !before || before.history.length > 2) return;
  const devices = person.inUse;
  if (devices.some(({ locked }) => locked)) return;
  for (const device of devices) {
    await device.quit();
    // Its program may have been killed before it had quit; what it had begun is over either way.
    device.locked = true;
    device.kill("power");
  }
  const { server } = room.log.directory;
  const created = await createAccount({ server, display: "spare", invite: null, now: of.epoch });
  const fresh = genesisBodyOf(created.genesis);
  const encryption = [...before.encryption.map(({ key }) => key), ...fresh.encryption];
  const statement = await signStatement({
    key: keys.signing,
    keyId: await keyIdOf(before.signing),
    head: nextHead(room.log.directory, account, house.now()),
    kind: "rotate",
    body: { signing: fresh.signing, encryption },
  });
  // Durable before anybody can seal to them, whatever becomes of the statement.
  for (const { disk } of devices) {
    if (disk.keys) {
      const all = [...disk.keys.encryption, ...created.keys.encryption];
      disk.keys = { ...disk.keys, encryption: all };
    }
  }
  course.trace(person.name, "changes keys");
  take(room, account, statement, house.now()).catch(() => course.trace(person.name, "keeps the keys"));
  await course.pause(10_000 + of.lasts);
  while (!house.room) await course.pause(500);
  const hash = await sha256(statement);
  const isChanged = house.room.log.directory.accounts.get(account)?.head === hash;
  for (const device of devices) {
    const { disk } = device;
    if (isChanged && disk.keys) {
      disk.keys = { ...disk.keys, signing: created.keys.signing };
      disk.write([{ table: "made", key: hash, value: encodeCbor({ kind: "rotate" }) }]);
    }
    device.locked = false;
  }
  for (const device of devices) await device.start();
}

/**
 * Another device of the account, as a statement of its signing key lets it in; true once the directory of one that is
 * there has it, and the new disk holds what a linked device would begin with: the keys, the room, and nothing else.
 * Where that is false and the device has its room, the server may have it all the same.
 */
export async function addDevice(
  person: Person,
  second: Device,
  of: { readonly course: Course; readonly house: House },
): Promise<boolean> {
  const first = person.inUse.find(({ doomed }) => !doomed);
  const { room } = of.house;
  const keys = first?.disk.keys;
  const { account } = person;
  if (!first?.client || !keys || !account || !room?.log.member(account)) {
    return false;
  }
  const { privateKey, publicKey } = await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
  const { x } = await crypto.subtle.exportKey("jwk", publicKey);
  const device = randomId(DeviceId);
  const key = Ed25519Public.parse({ kty: "OKP", crv: "Ed25519", x });
  const body: StatementBody<"device-add"> = { device, key, rights: "full", ends: null };
  const before = room.log.member(account);
  if (!before) return false;
  const head = nextHead(room.log.directory, account, of.house.now());
  const by = { key: keys.signing, keyId: await keyIdOf(before.signing) };
  const statement = await signStatement({ ...by, head, kind: "device-add", body });
  let refused = false;
  second.lastRoom = { account, device };
  take(room, account, statement, of.house.now()).catch(() => {
    refused = true;
  });
  // Without an answer (the power failed) it may be there all the same: the first device's directory tells.
  for (let known = false; !known; ) {
    await of.course.pause(5_000);
    if (refused) second.lastRoom = null;
    if (refused || first.ended || person.doomed) return false;
    const { client } = first;
    // It may not have read of its own account yet.
    const asked = client?.state.phase === "joined" ? client.devices(account).catch(() => []) : [];
    const devices = await asked;
    known = devices.some((other) => other.device === device);
  }
  const record = (table: string, name: string): Record<string, unknown> =>
    decodeCbor(first.disk.get(table, name) ?? new Uint8Array()) as Record<string, unknown>;
  const position = { ...record("position", "inbox"), seq: 0, rowHash: firstPrevious satisfies Hash };
  second.disk.keys = { ...(first.disk.keys ?? keys), device: privateKey };
  second.disk.write([
    { table: "room", key: "room", value: encodeCbor({ ...record("room", "room"), device }) },
    { table: "position", key: "inbox", value: encodeCbor(position) },
  ]);
  return true;
}

/** As the server's operation does: nothing new while it waits for devices after a restore (D19). */
async function take(
  room: Room,
  account: AccountId,
  statement: Uint8Array<ArrayBuffer>,
  now: number,
): Promise<void> {
  room.restoring.mustTakeChanges();
  await room.log.append(account, statement, now);
}

function genesisBodyOf(genesis: Uint8Array): GenesisBody {
  const { content } = decodeStatement(genesis);
  if (content.kind !== "genesis") throw new Error(`${content.kind} is no genesis`);
  return content.body;
}
