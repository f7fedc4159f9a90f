import { type AccountId, DeviceId, type GenesisBody, randomId, type ServerId, sha256 } from "@snug/protocol";
import { normalizeName } from "../identity/names.ts";
import { bindToInvite } from "./inviteBinding.ts";
import {
  type AccountKeys,
  type ExportedKeys,
  importAccountKeys,
  importSigningKey,
  makeDeviceKey,
  makeRsaKey,
} from "./keys.ts";
import { recoveryKeyOf, wrapForRecovery } from "./recovery.ts";
import { formatRecoveryCode } from "./recoveryCode.ts";
import { signStatement } from "./statements.ts";

export interface CreatedAccount {
  /** The exact bytes of the first statement; their hash is the account id. */
  readonly genesis: Uint8Array<ArrayBuffer>;
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly keys: AccountKeys;
  /** Secret bytes, for Node's key file; a browser drops them. */
  readonly exportable: ExportedKeys;
  /** To be shown once and kept nowhere. */
  readonly recoveryCode: string;
  /** The keys wrapped under the code, for the server to keep. */
  readonly recovery: Uint8Array<ArrayBuffer>;
}

/**
 * Makes an account's keys, its genesis and its first device; `invite` is null with the setup link. `now` in ms.
 * Throws SnugError `name-invalid`.
 */
export async function createAccount(of: {
  readonly server: ServerId;
  readonly display: string;
  readonly invite: { readonly secret: Uint8Array; readonly inviter: AccountId } | null;
  readonly now: number;
}): Promise<CreatedAccount> {
  const { server, invite } = of;
  const names = normalizeName(of.display);
  const secret = crypto.getRandomValues(new Uint8Array(16));
  const [signing, encryption, deviceKey, recoveryKey] = await Promise.all([
    makeRsaKey("signing"),
    makeRsaKey("encryption"),
    makeDeviceKey(),
    recoveryKeyOf(secret),
  ]);
  const device = randomId(DeviceId);
  const keys = {
    signing: signing.public,
    encryption: [encryption.public],
    recovery: recoveryKey.public,
    device: { device, key: deviceKey.public, rights: "full" as const, ends: null },
  };
  const body: GenesisBody = {
    ...names,
    ...keys,
    invite: invite && { inviter: invite.inviter, binding: await bindToInvite({ ...invite, keys, server }) },
  };
  const genesis = await signStatement({
    key: await importSigningKey(signing.pkcs8),
    keyId: signing.keyId,
    head: { server, account: null, number: 0, previous: null, time: of.now },
    kind: "genesis",
    body,
  });
  const account = (await sha256(genesis)) as string as AccountId;
  const exportable: ExportedKeys = {
    signing: signing.pkcs8,
    encryption: [{ keyId: encryption.keyId, key: encryption.pkcs8 }],
    device: deviceKey.pkcs8,
  };
  return {
    genesis,
    account,
    device,
    keys: await importAccountKeys(exportable),
    exportable,
    recoveryCode: await formatRecoveryCode(secret),
    recovery: await wrapForRecovery(secret, { server, account, keys: exportable }),
  };
}
