import { type AccountId, encodeCbor, type GenesisBody, labels, type ServerId } from "@snug/protocol";
import { derive } from "../identity/derive.ts";
import { keyIdOf } from "../identity/keys.ts";

type Keys = Pick<GenesisBody, "signing" | "encryption" | "recovery" | "device">;

/** HMAC-SHA-256 under the invite's bind key over server, inviter and every key id of the joiner's genesis. */
export async function bindToInvite(of: {
  readonly secret: Uint8Array;
  readonly keys: Keys;
  readonly inviter: AccountId;
  readonly server: ServerId;
}): Promise<Uint8Array<ArrayBuffer>> {
  const key = await bindKey(of.secret, "sign");
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, await bound(of)));
}

/** Whether a genesis was made by somebody who held the invite's secret: by it the inviter knows the joiner's keys. */
export async function checkInviteBinding(of: {
  readonly secret: Uint8Array;
  readonly genesis: GenesisBody;
  readonly inviter: AccountId;
  readonly server: ServerId;
}): Promise<boolean> {
  const { secret, genesis, inviter, server } = of;
  if (!genesis.invite || genesis.invite.inviter !== inviter) return false;
  const key = await bindKey(secret, "verify");
  const mac = genesis.invite.binding as Uint8Array<ArrayBuffer>;
  return crypto.subtle.verify("HMAC", key, mac, await bound({ keys: genesis, inviter, server }));
}

async function bindKey(secret: Uint8Array, usage: "sign" | "verify"): Promise<CryptoKey> {
  const raw = await derive(secret, labels.inviteBind);
  return crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, [usage]);
}

async function bound(of: {
  readonly keys: Keys;
  readonly inviter: AccountId;
  readonly server: ServerId;
}): Promise<Uint8Array<ArrayBuffer>> {
  const { signing, encryption, recovery, device } = of.keys;
  const keyIds = await Promise.all([signing, ...encryption, recovery, device.key].map(keyIdOf));
  return encodeCbor([labels.inviteBinding, of.server, of.inviter, keyIds]);
}
