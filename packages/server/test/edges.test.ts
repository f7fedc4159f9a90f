import assert from "node:assert/strict";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { connect as connectTls } from "node:tls";
import { gzipSync } from "node:zlib";
import {
  closeCodes,
  decodeInviteLink,
  encodeCbor,
  encodeRequest,
  limits,
  protocolVersion,
  socketPath,
  subprotocol,
} from "@snug/protocol";
import { WebSocket } from "ws";
import { ended } from "../../../testing/ended.ts";
import { type BootedServer, bootServer } from "../../../testing/server.ts";
import { joinRaw, sees, Wire } from "../../../testing/wire.ts";
import { StartError, startServer } from "../src/index.ts";
import { refused } from "./refused.ts";

/** A GET over the server's port with any headers; a Host other than the peer's cannot be given to fetch. */
async function get(
  server: BootedServer,
  path: string,
  headers: Record<string, string> = {},
): Promise<IncomingMessage & { text: string }> {
  const request = httpRequest({ host: "127.0.0.1", port: server.port, path, headers }).end();
  const [answer] = (await once(request, "response")) as [IncomingMessage];
  let text = "";
  for await (const chunk of answer.setEncoding("utf8")) text += chunk;
  return Object.assign(answer, { text });
}

async function trustedAuthority(server: BootedServer): Promise<string> {
  return (await get(server, "/authority.crt")).text;
}

async function statusOfUpgrade(
  server: BootedServer,
  headers: Record<string, string>,
  protocols = subprotocol,
): Promise<number> {
  const socket = new WebSocket(`ws://127.0.0.1:${server.port}${socketPath}`, protocols, { headers });
  socket.on("error", () => socket.terminate());
  const status = await Promise.race([
    once(socket, "open").then(() => 101),
    once(socket, "unexpected-response").then(([, answer]) => (answer as IncomingMessage).statusCode ?? 0),
  ]);
  socket.terminate();
  return status;
}

test("P1 P25: one port speaks HTTP and HTTPS; the authority vouches for the leaf by every name", async () => {
  await using server = await bootServer({ name: "snug.example" });
  assert.equal(server.url, `https://snug.example:${server.port}`);
  const ca = await trustedAuthority(server);
  for (const servername of ["localhost", "snug.example"]) {
    const socket = connectTls({
      host: "127.0.0.1",
      port: server.port,
      ca,
      servername,
      minVersion: "TLSv1.3",
    });
    await once(socket, "secureConnect");
    assert.equal(socket.getPeerX509Certificate()?.issuerCertificate?.fingerprint256, server.fingerprint);
    socket.end(`GET / HTTP/1.1\r\nHost: ${servername}\r\nConnection: close\r\n\r\n`);
    await ended(socket);
  }
});

test("P6 P17 R18: silence, slow headers and slow handshakes are cut off, on both schemes", async () => {
  await using server = await bootServer();
  const ca = await trustedAuthority(server);
  const plain = (): Socket => connect(server.port, "127.0.0.1");
  const silent = plain();
  const slow = plain();
  slow.write("GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow:");
  const handshake = plain();
  handshake.write(new Uint8Array([0x16, 3, 1]));
  const slowTls = connectTls({ host: "127.0.0.1", port: server.port, ca, servername: "localhost" });
  slowTls.write("GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow:");
  const wire = await Wire.open(server);
  const start = performance.now();
  await Promise.all([ended(silent), ended(slow), ended(handshake), ended(slowTls), wire.closed]);
  assert.equal(await wire.closed, closeCodes.tooSlowToSignIn);
  // Node's own patience with headers and handshakes is a minute and two.
  assert.ok(performance.now() - start < limits.authenticate + 40_000);
});

test("P2: plain HTTP is the whole app only from this computer by a loopback name, without a forwarding header", async () => {
  await using server = await bootServer({ name: "snug.example" });
  const whole = async (headers: Record<string, string>): Promise<boolean> => {
    const { text } = await get(server, "/api/library", headers);
    return !text.includes("Prepare this device");
  };
  assert.equal(await whole({ host: `localhost:${server.port}` }), true);
  assert.equal(await whole({ host: "127.0.0.1" }), true);
  assert.equal(await whole({ host: "snug.example" }), false);
  assert.equal(await whole({ host: "localhost", "x-forwarded-for": "192.0.2.1" }), false);
  for (const name of ["forwarded", "via", "x-real-ip", "x-forwarded-port", "X-Forwarded-Server"]) {
    assert.equal(await whole({ host: "localhost", [name]: "192.0.2.1" }), false, name);
  }
  const page = await get(server, "/join", { host: "snug.example" });
  assert.ok(page.text.includes(`https://snug.example:${server.port}`));
  assert.ok(!page.text.includes(server.fingerprint) && !page.text.includes(server.serverId));
  assert.equal((await get(server, "/authority.crt", { host: "snug.example" })).statusCode, 200);
  assert.equal(await statusOfUpgrade(server, { host: "snug.example" }), 403);
});

test("P2: a trusted proxy speaks for its visitors, anybody else does not", async () => {
  await using server = await bootServer({ name: "snug.example", trustProxy: ["127.0.0.1"] });
  const headers = { host: "snug.example", "x-forwarded-for": "192.0.2.1" };
  assert.equal(
    (await get(server, "/api/library", { ...headers, "x-forwarded-proto": "https" })).statusCode,
    401,
  );
  assert.equal(
    (await get(server, "/api/library", { ...headers, "x-forwarded-proto": "http" })).statusCode,
    200,
  );
  assert.equal(server.url, "https://snug.example");
  const link = decodeInviteLink((await server.setupLink()) ?? "");
  assert.deepEqual(link.addresses, [server.localUrl, "https://snug.example"]);
  assert.equal(link.authority, null, "a public authority vouches for the proxy");
  await using untrusting = await bootServer({ name: "snug.example" });
  const answer = await get(untrusting, "/api/library", { ...headers, "x-forwarded-proto": "https" });
  assert.ok(answer.text.includes("Prepare this device"));
});

test("P3: another Host or Origin is turned away from every request and upgrade", async () => {
  await using server = await bootServer();
  const host = `localhost:${server.port}`;
  assert.equal((await get(server, "/", { host: "evil.example" })).statusCode, 421);
  assert.equal((await get(server, "/", { host: "localhost.evil.example" })).statusCode, 421);
  assert.equal((await get(server, "/authority.crt", { host: "evil.example" })).statusCode, 421);
  for (const origin of ["https://evil.example", "null", `https://${host}`, "http://localhost:1"]) {
    assert.equal((await get(server, "/api/library", { host, origin })).statusCode, 403, origin);
    assert.equal(await statusOfUpgrade(server, { host, origin }), 403, origin);
  }
  assert.equal((await get(server, "/api/library", { host, origin: `http://${host}` })).statusCode, 401);
  assert.equal(await statusOfUpgrade(server, { host, origin: `http://${host}` }), 101);
  assert.equal(await statusOfUpgrade(server, { host: "evil.example" }), 421);
  assert.equal(await statusOfUpgrade(server, { host }, "other.1"), 400);
});

test("P3: two Host headers, and a target that names a host of its own, are refused", async () => {
  await using server = await bootServer();
  const statusOf = async (head: string): Promise<string> => {
    const socket = connect(server.port, "127.0.0.1");
    socket.write(`${head}\r\nConnection: close\r\n\r\n`);
    const [first] = (await once(socket, "data")) as [Buffer];
    await ended(socket);
    return first.toString("latin1").split(" ")[1] ?? "";
  };
  const upgrade =
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==";
  const socketHead = `GET ${socketPath} HTTP/1.1\r\nSec-WebSocket-Protocol: ${subprotocol}\r\n${upgrade}`;
  assert.equal(await statusOf("GET /healthz HTTP/1.1\r\nHost: localhost"), "200");
  assert.equal(await statusOf("GET /healthz HTTP/1.1\r\nHost: localhost\r\nhost: localhost"), "400");
  assert.equal(await statusOf("GET /healthz HTTP/1.1\r\nHost: localhost\r\nHOST: evil.example"), "400");
  assert.equal(await statusOf("GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost"), "400");
  assert.equal(await statusOf("OPTIONS * HTTP/1.1\r\nHost: localhost"), "400");
  assert.equal(await statusOf(`${socketHead}\r\nHost: localhost\r\nHost: evil.example`), "400");
});

test("R11 R12 P7: strangers get one answer, whether a thing exists or not", async () => {
  await using server = await bootServer();
  const alice = await joinRaw(server, "alice");
  const bob = await joinRaw(server, "bob");
  const id = "AAAAAAAAAAAAAAAAAAAAAA";
  for (const path of ["/api/library", `/api/titles/${id}`, "/api/titles/no"]) {
    const answer = await get(server, path, { host: "localhost" });
    assert.deepEqual(
      [answer.statusCode, answer.text],
      [401, '{"code":"unauthenticated","message":"sign in first"}'],
    );
  }
  const paths = [
    "/m/x",
    `/m/me/${id}/x/master.m3u8`,
    `/m/${id}/${id}/x/v0/1.m4s`,
    "/none",
    "/../x",
    "/assets/%2e%2e/x",
  ];
  const answers = await Promise.all(paths.map((path) => get(server, path, { host: "localhost" })));
  for (const answer of answers) assert.deepEqual([answer.statusCode, answer.text], [404, answers[0]?.text]);
  // Signing in as somebody who is not here, or as somebody else's device.
  const strangers = [
    { account: alice.account, device: bob.created.device },
    {
      account: bob.account.replace(/^./, (first) => (first === "A" ? "B" : "A")) as typeof bob.account,
      device: bob.created.device,
    },
    { account: alice.account, device: alice.created.device },
  ];
  for (const stranger of strangers) {
    await using wire = await Wire.open(server);
    const signature = new Uint8Array(64);
    const message = "unknown account or device, or its signature does not fit";
    const answer = wire.request("sign-in", { version: protocolVersion, ...stranger, signature });
    await refused({ code: "unauthenticated", message }, answer);
    assert.equal(await wire.closed, closeCodes.unauthenticated);
  }
});

test("P5: another version is answered with upgrade; anything before signing in with unauthenticated", async () => {
  await using server = await bootServer();
  const alice = await joinRaw(server, "alice");
  const { account, created } = alice;
  await using newer = await Wire.open(server);
  const signature = new Uint8Array(64);
  const body = { version: 2, account, device: created.device, signature };
  await refused({ code: "upgrade" }, newer.request("sign-in", body));
  await using early = await Wire.open(server);
  await refused({ code: "unauthenticated" }, early.request("directory-read", { from: 0 }));
});

test("P9 R4: what is no request closes the connection; a request that is not of its form gets an error", async () => {
  await using server = await bootServer();
  const alice = await joinRaw(server, "alice");
  const garbage: readonly (readonly [string, Uint8Array | string, number])[] = [
    ["text", "hello", closeCodes.malformed],
    ["empty", new Uint8Array(), closeCodes.malformed],
    ["a length of 4 GiB", new Uint8Array([0x5a, 0xff, 0xff, 0xff, 0xff]), closeCodes.malformed],
    ["not a request", encodeCbor(["request", 1]), closeCodes.malformed],
    ["a frame too large", new Uint8Array(limits.frame + 1), 1009],
  ];
  for (const [what, bytes, code] of garbage) {
    await using wire = await alice.connect();
    wire.socket.send(bytes);
    assert.equal(await wire.closed, code, what);
  }
  const whole = encodeRequest({ number: 1, name: "directory-read", body: { from: 0 } });
  for (let length = 0; length < whole.length; length++) {
    await using wire = await alice.connect();
    wire.socket.send(whole.subarray(0, length));
    assert.equal(await wire.closed, closeCodes.malformed, `cut after ${length} bytes`);
  }
  await using wire = await alice.connect();
  const request = wire.request.bind(wire) as (name: string, body: unknown) => Promise<unknown>;
  await refused({ code: "malformed" }, request("no-such-thing", {}));
  await refused({ code: "malformed" }, request("join", {}));
  await refused({ code: "malformed" }, request("directory-read", { from: -1 }));
  await refused({ code: "malformed" }, request("directory-read", { from: 0, more: 1 }));
  assert.equal((await wire.request("directory-read", { from: 0 })).entries.length, 1);
});

test("R1 R2 P8: a frame split over many TCP segments, and many frames in one, are the same requests", async () => {
  await using server = await bootServer();
  const alice = await joinRaw(server, "alice");
  await using wire = await alice.connect();
  const raw = (wire.socket as unknown as { _socket: Socket })._socket;
  const write = raw.write.bind(raw);
  raw.setNoDelay(true);
  raw.write = ((chunk: Uint8Array) =>
    [...chunk].every((byte) => write(new Uint8Array([byte])))) as typeof raw.write;
  assert.equal((await wire.request("directory-read", { from: 0 })).size, 1);
  raw.write = write as typeof raw.write;
  const many = await Promise.all(
    Array.from({ length: 300 }, () => wire.request("directory-read", { from: 0 })),
  );
  assert.equal(many.length, 300);
});

test("P16 R10: the same device connecting again replaces the older connection; presence does not flicker", async () => {
  await using server = await bootServer();
  const [alice, bob] = [await joinRaw(server, "alice"), await joinRaw(server, "bob")];
  await using watcher = await alice.connect();
  await using older = await bob.connect();
  await sees(watcher, bob, true);
  await using newer = await bob.connect();
  assert.equal(await older.closed, closeCodes.replaced);
  assert.equal((await newer.request("directory-read", { from: 0 })).size, 2);
  assert.equal((await watcher.request("directory-read", { from: 0 })).size, 2);
  assert.equal(watcher.waiting("presence"), 0);
});

test("P26: the app's answers carry its policy; the bundle is served from a map of known files", async () => {
  await using other = await bootServer();
  const web = join(other.data, "..", "web");
  await mkdir(join(web, "assets"), { recursive: true });
  await writeFile(join(web, "index.html"), "<!doctype html><title>Snug</title>");
  const code = `${"// code ".repeat(300)}\n`;
  await writeFile(join(web, "assets", "app-1.js"), code);
  await writeFile(join(web, "assets", "app-1.js.gz"), gzipSync(code));
  await using server = await bootServer({ web });
  const host = "localhost";
  for (const path of ["/", "/join", "/index.html"]) {
    const page = await get(server, path, { host });
    assert.equal(page.text, "<!doctype html><title>Snug</title>");
    assert.match(
      String(page.headers["content-security-policy"]),
      /^default-src 'none'; .*trusted-types snug$/,
    );
    assert.deepEqual(
      ["x-content-type-options", "referrer-policy", "cross-origin-opener-policy", "cache-control"].map(
        (name) => page.headers[name],
      ),
      ["nosniff", "no-referrer", "same-origin", "no-cache"],
    );
  }
  const asset = await get(server, "/assets/app-1.js", { host, "accept-encoding": "gzip" });
  assert.deepEqual(
    [asset.headers["content-encoding"], asset.headers["cache-control"]],
    ["gzip", "public, max-age=31536000, immutable"],
  );
  for (const takes of [{}, { "accept-encoding": "br" }, { "accept-encoding": "gzip;q=0, *" }]) {
    const plain = await get(server, "/assets/app-1.js", { host, ...takes });
    assert.deepEqual([plain.text, plain.headers["content-encoding"]], [code, undefined]);
  }
  assert.equal((await get(server, "/assets/app-1.js.gz", { host })).statusCode, 404);
  assert.equal(
    (
      await get(server, "/", {
        host,
        "if-none-match": String((await get(server, "/", { host })).headers.etag),
      })
    ).statusCode,
    304,
  );
  await writeFile(join(web, "later.html"), "later");
  assert.equal((await get(server, "/later.html", { host })).statusCode, 404);
});

test("P3 P26: a path that can't be decoded or is too long is judged and answered like any other", async () => {
  await using server = await bootServer();
  for (const path of ["/%", "/m/%3", "/chats/%c0%ae", `/api/titles/${"a".repeat(300)}`]) {
    const known = await get(server, path, { host: "localhost" });
    assert.equal(known.statusCode, 404);
    assert.equal(known.text, '{"code":"not-found","message":"there is nothing here"}');
    assert.match(
      String(known.headers["content-security-policy"]),
      /^default-src 'none'; .*trusted-types snug$/,
    );
    assert.equal(known.headers["x-content-type-options"], "nosniff");
    assert.equal((await get(server, path, { host: "evil.example" })).statusCode, 421);
    const forwarded = await get(server, path, { host: "localhost", via: "1.1 somebody" });
    assert.match(forwarded.text, /Prepare this device/);
  }
});

test("P24: a data folder that is in use, newer, or not ours is refused, and left as it was", async () => {
  await using server = await bootServer();
  const start = async (change: Partial<typeof server.options>): Promise<string> => {
    const error: unknown = await startServer({ ...server.options, ...change }).then(
      (running) => running.close().then(() => undefined),
      (cause: unknown) => cause,
    );
    assert.ok(error instanceof StartError, String(error));
    return error.message;
  };
  assert.match(await start({}), /another server is running on the data folder/);
  assert.match(await start({ port: server.port }), /port \d+ is in use/);
  assert.match(await start({ videos: join(server.data, "none") }), /no videos folder/);
  assert.match(await start({ cert: "/none" }), /go together/);
  assert.match(await start({ cert: "/none", key: "/none" }), /\/none can't be read \(ENOENT\)/);
  assert.match(await start({ data: "/proc/snug/data" }), /can't be written and fsynced/);
  assert.match(await start({ web: "/none" }), /no built web client/);
  assert.match(await start({ name: "not a name" }), /not a host name/);
  await server.close();
  const damaged = await mkdtemp(join(tmpdir(), "snug-damaged-"));
  await cp(server.data, damaged, { recursive: true });
  await writeFile(join(damaged, "snug.db"), "not a database at all");
  assert.match(await start({ data: damaged }), /^the server can't start: .*not a database/);
  await rm(damaged, { recursive: true });
  await writeFile(join(server.data, "version"), "2\n");
  const before = await snapshot(server.data);
  assert.match(await start({}), /newer Snug \(version 2, this one knows 1\)/);
  assert.deepEqual(await snapshot(server.data), before);
  await writeFile(join(server.videos, "film.txt"), "not ours");
  assert.match(await start({ data: server.videos }), /not a Snug data folder/);
  assert.deepEqual(await readdir(server.videos), ["film.txt"]);
});

test("P24: a first start that fails leaves no folder; one that works leaves secrets for the owner only", async () => {
  await using server = await bootServer();
  const data = join(server.data, "..", "deep", "er", "data");
  await assert.rejects(startServer({ ...server.options, data, port: server.port }), StartError);
  await assert.rejects(stat(join(server.data, "..", "deep")));
  const modes = await Promise.all(
    ["", "keys", "keys/log.key", "tls/authority.key", "tls/server.key", "version"].map(
      async (name) => (await stat(join(server.data, name))).mode & 0o077,
    ),
  );
  assert.deepEqual(new Set(modes), new Set([0]));
});

test("P27: closing ends connections with going away, takes less than a second, and leaves nothing open", async ({
  mock,
}) => {
  // Timers that stand still: closing that waited for one would never end.
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  await using first = await bootServer();
  const alice = await joinRaw(first, "alice");
  const took: number[] = [];
  const close = async (server: BootedServer): Promise<void> => {
    await using wire = await alice.connect(server);
    const keepAlive = ended(connect(server.port, "127.0.0.1"));
    const start = performance.now();
    await server.close();
    took.push(performance.now() - start);
    assert.equal(await wire.closed, closeCodes.goingAway);
    await keepAlive;
    assert.ok(!(await readdir(server.data)).includes("running.json"));
  };
  await close(first);
  for (let again = 0; again < 2; again++) {
    await using server = await bootServer(first.options);
    await close(server);
  }
  // Nor for one of Node's own, which it would wait for each time; the disk may be slow once.
  assert.ok(Math.min(...took) < 1000, `${took} ms`);
});

/** Names, sizes and contents of a folder's files. */
async function snapshot(folder: string): Promise<[string, string][]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Promise.all(
    files
      .sort()
      .map(async (path): Promise<[string, string]> => [path, (await readFile(path)).toString("base64")]),
  );
}
