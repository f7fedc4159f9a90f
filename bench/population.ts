/**
 * A data folder with many people in it, made once and copied for each round: keys are the slow part of joining and
 * not what is measured, so everybody has the same RSA keys and a device key of their own.
 */
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  applyStatement,
  applyStatements,
  type Directory,
  inboxOf,
  nextHead,
  normalizeName,
  rootOf,
  signCheckpoint,
} from "@snug/crypto/identity";
import { type CreatedAccount, createAccount, signStatement } from "@snug/crypto/sealing";
import {
  type AccountId,
  DeviceId,
  decodeStatement,
  type Ed25519Public,
  Hash,
  Id256,
  randomId,
  type ServerId,
  SnugError,
  type StreamId,
  sha256,
  toBase64url,
} from "@snug/protocol";
import { DirectoryLog } from "../packages/server/src/directoryLog.ts";
import { readLogKeys } from "../packages/server/src/logKey.ts";
import { SqliteStore } from "../packages/server/src/store/sqliteStore.ts";
import { ServedServer } from "../testing/served.ts";
import { inGroups } from "./groups.ts";

/** One account with one device, as the load needs it. `key` is the device's secret key, PKCS #8, base64url. */
export interface Person {
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly inbox: StreamId;
  readonly key: string;
}

export interface Population extends AsyncDisposable {
  readonly server: ServerId;
  readonly incarnation: string;
  readonly people: readonly Person[];
  /** Statements of `people[0]`, which may follow its genesis one after another, base64url. */
  readonly statements: readonly string[];
  /** A fresh copy of the data folder, for one round. It goes with the rest. */
  copy(): Promise<string>;
}

/**
 * Makes a data folder with `size` people; all but the host are written as what a restored server is brought back, in
 * one change: their genesis are signed and verified (about 5 ms each), nobody joins by the wire.
 */
export async function populate(size: number): Promise<Population> {
  const root = await mkdtemp(join(tmpdir(), "snug-bench-people-"));
  const data = join(root, "data");
  const first = await ServedServer.start({ data });
  await first.stop();
  const store = new SqliteStore(join(data, "snug.db"));
  const { incarnation } = store;
  const keys = await readLogKeys(join(data, "keys"));
  const { server } = keys;
  let people: Person[];
  let statements: string[];
  let copies = 0;
  {
    await using open = store;
    const log = await DirectoryLog.open(open, keys);
    const host = await joinHost(open, log, server);
    const made = await inGroups(Array.from({ length: size }), 8, (_, n) => makePerson(host, server, n));
    const entries = made.map(({ genesis, inbox }) => ({ statement: genesis, inbox }));
    const { directory } = await applyStatements(
      log.directory,
      entries.map(({ statement }) => statement),
    );
    const [key] = keys.held;
    if (!key) throw new RangeError("a server has a log key");
    const tree = await rootOf(directory.tree);
    const checkpoint = await signCheckpoint({ server, ...key, size: directory.size, root: tree });
    await log.restore(entries, { from: log.size, checkpoint, now: Date.now() });
    people = made.map(({ person }) => person);
    const [someone] = people;
    statements = someone ? await changesOf(directory, someone.account, host.keys.signing) : [];
  }
  return {
    statements,
    server,
    incarnation,
    people,
    copy: async () => {
      const copy = join(root, `copy-${++copies}`);
      await cp(data, copy, { recursive: true });
      return copy;
    },
    [Symbol.asyncDispose]: () => rm(root, { recursive: true }),
  };
}

/** The administrator who has invited everybody. */
async function joinHost(store: SqliteStore, log: DirectoryLog, server: ServerId): Promise<CreatedAccount> {
  const hash = Hash.parse(toBase64url(crypto.getRandomValues(new Uint8Array(32))));
  const now = Date.now();
  await store.replaceSetupLink({ hash, account: null, usesLeft: 1, created: now, expires: now + 9e6 });
  const host = await createAccount({ server, display: "host", invite: null, now });
  const { genesis, recovery } = host;
  await log.join({ genesis, recovery, invite: hash, inviter: null, now });
  return host;
}

async function makePerson(
  host: CreatedAccount,
  server: ServerId,
  n: number,
): Promise<{ person: Person; genesis: Uint8Array<ArrayBuffer>; inbox: StreamId }> {
  const { content } = decodeStatement(host.genesis);
  if (content.kind !== "genesis") throw new SnugError("internal", "a genesis is a genesis");
  const device = randomId(DeviceId);
  const own = await makeKey();
  const genesis = await signStatement({
    key: host.keys.signing,
    keyId: content.keyId,
    head: { server, account: null, number: 0, previous: null, time: Date.now() },
    kind: "genesis",
    body: {
      ...content.body,
      ...normalizeName(`load${n}`),
      device: { device, key: own.public, rights: "full", ends: null },
      invite: { inviter: host.account, binding: new Uint8Array(32) },
    },
  });
  const account = (await sha256(genesis)) as string as AccountId;
  const inbox = await inboxOf(account);
  return { person: { account, inbox, device, key: own.pkcs8 }, genesis, inbox };
}

async function makeKey(): Promise<{ pkcs8: string; public: Ed25519Public }> {
  const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  const raw = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
  return {
    pkcs8: toBase64url(pkcs8),
    public: { kty: "OKP", crv: "Ed25519", x: Id256.parse(toBase64url(raw)) },
  };
}

/** A few new recovery keys, one after the other. */
async function changesOf(directory: Directory, account: AccountId, key: CryptoKey): Promise<string[]> {
  const made: string[] = [];
  let then = directory;
  for (let n = 0; n < 20; n++) {
    const statement = await signStatement({
      key,
      keyId: then.accounts.get(account)?.signingKeyId ?? raise(),
      head: nextHead(then, account, Date.now()),
      kind: "recovery-change",
      body: { recovery: (await makeKey()).public },
    });
    made.push(toBase64url(statement));
    then = (await applyStatement(then, statement)).directory;
  }
  return made;
}

function raise(): never {
  throw new RangeError("an account that is not there");
}
