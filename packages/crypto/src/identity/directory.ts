import {
  type AccountId,
  type DecodedStatement,
  type DeviceId,
  decodeStatement,
  type Hash,
  type KeyId,
  type ServerId,
  SnugError,
  type StatementContent,
  sha256,
} from "@snug/protocol";
import { type Account, advanceAccount, foundAccount, type Proof, signerOf } from "./accounts.ts";
import { administer, isAdministration } from "./administration.ts";
import { appointLogKey, type LogKeyTerm } from "./logKeys.ts";
import { appendLeaf, emptyTree, type MerkleTree } from "./merkle.ts";

/** All accounts of a server, replayed from its log of statements. Immutable. */
export interface Directory {
  readonly server: ServerId;
  /** Statements replayed. */
  readonly size: number;
  readonly accounts: ReadonlyMap<AccountId, Account>;
  /** Normal form → account; never freed. */
  readonly names: ReadonlyMap<string, AccountId>;
  /** Every device there ever was; an id is never used again. */
  readonly devices: ReadonlyMap<DeviceId, AccountId>;
  readonly tree: MerkleTree;
  /** Log keys after the first one, in order. */
  readonly logKeys: readonly LogKeyTerm[];
}

/** What one statement did. `subject` is whom an administrator's statement speaks of, else the account itself. */
export interface AccountChange {
  readonly account: AccountId;
  readonly subject: AccountId;
  readonly kind: string;
}

/** What one leaf of the log did: a statement of an account, or null, another log key. */
export type Change = AccountChange | null;

/** Where an account's next statement goes. */
export interface StatementHead {
  readonly server: ServerId;
  readonly account: AccountId | null;
  readonly number: number;
  readonly previous: Hash | null;
  /** ms since 1970, informative. */
  readonly time: number;
}

interface Draft {
  readonly server: ServerId;
  readonly accounts: Map<AccountId, Account>;
  readonly names: Map<string, AccountId>;
  readonly devices: Map<DeviceId, AccountId>;
}

export function emptyDirectory(server: ServerId): Directory {
  return {
    server,
    size: 0,
    accounts: new Map(),
    names: new Map(),
    devices: new Map(),
    tree: emptyTree(),
    logKeys: [],
  };
}

/** Like {@link applyStatements}, of one statement of an account; another leaf is `malformed`. */
export async function applyStatement(
  directory: Directory,
  statement: Uint8Array,
): Promise<{ directory: Directory } & AccountChange> {
  const applied = await applyStatements(directory, [statement]);
  const [change] = applied.changes;
  if (!change) throw new SnugError("malformed", "a leaf of the log that is no account's statement");
  return { directory: applied.directory, ...change };
}

/**
 * The directory after these statements of the log, in order; all of them or, with an error, none.
 * Throws SnugError `malformed`, `forbidden` (signature, right, server), `conflict` (number, previous, device),
 * `name-taken`, `name-invalid`, `policy`, `upgrade` (an account of a newer version).
 */
export function applyStatements(
  directory: Directory,
  statements: readonly Uint8Array[],
): Promise<{ directory: Directory; changes: readonly Change[] }> {
  return advance(directory, statements, "signatures");
}

/**
 * Like {@link applyStatements}, but verifies no account's signature: for statements that were verified before, and only
 * when the root over them is then compared with one that was kept since. A change of the log key is verified here too.
 */
export function unsafeReplay(
  directory: Directory,
  statements: readonly Uint8Array[],
): Promise<{ directory: Directory; changes: readonly Change[] }> {
  return advance(directory, statements, "root");
}

async function advance(
  directory: Directory,
  statements: readonly Uint8Array[],
  proof: Proof,
): Promise<{ directory: Directory; changes: readonly Change[] }> {
  const { server } = directory;
  const draft: Draft = {
    server,
    accounts: new Map(directory.accounts),
    names: new Map(directory.names),
    devices: new Map(directory.devices),
  };
  let { tree, logKeys } = directory;
  const changes: Change[] = [];
  for (const bytes of statements) {
    const hash = await sha256(bytes);
    const appointed = await appointLogKey(logKeys, { server, leaf: bytes, index: tree.size });
    const of = { hash, index: tree.size, proof };
    changes.push(appointed ? null : await apply(draft, decodeStatement(bytes), of));
    logKeys = appointed ?? logKeys;
    tree = await appendLeaf(tree, hash);
  }
  return { directory: { ...draft, size: tree.size, tree, logKeys }, changes };
}

/** The head of an account's next statement. Throws SnugError `not-found`. */
export function nextHead(directory: Directory, id: AccountId, time: number): StatementHead {
  const account = directory.accounts.get(id);
  if (!account) throw new SnugError("not-found", "no such account");
  const { server } = directory;
  return { server, account: id, number: account.number + 1, previous: account.head, time };
}

async function apply(
  draft: Draft,
  statement: DecodedStatement,
  { hash, index, proof }: { readonly hash: Hash; readonly index: number; readonly proof: Proof },
): Promise<AccountChange> {
  const { content } = statement;
  if (content.server !== draft.server)
    throw new SnugError("forbidden", "a statement made for another server");
  if (content.kind === "genesis") {
    const account = await foundAccount(statement, content, { hash, proof });
    checkFounding(draft, account);
    keep(draft, account);
    return { account: account.id, subject: account.id, kind: content.kind };
  }
  const account = continued(draft, content);
  const signedBy = await signerOf(account, statement, proof);
  if (signedBy === null && !account.newer) {
    throw new SnugError("forbidden", "a statement that no key of its account signed");
  }
  if (signedBy && content.kind === "device-add" && draft.devices.has(content.body.device)) {
    throw new SnugError("conflict", "a device id that was used before");
  }
  const next = await advanceAccount(account, content, { hash, signedBy, index });
  keep(draft, next);
  const kind = content.kind === "unknown" ? content.named : content.kind;
  if (!isAdministration(content) || signedBy === null) return { account: next.id, subject: next.id, kind };
  const subject = administer(draft.accounts, next, { content, index });
  draft.accounts.set(subject.id, subject);
  return { account: next.id, subject: subject.id, kind };
}

/** The account that a statement other than a genesis continues: right number, right previous, not removed. */
function continued(draft: Draft, content: StatementContent): Account {
  if (content.account === null) {
    if (content.version > 1) throw new SnugError("upgrade", "an account of a newer version of Snug");
    throw new SnugError("malformed", "a statement of no account");
  }
  const account = draft.accounts.get(content.account);
  if (!account) throw new SnugError("conflict", "a statement of an account that the log does not have");
  if (content.number !== account.number + 1 || content.previous !== account.head) {
    throw new SnugError(
      "conflict",
      `statement ${content.number} does not follow the account's statement ${account.number}`,
    );
  }
  if (account.removed) throw new SnugError("forbidden", "the account was removed");
  return account;
}

function checkFounding(draft: Draft, account: Account): void {
  if (draft.names.has(account.name)) {
    throw new SnugError("name-taken", `the name ${JSON.stringify(account.name)} is taken`);
  }
  for (const id of account.devices.keys()) {
    if (draft.devices.has(id)) throw new SnugError("conflict", "a device id that was used before");
  }
  if (account.invite) {
    const inviter = draft.accounts.get(account.invite.inviter);
    if (!inviter || inviter.removed) throw new SnugError("forbidden", "an account invited by nobody here");
  } else if (hasAdmin(draft)) {
    // The setup link founds administrators, and exists only while there is none.
    throw new SnugError("forbidden", "an account without an invite, though there is an administrator");
  }
}

function keep(draft: Draft, account: Account): void {
  draft.accounts.set(account.id, account);
  draft.names.set(account.name, account.id);
  for (const id of account.devices.keys()) draft.devices.set(id, account.id);
}

/** Whether anybody rules here: only while nobody does a setup link founds an administrator. */
export function hasAdmin({ accounts }: Pick<Directory, "accounts">): boolean {
  return [...accounts.values()].some(({ role, removed }) => role === "admin" && !removed);
}

/** The key that letters to an account are sealed to. Throws SnugError `forbidden` when nothing may be sealed to it. */
export function sealingKeyOf(account: Account): { key: Account["encryption"][number]["key"]; keyId: KeyId } {
  const newest = account.encryption.at(-1);
  if (account.removed || !newest) {
    throw new SnugError("forbidden", `${account.display} is no longer on this server`);
  }
  if (account.newer) {
    throw new SnugError(
      "upgrade",
      `${account.display} uses a newer version of Snug; update to write to them`,
    );
  }
  return newest;
}
