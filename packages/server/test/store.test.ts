import assert from "node:assert/strict";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { type Hash, Incarnation, randomId, SnugError } from "@snug/protocol";
import { patience } from "../../../testing/patience.ts";
import { StartError } from "../src/startError.ts";
import { faultOf } from "../src/store/faults.ts";
import { makeDatabase, upgradeDatabase } from "../src/store/schema.ts";
import { openWorker, SqliteStore } from "../src/store/sqliteStore.ts";
import { addPerson, roomy, rowFrom, type StoreUnderTest, storeContract } from "./storeContract.ts";

async function makeSqlite(): Promise<StoreUnderTest & { readonly path: string }> {
  const folder = await mkdtemp(join(tmpdir(), "snug-store-"));
  const path = join(folder, "snug.db");
  makeDatabase(path, randomId(Incarnation));
  return {
    path,
    open: async () => new SqliteStore(path),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

storeContract("SQLite", makeSqlite);

test("D9: a moved cursor is in the database soon, also when nothing else is written", async (t) => {
  await using under = await makeSqlite();
  await using store = await under.open();
  const [alice, bob] = [await addPerson(store, 0), await addPerson(store, 1)];
  const row = rowFrom(alice, bob, 1);
  await store.append(row, roomy);
  const told = await store.moveCursor(bob.device, bob.inbox, 1);
  assert.deepEqual(told, [{ account: alice.account, id: row.id }]);
  using reader = new DatabaseSync(under.path, { readOnly: true });
  await t.waitFor(
    () => {
      const found = reader.prepare("SELECT seq, delivered FROM cursors, streams WHERE delivered > 0").get();
      assert.deepEqual({ ...found }, { seq: 1, delivered: 1 });
    },
    { timeout: patience },
  );
});

test("D7: the write-ahead log is brought into the database again and again", async () => {
  await using under = await makeSqlite();
  await using store = await under.open();
  const [alice, bob] = [await addPerson(store, 0), await addPerson(store, 1)];
  const sealed = new Uint8Array(4096);
  const quota = { rows: 1e6, bytes: 1e9, senderRows: 1e6, senderBytes: 1e9 };
  for (let batch = 0; batch < 40; batch++) {
    const counters = Array.from({ length: 100 }, (_, at) => batch * 100 + at + 1);
    await Promise.all(counters.map((n) => store.append({ ...rowFrom(alice, bob, n), sealed }, quota)));
  }
  // 16 MB came; the log begins anew each time that a thousand of its pages, and those of one batch, are in the database.
  const { size } = await stat(`${under.path}-wal`);
  assert.ok(size < 10e6, `${size} bytes of log`);
});

test("D7: an unexpected fault fails its whole batch, and nothing of it is there", async () => {
  await using under = await makeSqlite();
  const broken = new DatabaseSync(under.path);
  broken.exec("DROP TABLE passes");
  broken.close();
  await using store = await under.open();
  const results = await Promise.allSettled([store.replaceSetupLink(null), store.sweep(1)]);
  for (const result of results) {
    assert.ok(result.status === "rejected" && result.reason instanceof SnugError);
    assert.equal(result.reason.code, "internal");
    assert.doesNotMatch(result.reason.message, /passes/);
    assert.match((result.reason.cause as Error).message, /no such table: passes/);
  }
});

test("D7: a full disk is said as such, before anything is acknowledged; other faults stay inside", () => {
  using small = new DatabaseSync(":memory:");
  small.exec("PRAGMA max_page_count=2; CREATE TABLE things (thing BLOB)");
  const fault = (sql: string): string => {
    try {
      small.exec(sql);
      return "none";
    } catch (cause) {
      return faultOf(cause).code;
    }
  };
  assert.equal(fault("INSERT INTO things VALUES (zeroblob(100000))"), "unavailable");
  assert.equal(fault("INSERT INTO nothing VALUES (1)"), "internal");
});

test("P24: a database of a newer schema is refused", async () => {
  await using under = await makeSqlite();
  const newer = new DatabaseSync(under.path);
  newer.exec("PRAGMA user_version=3");
  newer.close();
  assert.throws(
    () => new SqliteStore(under.path),
    (error) => error instanceof StartError && /newer Snug/.test(error.message),
  );
  assert.throws(() => upgradeDatabase(under.path), StartError);
});

test("a writer that could not begin says so, and can be closed long after it has ended", async () => {
  const failed = Promise.withResolvers<unknown>();
  const told = { settle: () => undefined, fail: failed.resolve };
  const writer = openWorker(join(tmpdir(), "snug-nowhere", "snug.db"), told);
  assert.match(String(await failed.promise), /unable to open/);
  await writer.close();
  await writer.close();
});

test("P24: a database of version 1 is brought up to date in one step, and keeps what it has", async () => {
  await using under = await makeSqlite();
  const hash = "A".repeat(43) as Hash;
  const link = { hash, account: null, usesLeft: 1, created: 1, expires: 2 };
  {
    await using store = await under.open();
    await store.replaceSetupLink(link);
  }
  const older = new DatabaseSync(under.path);
  // What version 2 added.
  older.exec("DROP TABLE blocks; PRAGMA user_version=1");
  older.close();
  assert.throws(
    () => new SqliteStore(under.path),
    (error) => error instanceof StartError && /older Snug/.test(error.message),
  );
  upgradeDatabase(under.path);
  upgradeDatabase(under.path);
  await using store = await under.open();
  assert.deepEqual({ ...(await store.invite(hash)) }, link);
  assert.deepEqual(await store.blocks(), []);
});
