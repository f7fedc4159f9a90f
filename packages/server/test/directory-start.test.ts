import assert from "node:assert/strict";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, test } from "node:test";
import { appendLeaf, emptyTree, rootOf, signCheckpoint } from "@snug/crypto/identity";
import { createAccount } from "@snug/crypto/sealing";
import { decodeStatement, encodeStatement, type ServerId, sha256 } from "@snug/protocol";
import { adoptFolder, startServer } from "@snug/server";
import { bootServer } from "../../../testing/server.ts";
import { joinRaw } from "../../../testing/wire.ts";
import { backUp } from "../src/backup/backUp.ts";
import { checkContents } from "../src/backup/contents.ts";
import { readLogKeys } from "../src/logKey.ts";
import { StartError } from "../src/startError.ts";

const refusal = (message: RegExp) => (error: unknown) =>
  error instanceof StartError && message.test(error.message) && !error.message.includes("\n");
const broken = /^the directory /;

let root = "";
let server: ServerId;

/** A folder with the statements of Alice, Bob and Carol, of a server that has ended. */
before(async () => {
  root = await mkdtemp(join(tmpdir(), "snug-start-"));
  await using running = await bootServer({ data: join(root, "data"), videos: join(root, "videos") });
  server = running.serverId;
  for (const name of ["alice", "bob", "carol"]) await joinRaw(running, name);
});
after(() => rm(root, { recursive: true }));

/** A copy of that folder, in whose database somebody has changed something; gone at the end of the test. */
async function changed(change: (database: DatabaseSync) => void | Promise<void>) {
  const folder = await mkdtemp(join(root, "changed-"));
  const data = join(folder, "data");
  await cp(join(root, "data"), data, { recursive: true });
  const database = new DatabaseSync(join(data, "snug.db"));
  await change(database);
  database.close();
  const videos = join(root, "videos");
  return { data, options: { data, videos, host: "127.0.0.1", port: 0, log: "silent" } } as const;
}

/** Rejects when the server does not start, and ends it when it does. */
async function start(options: Parameters<typeof startServer>[0]): Promise<void> {
  await using _ = await startServer(options);
}

const statementAt = (database: DatabaseSync, index: number): Uint8Array =>
  database.prepare("SELECT statement FROM statements WHERE idx = ?").get(index)?.statement as Uint8Array;
const put = (database: DatabaseSync, index: number, statement: Uint8Array): unknown =>
  database.prepare("UPDATE statements SET statement = ? WHERE idx = ?").run(statement, index);

/** The statement as nobody signed it. */
function unsigned(statement: Uint8Array): Uint8Array<ArrayBuffer> {
  const { signed, signature } = decodeStatement(statement);
  return encodeStatement(
    signed,
    signature.map((byte) => byte ^ 1),
  );
}

/** Bob's genesis without his signature, under a checkpoint that the log's own key has signed. */
async function believe(database: DatabaseSync): Promise<void> {
  put(database, 1, unsigned(statementAt(database, 1)));
  let tree = emptyTree();
  for (const index of [0, 1, 2]) tree = await appendLeaf(tree, await sha256(statementAt(database, index)));
  const { held } = await readLogKeys(join(root, "data", "keys"));
  const [key] = held;
  assert.ok(key);
  const checkpoint = await signCheckpoint({ server, ...key, size: tree.size, root: await rootOf(tree) });
  database.prepare("UPDATE meta SET value = ? WHERE key = 'checkpoint'").run(checkpoint);
}

test("I31: a server starts on a directory that is as its checkpoint says", async () => {
  const { options } = await changed(() => undefined);
  await using again = await startServer(options);
  assert.equal(again.serverId, server);
});

const other = (): Promise<Uint8Array> =>
  createAccount({ server, display: "Mallory", invite: null, now: 0 }).then(({ genesis }) => genesis);

for (const [what, change] of Object.entries<(database: DatabaseSync) => void | Promise<void>>({
  "with another statement in one's place": async (database) => void put(database, 0, await other()),
  "with a signature altered": (database) => void put(database, 1, unsigned(statementAt(database, 1))),
  "with one byte altered": (database) => {
    const statement = statementAt(database, 2);
    statement[300] = (statement[300] ?? 0) ^ 1;
    put(database, 2, statement);
  },
  "without its last statement": (database) => database.exec("DELETE FROM statements WHERE idx = 2"),
  "without one in the middle": (database) => {
    database.exec("DELETE FROM statements WHERE idx = 1; UPDATE statements SET idx = 1 WHERE idx = 2");
  },
  "with two in each other's place": (database) => {
    const [bob, carol] = [statementAt(database, 1), statementAt(database, 2)];
    put(database, 1, carol);
    put(database, 2, bob);
  },
  "with one more": async (database) => {
    database.exec(
      "INSERT INTO statements SELECT 3, account, statement, inbox, accepted FROM statements LIMIT 1",
    );
    put(database, 3, await other());
  },
  "without a checkpoint": (database) => database.exec("DELETE FROM meta WHERE key = 'checkpoint'"),
})) {
  test(`I31: a server does not start on a directory ${what}`, async () => {
    const { options } = await changed(change);
    await assert.rejects(start(options), refusal(broken));
  });
}

test("I31: a server does not start on a checkpoint that its log key did not sign", async () => {
  const { options } = await changed((database) => {
    // In the signature, whatever stands there; the last line ends with a padded character and a line feed.
    const other = "iif(substr(value, -5, 1) = 'A', 'B', 'A')";
    const text = `substr(value, 1, length(value) - 5) || ${other} || substr(value, -4)`;
    database.exec(`UPDATE meta SET value = ${text} WHERE key = 'checkpoint'`);
  });
  await assert.rejects(start(options), refusal(/not signed by/));
});

test("I31, T34: what the log key has vouched for is believed at a start, and verified by whoever takes it from elsewhere", async () => {
  const { data, options } = await changed(believe);
  await start(options);
  const unproven = refusal(/signature is wrong$/);
  await assert.rejects(checkContents(data), unproven);
  await assert.rejects(adoptFolder(data, 1), unproven);
  const backup = { data, file: join(data, "..", "backup"), now: 1, show: async () => undefined };
  await assert.rejects(backUp(backup), unproven);
});

test("I31: signatures that were verified by a version which knew other kinds of statements are verified again", async () => {
  for (const told of ["UPDATE meta SET value = 'genesis' WHERE", "DELETE FROM meta WHERE"]) {
    const { options } = await changed(async (database) => {
      await believe(database);
      database.exec(`${told} key = 'verified'`);
    });
    await assert.rejects(start(options), refusal(/signature is wrong$/));
  }
  const { options } = await changed((database) => database.exec("DELETE FROM meta WHERE key = 'verified'"));
  await start(options);
  const database = new DatabaseSync(join(options.data, "snug.db"));
  assert.match(
    String(database.prepare("SELECT value FROM meta WHERE key = 'verified'").get()?.value),
    /genesis/,
  );
  database.close();
});

test("D25, P24: what a backup of an older version holds is brought up to date", async () => {
  const { data } = await changed((database) => database.exec("DROP TABLE blocks; PRAGMA user_version=1"));
  assert.equal(await checkContents(data), server);
});
