import type { Account, Directory } from "@snug/crypto/identity";
import type { AccountId } from "@snug/protocol";
import type { DeviceView } from "./api.ts";
import type { Step } from "./directory.ts";
import type { Room } from "./records.ts";

/** All devices that an account ever had, in the order in which they came. */
export function devicesOf(account: Account): DeviceView[] {
  return [...account.devices].map(([device, { rights, ends, added, endedBy }]) => ({
    device,
    rights,
    ends,
    added,
    endedBy,
  }));
}

/** Why this device has had its day, by the directory's word; null while it has not. */
export function endOf(directory: Directory, room: Pick<Room, "account" | "device">): string | null {
  const me = directory.accounts.get(room.account);
  if (!me) return null;
  const name = (by: AccountId | null): string => `${nameOf(directory, by)}, an administrator,`;
  if (me.removed) {
    return me.removedBy === me.id
      ? "your account has left this server"
      : `${name(me.removedBy)} has removed your account from this server`;
  }
  const device = me.devices.get(room.device);
  if (!device?.revoked) return null;
  return device.endedBy === me.id
    ? `this device was ended by another one of yours`
    : `${name(device.endedBy)} has ended this device`;
}

/**
 * What an administrator's statement about somebody says to a reader who did not make it: everybody hears of it (C35).
 * null for any other statement, and for what says nothing new here: an end of this very device stops it, in words.
 */
export function administrationNews(
  step: Step,
  after: Directory,
  room: Pick<Room, "account" | "device">,
): { readonly level: "quiet" | "loud"; readonly text: string } | null {
  const { content } = step;
  const by = nameOf(after, step.account);
  if (content.kind === "role") {
    const whom = content.body.account === room.account ? "you" : nameOf(after, content.body.account);
    const admin = content.body.role === "admin";
    const text = admin
      ? `${by} made ${whom} an administrator of this server`
      : `${by} took the administrator's role from ${whom}`;
    return { level: "quiet", text };
  }
  if (content.kind === "account-remove") {
    if (content.body.account === room.account) return null;
    return { level: "quiet", text: `${by} removed ${nameOf(after, content.body.account)} from this server` };
  }
  if (content.kind !== "device-end") return null;
  const { account, device } = content.body;
  if (account !== room.account) {
    return { level: "quiet", text: `${by} ended a device of ${nameOf(after, account)}` };
  }
  if (device === room.device) return null;
  const added = after.accounts.get(account)?.devices.get(device)?.added ?? 0;
  const day = new Date(added).toISOString().slice(0, 10);
  return {
    level: "loud",
    text: `${by}, an administrator, has ended a device of yours, the one added on ${day}. If it was stolen, whoever has it may hold your keys.`,
  };
}

function nameOf(directory: Directory, account: AccountId | null): string {
  return (account && directory.accounts.get(account)?.display) ?? "somebody";
}
