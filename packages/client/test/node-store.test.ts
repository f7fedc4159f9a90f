import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { promisify } from "node:util";
import { openNodeStore } from "@snug/client/node";
import { storeContract } from "./store-contract.ts";

async function home(): Promise<{ path: string } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), "snug-store-"));
  return {
    path: join(folder, "home"),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

for (const { title, run } of storeContract) {
  test(`${title} (SQLite)`, async () => {
    await using at = await home();
    await run({ open: () => openNodeStore(at.path) });
  });
}

test("C1: a second process is refused with words, and the first works on", async () => {
  await using at = await home();
  await using store = await openNodeStore(at.path);
  await store.commit([{ table: "a", key: "k", value: new Uint8Array([1]) }]);
  const script = `
    const { openNodeClient } = await import("@snug/client/node");
    try { await openNodeClient({ home: process.argv[1] }); console.log("opened"); }
    catch (error) { console.log(error.code + ": " + error.message); }`;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--input-type=module", "-e", script, at.path],
    {
      cwd: import.meta.dirname,
    },
  );
  assert.equal(stdout.trim(), "conflict: another snug uses this home; end it first, or name another home");
  await store.commit([{ table: "a", key: "l", value: new Uint8Array([1]) }]);
});

test("C26: nobody but the owner enters the folder or reads the keys", async () => {
  await using at = await home();
  await using store = await openNodeStore(at.path);
  assert.equal((await stat(at.path)).mode & 0o777, 0o700);
  const raw = new Uint8Array([1]);
  await store.saveKeys({} as never, { signing: raw, encryption: [], device: raw });
  assert.equal((await stat(join(at.path, "keys"))).mode & 0o777, 0o600);
});

test("C26: what was erased is not left in the files", async () => {
  await using at = await home();
  await using store = await openNodeStore(at.path);
  const secret = "a-recovery-code-of-somebody";
  await store.commit([{ table: "join", key: "join", value: new TextEncoder().encode(secret) }]);
  const found = async () => {
    const files = await readdir(at.path);
    const contents = await Promise.all(files.map((file) => readFile(join(at.path, file), "latin1")));
    return contents.some((content) => content.includes(secret));
  };
  assert.equal(await found(), true);
  await store.erase();
  assert.equal(await found(), false);
});

test("C25: a home of a newer version is refused as it is", async () => {
  await using at = await home();
  await (await openNodeStore(at.path))[Symbol.asyncDispose]();
  const database = new DatabaseSync(join(at.path, "client.db"));
  database.exec("PRAGMA user_version = 99");
  database.close();
  await assert.rejects(openNodeStore(at.path), { code: "upgrade", message: /store version 99/ });
});

test("C25: a home that can't be made is refused at once", {
  skip: process.platform !== "linux",
}, async () => {
  await assert.rejects(openNodeStore("/proc/snug/home"), {
    name: "StoreError",
    message: /^the folder .+ can't be a home \(ENOENT/,
  });
});
