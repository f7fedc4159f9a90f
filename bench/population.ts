/**
 * A data folder with many people in it, made once and copied for each round: keys are the slow part of joining and
 * not what is measured, so everybody has the same RSA keys and a device key of their own.
 */
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { applyStatement, type Directory, nextHead, normalizeName } from "@snug/crypto/identity";
import { createAccount, signStatement } from "@snug/crypto/sealing";
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
  toBase64url,
} from "@snug/protocol";
import { DirectoryLog } from "../packages/server/src/directoryLog.ts";
import { readLogKeys } from "../packages/server/src/logKey.ts";
import { SqliteStore } from "../packages/server/src/store/sqliteStore.ts";
import { ServedServer } from "../testing/served.ts";

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

/** Makes a data folder with `size` people. Takes about 6 ms each. */
export async function populate(size: number): Promise<Population> {
  const root = await mkdtemp(join(tmpdir(), "snug-bench-people-"));
  const data = join(root, "data");
  const first = await ServedServer.start({ data });
  await first.stop();
  const store = new SqliteStore(join(data, "snug.db"));
  const { incarnation } = store;
  const key = await readLogKeys(join(data, "keys"));
  const people: Person[] = [];
  const statements: string[] = [];
  let copies = 0;
  {
    await using open = store;
    const log = await DirectoryLog.open(open, key);
    const invite = Hash.parse(toBase64url(crypto.getRandomValues(new Uint8Array(32))));
    const now = Date.now();
    const host = await createAccount({ server: key.server, display: "host", invite: null, now });
    const use = async (account: AccountId | null): Promise<void> => {
      await open.replaceSetupLink({
        hash: invite,
        account,
        usesLeft: size + 1,
        created: now,
        expires: now + 9e6,
      });
    };
    await use(null);
    const { recovery } = host;
    await log.join({ genesis: host.genesis, recovery, invite, inviter: null, now });
    const { content } = decodeStatement(host.genesis);
    if (content.kind !== "genesis") throw new SnugError("internal", "a genesis is a genesis");
    for (let n = 0; n < size; n++) {
      const device = randomId(DeviceId);
      const own = await makeKey();
      const genesis = await signStatement({
        key: host.keys.signing,
        keyId: content.keyId,
        head: { server: key.server, account: null, number: 0, previous: null, time: now },
        kind: "genesis",
        body: {
          ...content.body,
          ...normalizeName(`load${n}`),
          device: { device, key: own.public, rights: "full", ends: null },
          invite: { inviter: host.account, binding: new Uint8Array(32) },
        },
      });
      const joined = await log.join({ genesis, recovery, invite, inviter: host.account, now });
      people.push({ ...joined, device, key: own.pkcs8 });
    }
    await open.replaceSetupLink(null);
    const [someone] = people;
    if (someone) statements.push(...(await changesOf(log.directory, someone.account, host.keys.signing)));
  }
  return {
    statements,
    server: key.server,
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
