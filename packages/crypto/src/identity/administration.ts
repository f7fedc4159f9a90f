import { type AccountId, SnugError, type StatementContent } from "@snug/protocol";
import { type Account, revokeDevice } from "./accounts.ts";

const kinds = ["role", "account-remove", "device-end"] as const;

/** A statement in an administrator's chain that changes another account. */
export type Administration = Extract<StatementContent, { kind: (typeof kinds)[number] }>;

export function isAdministration(content: StatementContent): content is Administration {
  return kinds.some((kind) => kind === content.kind);
}

const ends: ReadonlySet<string> = new Set(["remove", "account-remove", "device-revoke", "device-end"]);

/** Whether a statement of this kind ends an account or a device: nothing of theirs is accepted behind it (L9). */
export function isEnd(kind: string): boolean {
  return ends.has(kind);
}

/**
 * The subject of an administrator's statement, which stands at `index` of the log, as it is afterwards (I15, I25, I26).
 * Throws SnugError `forbidden` (no administrator; oneself), `conflict` (nobody there), `policy` (the last one).
 */
export function administer(
  accounts: ReadonlyMap<AccountId, Account>,
  by: Account,
  { content, index }: { readonly content: Administration; readonly index: number },
): Account {
  if (by.role !== "admin") {
    throw new SnugError("forbidden", "only an administrator gives roles, removes accounts or ends devices");
  }
  const subject = accounts.get(content.body.account);
  if (!subject || subject.removed) {
    throw new SnugError("conflict", "an administrator's statement about an account that is not there");
  }
  if (content.kind === "role") {
    checkLast(accounts, subject, content.body.role);
    return { ...subject, role: content.body.role };
  }
  if (subject.id === by.id) {
    throw new SnugError("forbidden", "an administrator's word about others, not about their own account");
  }
  if (content.kind === "account-remove") {
    return { ...subject, removed: true, removedBy: by.id, removedAt: index };
  }
  return { ...subject, devices: revokeDevice(subject, content.body.device, { by: by.id, index }) };
}

/** A server whose last administrator gave the role away by mistake would be ruled by the next setup link. */
function checkLast(accounts: ReadonlyMap<AccountId, Account>, subject: Account, role: Account["role"]): void {
  if (role === "admin" || subject.role !== "admin") return;
  const others = [...accounts.values()].filter((one) => one.id !== subject.id);
  if (!others.some((one) => one.role === "admin" && !one.removed)) {
    throw new SnugError("policy", "the last administrator keeps the role; make somebody else one first");
  }
}
