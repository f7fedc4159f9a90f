import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { bootServer } from "../../../testing/server.ts";
import { joinRaw, letterTo } from "../../../testing/wire.ts";
import { backUp } from "../src/backup/backUp.ts";
import { restoreBackup } from "../src/backup/restore.ts";
import { startServer } from "../src/server.ts";
import { StartError } from "../src/startError.ts";

const now = Date.UTC(2026, 10, 21, 3);

/** A folder for backups and what is made of them. */
async function place(): Promise<AsyncDisposable & { path(name: string): string }> {
  const folder = await mkdtemp(join(tmpdir(), "snug-backup-"));
  return {
    path: (name) => join(folder, name),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

async function makeBackup(data: string, file: string): Promise<string[]> {
  const shown: string[] = [];
  await backUp({ data, file, now, show: async (key) => void shown.push(key) });
  return shown;
}

async function refuses(what: Promise<unknown>, message: RegExp): Promise<void> {
  await assert.rejects(what, (error) => {
    assert.ok(error instanceof StartError, String(error));
    assert.match(error.message, message);
    assert.doesNotMatch(error.message, /\n/);
    return true;
  });
}

async function modes(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    found[path.slice(folder.length + 1)] = ((await stat(path)).mode & 0o777).toString(8);
  }
  return found;
}

test("D24, D25: a backup of the running server is the server again, with its keys and what was acknowledged by then", async () => {
  await using server = await bootServer();
  await using made = await place();
  const [alice, bob] = [await joinRaw(server, "alice"), await joinRaw(server, "bob")];
  await using wire = await alice.connect();
  const letter = letterTo(bob.inbox, 1);
  const first = await wire.request("submit", letter);
  const [key = "", ...more] = await makeBackup(server.data, made.path("one.age"));
  assert.match(key, /^AGE-SECRET-KEY-1[0-9A-Z]{58}$/);
  assert.deepEqual(more, []);
  await wire.request("submit", letterTo(bob.inbox, 2));

  // One file of its own, in which nothing of the folder can be read; the folder has no secret of it.
  const sealed = await readFile(made.path("one.age"));
  assert.equal((await stat(made.path("one.age"))).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(made.path(".")), ["one.age"]);
  for (const secret of [
    await readFile(join(server.data, "keys", "log.key")),
    Buffer.from("alice"),
    Buffer.from("SQLite format 3"),
    Buffer.from(letter.sealed),
  ]) {
    assert.equal(sealed.indexOf(secret), -1);
  }
  for (const entry of await readdir(server.data, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const bytes = await readFile(join(entry.parentPath, entry.name));
    assert.equal(bytes.indexOf(key), -1, entry.name);
  }
  assert.ok(!(await readdir(server.data)).includes("backup.tmp"));

  const manifest = await restoreBackup({
    file: made.path("one.age"),
    data: made.path("data"),
    identity: `# my key\n${key}\n`,
    now: now + 1,
  });
  assert.deepEqual(manifest, { format: 1, made: now, server: server.serverId });
  const after = await modes(made.path("data"));
  // The lock holds nothing; the command's umask closes it too.
  for (const [name, mode] of Object.entries(after).filter(([path]) => path !== "lock")) {
    assert.equal(mode, ["keys", "tls", "indexes"].includes(name) ? "700" : "600", name);
  }
  assert.ok("keys/log.key" in after && "tls/authority.key" in after && "backup.pub" in after);
  await server.close();

  await using again = await startServer({ ...server.options, data: made.path("data") });
  assert.equal(again.serverId, server.serverId);
  assert.equal(again.fingerprint, server.fingerprint);
  assert.equal(await again.setupLink(), null);
  const back = await bob.connect(again);
  assert.notEqual(back.signedIn.incarnation, bob.incarnation);
  assert.deepEqual(back.signedIn.restored, { at: now + 1, backup: now });
  const { incarnation } = back.signedIn;
  const { head } = await back.request("stream-read", { stream: bob.inbox, incarnation, after: 0 });
  assert.equal(head, 1);
  assert.equal((await back.next("rows")).rows[0]?.rowHash, first.rowHash);
  await back[Symbol.asyncDispose]();
});

test("D24: a folder's later backups, of a server that rests too, are for the same key, which is not shown again", async () => {
  await using server = await bootServer();
  await using made = await place();
  await server.close();
  const [identity = ""] = await makeBackup(server.data, made.path("one.age"));
  assert.deepEqual(await makeBackup(server.data, made.path("two.age")), []);
  for (const name of ["one", "two"]) {
    await restoreBackup({ file: made.path(`${name}.age`), data: made.path(name), identity, now });
  }
  // A restored folder is backed up for the key that it came from.
  assert.deepEqual(await makeBackup(made.path("one"), made.path("three.age")), []);
});

test("D24: what can't be shown or written leaves no key behind and no half of a backup", async () => {
  await using server = await bootServer();
  await using made = await place();
  const file = made.path("one.age");
  const show = (): Promise<void> => Promise.reject(new Error("nobody reads this"));
  await assert.rejects(backUp({ data: server.data, file, now, show }), /nobody reads this/);
  assert.ok(!(await readdir(server.data)).includes("backup.pub"));
  await refuses(makeBackup(server.data, file), /exists already/);
  await refuses(makeBackup(server.data, made.path("no/where.age")), /where\.age can't be written/);
  await refuses(makeBackup(made.path("nothing"), made.path("two.age")), /no Snug data folder/);
  assert.deepEqual(await readdir(made.path(".")), ["one.age"]);
  assert.deepEqual(
    (await readdir(server.data)).filter((name) => name.startsWith("backup.") && name !== "backup.lock"),
    [],
  );
});

test("D25: a backup that is damaged, cut off, another's or no backup is refused, and nothing is made of it", async () => {
  await using server = await bootServer();
  await using made = await place();
  const file = made.path("one.age");
  const [identity = ""] = await makeBackup(server.data, file);
  const whole = await readFile(file);
  const restore = (of: Partial<Parameters<typeof restoreBackup>[0]> = {}): Promise<unknown> =>
    restoreBackup({ file: made.path("bad.age"), data: made.path("data"), identity, now, ...of });
  const chunk = 65_552;
  for (const end of [0, 10, 150, 1000, chunk + 200, whole.length - chunk, whole.length - 1]) {
    await writeFile(made.path("bad.age"), whole.subarray(0, end));
    await refuses(restore(), /damaged/);
  }
  for (const at of [0, 60, 200, 300, 70_000, whole.length - 1]) {
    const changed = Buffer.from(whole);
    changed[at] = (changed[at] ?? 0) ^ 4;
    await writeFile(made.path("bad.age"), changed);
    await refuses(restore(), /backup/);
  }
  await refuses(restore({ file: made.path("none.age") }), /none\.age can't be read \(ENOENT\)/);
  await refuses(restore({ file, identity: "no key" }), /not a backup key/);
  await mkdir(made.path("full"));
  await writeFile(made.path("full/something"), "");
  await refuses(restore({ file, data: made.path("full") }), /not empty/);
  await refuses(restore({ file, data: server.data }), /not empty/);
  await refuses(restore({ file, data: join(file, "below") }), /below/);
  assert.deepEqual((await readdir(made.path("."))).sort(), ["bad.age", "full", "one.age"]);
  await mkdir(made.path("empty"));
  await restore({ file, data: made.path("empty") });
});
