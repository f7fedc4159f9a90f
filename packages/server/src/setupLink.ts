import { randomBytes } from "node:crypto";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { admitHash, admitOf } from "@snug/crypto/identity";
import { encodeInviteLink, Hash, limits } from "@snug/protocol";
import { DirectoryLog } from "./directoryLog.ts";
import { findFolder, isInUse } from "./folder.ts";
import { readLogKeys } from "./logKey.ts";
import { StartError } from "./startError.ts";
import { SqliteStore } from "./store/sqliteStore.ts";
import type { Store } from "./store/store.ts";

/** What a link says of the way to the server. */
export interface LinkFacts {
  readonly addresses: readonly string[];
  readonly authority: Hash | null;
}

const factsFile = "running.json";

/** A new setup link (one use, 30 minutes); the one before is void. The server keeps the hash of what it admits by. */
export async function makeSetupLink(
  store: Store,
  log: DirectoryLog,
  of: LinkFacts & { readonly now: number },
): Promise<string> {
  const secret = new Uint8Array(randomBytes(16));
  const { addresses, authority, now } = of;
  await store.replaceSetupLink({
    hash: await admitHash(await admitOf(secret)),
    account: null,
    usesLeft: 1,
    created: now,
    expires: now + limits.setupLink,
  });
  return encodeInviteLink({
    version: 1,
    addresses: [...addresses],
    server: log.directory.server,
    logKey: log.logPublic,
    authority,
    checkpoint: log.checkpoint,
    inviter: null,
    secret,
    once: true,
  });
}

/** Leaves what a link needs where `snug setup-link`, another process of the same person, finds it. Nothing secret. */
export async function leaveFacts(root: string, facts: LinkFacts): Promise<void> {
  const path = join(root, factsFile);
  await writeFile(`${path}.new`, JSON.stringify(facts), { mode: 0o600 });
  await rename(`${path}.new`, path);
}

export async function removeFacts(root: string): Promise<void> {
  await rm(join(root, factsFile), { force: true });
}

/**
 * A new setup link for the server that runs on a data folder, from another process: whoever may write the folder may
 * rule the server. Throws StartError when no server runs there, or an administrator exists.
 */
export async function requestSetupLink(data: string): Promise<string> {
  const { root, database, keys } = await findFolder(data);
  if (!isInUse(root)) throw new StartError(`no server is running on the data folder ${root}`);
  const facts = readFacts(await readFile(join(root, factsFile), "utf8"));
  await using store = new SqliteStore(database);
  const log = await DirectoryLog.open(store, await readLogKeys(keys));
  if (log.hasAdmin()) throw new StartError("an administrator exists already: ask them for an invite");
  return await makeSetupLink(store, log, { ...facts, now: Date.now() });
}

function readFacts(text: string): LinkFacts {
  const facts = JSON.parse(text) as Record<keyof LinkFacts, unknown>;
  return {
    addresses: (facts.addresses as unknown[]).map(String),
    authority: Hash.nullable().parse(facts.authority),
  };
}
