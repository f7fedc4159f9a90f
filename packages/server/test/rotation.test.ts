import assert from "node:assert/strict";
import { once } from "node:events";
import { readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { generateLogKey, openCheckpoint } from "@snug/crypto/identity";
import { decodeInviteLink, type Ed25519Public } from "@snug/protocol";
import { requestLogKeyRotation, startServer } from "@snug/server";
import { type BootedServer, bootServer } from "../../../testing/server.ts";
import { directoryOver } from "../../../testing/statements.ts";
import { joinRaw } from "../../../testing/wire.ts";
import { DirectoryLog } from "../src/directoryLog.ts";
import { readLogKeys, stageLogKey } from "../src/logKey.ts";
import { SqliteStore } from "../src/store/sqliteStore.ts";

const keysOf = (server: BootedServer): string => join(server.data, "keys");
const currentOf = (server: BootedServer): Promise<Buffer> => readFile(join(keysOf(server), "log.key"));
/** The server's key in office, as its next setup link names it; there is no administrator in these servers. */
async function inOffice(server: { setupLink(): Promise<string | null> }): Promise<Ed25519Public> {
  return decodeInviteLink((await server.setupLink()) ?? "").logKey;
}

/** A rotation that is cut short once its leaf is durable: the files are as they were before. */
async function rotateWithoutSettling(server: BootedServer): Promise<Ed25519Public> {
  await using store = new SqliteStore(join(server.data, "snug.db"));
  const log = await DirectoryLog.open(store, await readLogKeys(keysOf(server)));
  const stage = (): ReturnType<typeof stageLogKey> => stageLogKey(keysOf(server));
  return await log.rotate({ stage, settle: async () => undefined, now: 1 });
}

test("I28: a running server changes its log key, pushes the leaf, and signs by the new key from then on, over restarts", async () => {
  await using server = await bootServer();
  const alice = await joinRaw(server, "alice");
  await using wire = await alice.connect();
  const before = await currentOf(server);
  const next = await requestLogKeyRotation(server.data);
  const { checkpoint } = await wire.next("directory");
  const by = { server: server.serverId, logPublic: next };
  assert.equal((await openCheckpoint(checkpoint, by)).size, 2);
  assert.notDeepEqual(await currentOf(server), before);
  assert.deepEqual((await readdir(keysOf(server))).sort(), ["log.key", "log.pub"]);
  assert.equal((await stat(join(keysOf(server), "log.key"))).mode & 0o777, 0o600);
  const third = await requestLogKeyRotation(server.data);
  await server.close();
  await using again = await startServer(server.options);
  assert.equal(again.serverId, server.serverId);
  await using later = await alice.connect(again);
  const { size, logKeys } = await directoryOver(again, later);
  assert.deepEqual([size, logKeys.map(({ key }) => key)], [3, [next, third]]);
  const opened = await openCheckpoint(later.signedIn.checkpoint, { ...by, logPublic: third });
  assert.equal(opened.size, 3);
});

test("P40 I28: a folder that no server runs on takes a new log key too; two at once take turns", async () => {
  await using server = await bootServer();
  const keys = await Promise.all([requestLogKeyRotation(server.data), requestLogKeyRotation(server.data)]);
  const { x } = await inOffice(server);
  assert.equal(new Set(keys.map((key) => key.x)).size, 2);
  assert.ok(keys.some((key) => key.x === x));
  await server.close();
  const last = await requestLogKeyRotation(server.data);
  await using again = await startServer(server.options);
  assert.deepEqual(await inOffice(again), last);
  assert.equal(again.serverId, server.serverId);
});

test("P40 I28: killed before the leaf is durable, the server starts with the former key, and the staged one is gone", async () => {
  await using server = await bootServer();
  const former = await inOffice(server);
  await server.close();
  const { pkcs8 } = await generateLogKey();
  // Whole, and cut short in the middle of its writing.
  for (const staged of [pkcs8, pkcs8.slice(0, 20), new Uint8Array()]) {
    await writeFile(join(keysOf(server), "log.key.next"), staged);
    const again = await startServer(server.options);
    assert.deepEqual(await inOffice(again), former);
    assert.deepEqual((await readdir(keysOf(server))).sort(), ["log.key", "log.pub"]);
    await again.close();
  }
});

test("P40 I28: killed after the leaf is durable, or while the former key is overwritten, the server starts with the new key", async () => {
  await using server = await bootServer();
  const { serverId } = server;
  await server.close();
  for (const former of ["whole", "half erased", "erased"] as const) {
    const next = await rotateWithoutSettling(server);
    const before = await currentOf(server);
    const kept = former === "whole" ? before.length : former === "erased" ? 0 : 20;
    if (former !== "whole") {
      const erased = Buffer.alloc(before.length);
      before.copy(erased, before.length - kept, before.length - kept);
      await writeFile(join(keysOf(server), "log.key"), erased);
    }
    const again = await startServer(server.options);
    assert.deepEqual(await inOffice(again), next, former);
    assert.equal(again.serverId, serverId);
    assert.deepEqual((await readdir(keysOf(server))).sort(), ["log.key", "log.pub"]);
    assert.notDeepEqual(await currentOf(server), before);
    await again.close();
  }
});

test("P40: without the key in office the server does not start, and says which folder it is about", async () => {
  await using server = await bootServer();
  await server.close();
  const former = await currentOf(server);
  await requestLogKeyRotation(server.data);
  const path = join(keysOf(server), "log.key");
  await writeFile(path, former);
  await assert.rejects(startServer(server.options), {
    name: "StartError",
    message: /names another log key than the one in the data folder's keys/,
  });
  await rm(path);
  await assert.rejects(startServer(server.options), { name: "StartError", message: /log key in .*keys/ });
});

test("P40: while an earlier change has left its key, a running server refuses another and goes on", async () => {
  await using server = await bootServer();
  const former = await inOffice(server);
  await writeFile(join(keysOf(server), "log.key.next"), "left");
  await assert.rejects(requestLogKeyRotation(server.data), {
    name: "StartError",
    message: "an earlier change of the log key was cut short; restart the server first",
  });
  assert.deepEqual(await inOffice(server), former);
});

test("P41: the control socket answers known commands only, one line at most, to who may open the folder", async () => {
  await using server = await bootServer();
  const former = await inOffice(server);
  const ask = async (text: string): Promise<string> => {
    const socket = connect(join(server.data, "control.sock"));
    let said = "";
    socket.on("data", (piece) => {
      said += piece.toString();
    });
    const closed = once(socket, "close");
    socket.write(text);
    await closed;
    return said;
  };
  for (const text of ["constructor\n", "rotate-log-key \n", "x".repeat(4096), "\n"]) {
    assert.equal(await ask(text), "", text);
  }
  assert.deepEqual(await inOffice(server), former);
  assert.equal((await stat(server.data)).mode & 0o077, 0);
  // A closing server does not wait for who only connects.
  const silent = connect(join(server.data, "control.sock"));
  await once(silent, "connect");
  const gone = once(silent, "close");
  await server.close();
  await gone;
});
