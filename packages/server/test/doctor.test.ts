import assert from "node:assert/strict";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import { bootServer } from "../../../testing/server.ts";
import { checkCertificate, judgeCertificate } from "../src/doctor/certificate.ts";
import { checkDatabase, checkDisk, findDataFolder, judgeDisk, judgeSpace } from "../src/doctor/dataFolder.ts";
import { checks, type Finding } from "../src/doctor/finding.ts";
import { examine } from "../src/doctor/index.ts";
import { checkClock, checkDescriptors, checkMemory, checkNode } from "../src/doctor/machine.ts";
import { checkName, checkPort } from "../src/doctor/network.ts";
import { findFolder } from "../src/folder.ts";
import { openOwnIdentity } from "../src/tls/authority.ts";

const day = 24 * 3_600_000;
const megabyte = 1024 * 1024;

/** The verdict is this, the fact says that, and what is not well says what to do. */
function says(finding: Finding, verdict: Finding["verdict"], words: RegExp): void {
  const advice = "advice" in finding ? finding.advice : "";
  assert.equal(finding.verdict, verdict, finding.fact);
  assert.match(`${finding.fact} → ${advice}`, words);
  assert.equal(verdict === "ok", advice === "");
}

async function temporaryFolder(): Promise<AsyncDisposable & { path(...names: string[]): string }> {
  const folder = await mkdtemp(join(tmpdir(), "snug-doctor-"));
  return {
    path: (...names) => join(folder, ...names),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

/** A data folder that a server has made and left. */
async function leftFolder() {
  const folder = await temporaryFolder();
  const server = await bootServer({ data: folder.path("data") });
  await server[Symbol.asyncDispose]();
  return { ...folder, data: folder.path("data") };
}

async function madeAt<T>({ mock }: TestContext, now: number, act: () => Promise<T>): Promise<T> {
  const clock = mock.method(Date, "now", () => now);
  try {
    return await act();
  } finally {
    clock.mock.restore();
  }
}

test("O30: the machine: Node, memory, open files, clock", ({ mock }) => {
  says(checkNode("26.10.0"), "ok", /26/);
  says(checkNode("20.1.0"), "fail", /Node 20\.1\.0 → .*25/);
  says(checkMemory(100 * megabyte), "fail", /100 MB/);
  says(checkMemory(300 * megabyte), "warn", /300 MB/);
  says(checkMemory(2000 * megabyte), "ok", /2000 MB/);
  says(checkDescriptors(100), "fail", /LimitNOFILE/);
  says(checkDescriptors(1024), "warn", /1024 files.*LimitNOFILE/);
  says(checkDescriptors(undefined), "ok", /not known/);
  says(checkClock({ synchronized: true, behind: 0 }), "ok", /; synchronised/);
  says(checkClock({ synchronized: false, behind: 0 }), "warn", /not synchronised → timedatectl/);
  says(checkClock({ synchronized: true, behind: 3_600_000 }), "fail", /3600 s later → set the clock/);
  mock.method(Date, "now", () => 3_600_000);
  says(checkClock({ synchronized: false, behind: 0 }), "fail", /1970-01-01T01:00.* not set → set it/);
});

test("O30: the folder: not Snug's, newer, open to others", async () => {
  await using folder = await leftFolder();
  const verdict = async (): Promise<Finding> => (await findDataFolder(folder.data)).finding;
  says(await verdict(), "ok", /no server is running/);
  says((await findDataFolder(folder.path("new", "deep"))).finding, "ok", /first start/);
  await chmod(folder.data, 0o755);
  says(await verdict(), "warn", /look into .* → chmod/);
  await chmod(join(folder.data, "keys", "log.key"), 0o644);
  says(await verdict(), "fail", /can read .*log\.key → chmod/);
  await writeFile(join(folder.data, "version"), "999\n");
  says(await verdict(), "fail", /newer Snug/);
  await writeFile(folder.path("file"), "");
  says((await findDataFolder(folder.path("file"))).finding, "fail", /is a file/);
  await mkdir(folder.path("other"));
  await writeFile(folder.path("other", "thesis.txt"), "");
  says((await findDataFolder(folder.path("other"))).finding, "fail", /not a Snug data folder/);
});

test("O30: the disk: full, slow, in memory, not to be written", async () => {
  says(judgeSpace(50 * megabyte), "fail", /50 MB are free/);
  says(judgeSpace(500 * megabyte), "warn", /500 MB/);
  says(judgeSpace(5000 * megabyte), "ok", /5000 MB/);
  says(judgeDisk({ took: [40, 40, 40], inMemory: false }), "warn", /^25 writes a second .* 40\.0 ms → .*SSD/);
  says(judgeDisk({ took: [1, 1], inMemory: false }), "ok", /^1000 writes/);
  says(judgeDisk({ took: [0.01], inMemory: true }), "fail", /tmpfs/);
  await using folder = await temporaryFolder();
  // Whatever disk this is, it was tried, and the file is gone.
  assert.match((await checkDisk(folder.path())).fact, /writes a second|memory/);
  says(await checkDisk("/proc/self"), "fail", /can't be written and fsynced \(E/);
});

test("O30: the database: whole, damaged, no database", async () => {
  await using folder = await leftFolder();
  const paths = await findFolder(folder.data);
  says(checkDatabase(paths), "ok", /whole/);
  {
    // Pages that are still in the WAL take the place of damaged ones.
    using database = new DatabaseSync(paths.database);
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  }
  const { length } = await readFile(paths.database);
  const file = await open(paths.database, "r+");
  await file.write(Buffer.alloc(2048, 0xa5), 0, 2048, 4096 + 8);
  await file.close();
  says(checkDatabase(paths), "fail", /damaged|can't be read.*→ .*backup/);
  await writeFile(paths.database, Buffer.alloc(length, 7));
  says(checkDatabase(paths), "fail", /can't be read.*→ .*backup/);
});

test("O30: the certificate: missing, foreign key, ended, not begun, ending, for another name", async (t) => {
  await using folder = await leftFolder();
  const paths = await findFolder(folder.data);
  await mkdir(folder.path("acme"));
  const files = { cert: join(paths.tls, "server.crt"), key: join(paths.tls, "server.key") };
  const found = async (of: Partial<Parameters<typeof checkCertificate>[0]>): Promise<Finding> =>
    (await checkCertificate({ paths, files: undefined, name: undefined, ...of })).finding;
  says(await found({}), "ok", /Snug authority .* \(39\d days\)/);
  says(await found({ paths: undefined }), "ok", /first start/);
  says(await found({ name: "localhost" }), "ok", /for localhost/);
  says(await found({ name: "home.example" }), "warn", /not for home\.example → .*new authority/);
  await madeAt(t, Date.now() + 9.5 * 365 * day, async () => {
    await openOwnIdentity(paths.tls, ["localhost"]);
    says(await found({}), "warn", /authority ends .* → .*tls\/authority.*fingerprint/);
  });
  await openOwnIdentity(paths.tls, ["localhost"]);
  says(await found({ files, name: "home.example" }), "fail", /not for home\.example/);
  says(await found({ files: { ...files, key: join(paths.tls, "authority.key") } }), "fail", /are not a PEM/);
  const { cert } = await openOwnIdentity(paths.tls, ["localhost"]);
  const at = async (now: number, renewedBy: "you" | "the server"): Promise<Finding> =>
    madeAt(t, Date.now() + now * day, async () => judgeCertificate({ cert, name: undefined, renewedBy }));
  says(await at(400, "the server"), "fail", /→ start the server/);
  says(await at(400, "you"), "fail", /→ renew it/);
  says(await at(390, "you"), "warn", /→ see that your renewal works/);
  says(await at(390, "the server"), "ok", /Snug authority/);
  says(await at(-1, "you"), "fail", /begins .* → look at the clock/);
  const acme = await openOwnIdentity(folder.path("acme"), ["home.example"]);
  await writeFile(join(paths.tls, "acme.crt"), acme.cert);
  says(await found({ name: "home.example" }), "ok", /for home\.example/);
  await rm(files.cert);
  says(await found({}), "warn", /there is none in/);
});

test("O30: the port: free, taken and by whom, ours, not this computer's", async () => {
  await using taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address() as { port: number };
  const at = { host: "127.0.0.1", port };
  says(await checkPort({ ...at, runsHere: false }), "fail", new RegExp(`port ${port} is taken by .*--port`));
  if (process.platform === "linux") {
    says(await checkPort({ ...at, runsHere: false }), "fail", new RegExp(`\\(process ${process.pid}\\)`));
  }
  says(await checkPort({ ...at, runsHere: true }), "ok", /a server runs on the data folder/);
  await taken[Symbol.asyncDispose]();
  says(await checkPort({ ...at, runsHere: false }), "ok", /is free/);
  says(await checkPort({ ...at, runsHere: true }), "warn", /--port/);
  says(await checkPort({ host: "192.0.2.7", port: 0, runsHere: false }), "fail", /EADDRNOTAVAIL.*--host/);
});

test("O30: the name: none, no address, not started, nothing answers, another server, this one", async () => {
  await using server = await bootServer();
  await using other = await temporaryFolder();
  const cert = await readFile(join(server.data, "tls", "server.crt"), "utf8");
  const at = { name: "localhost", port: server.port, running: true, cert };
  says(await checkName({ ...at, name: undefined }), "ok", /no --name/);
  // A label of 64 letters: no resolver even asks.
  says(await checkName({ ...at, name: `${"a".repeat(64)}.example` }), "fail", /has no address/);
  says(await checkName({ ...at, running: false }), "warn", /→ start the server/);
  says(await checkName(at), "ok", /127\.0\.0\.1.* this computer; this server answers/);
  const identity = await openOwnIdentity(other.path(), ["localhost"]);
  await using foreign = createTlsServer({ cert: identity.cert, key: identity.key }).listen(0, "127.0.0.1");
  await once(foreign, "listening");
  const { port } = foreign.address() as { port: number };
  says(await checkName({ ...at, port }), "warn", /another certificate → .*--trust-proxy/);
  await foreign[Symbol.asyncDispose]();
  says(await checkName({ ...at, port }), "fail", /nothing answers on port .* → .*firewall/);
});

test("O30: beside a running server everything is looked at, once and in order, and nothing is left behind", async () => {
  await using server = await bootServer();
  const { data, port } = server;
  const found = await Array.fromAsync(examine({ data, host: "127.0.0.1", port, name: "localhost" }));
  assert.deepEqual(
    found.map(({ check }) => check),
    checks,
  );
  const failed = found.filter(
    ({ verdict, check }) => verdict === "fail" && check !== "disk" && check !== "space",
  );
  assert.deepEqual(failed, []);
  for (const check of ["folder", "database", "certificate", "port", "name"]) {
    assert.equal(found.find((finding) => finding.check === check)?.verdict, "ok", check);
  }
});
