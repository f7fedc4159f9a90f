import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { Agent, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { connect, type TLSSocket } from "node:tls";
import type { Client } from "@snug/client";
import { openNodeClient } from "@snug/client/node";
import { decodeInviteLink } from "@snug/protocol";
import { eventually } from "../../../testing/browser.ts";
import { spkiOf } from "../../../testing/served.ts";
import { type BootedServer, bootServer } from "../../../testing/server.ts";
import { openOwnIdentity, ownCertificates } from "../src/tls/authority.ts";
import { type CertificateNews, type CertificateSource, Certificates } from "../src/tls/certificates.ts";
import { givenCertificates } from "../src/tls/givenFiles.ts";
import type { Identity } from "../src/tls/identity.ts";

const day = 24 * 3_600_000;
const names = ["localhost", "127.0.0.1", "::1"];
const never = new AbortController().signal;

async function temporaryFolder(): Promise<AsyncDisposable & { path(name: string): string }> {
  const folder = await mkdtemp(join(tmpdir(), "snug-renewal-"));
  return {
    path: (name) => join(folder, name),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Whatever `act` makes, made that many days ago. */
async function madeDaysAgo<T>({ mock }: TestContext, days: number, act: () => Promise<T>): Promise<T> {
  const now = Date.now();
  const clock = mock.method(Date, "now", () => now - days * day);
  try {
    return await act();
  } finally {
    clock.mock.restore();
  }
}

/** A TLS connection whose certificate is checked against an authority, kept open between its requests. */
function keepOpen(port: number, ca: string): Disposable & { readonly status: () => Promise<number> } {
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca });
  const sockets = new Set<unknown>();
  return {
    status: async () => {
      const sent = request({
        agent,
        port,
        host: "127.0.0.1",
        servername: "localhost",
        path: "/authority.crt",
      });
      sent.setHeader("host", `localhost:${port}`).end();
      const [response] = await once(sent, "response");
      sockets.add(sent.socket);
      assert.equal(sockets.size, 1, "it is the same connection");
      await once(response.resume(), "end");
      return Number(response.statusCode);
    },
    [Symbol.dispose]: () => agent.destroy(),
  };
}

async function shown(port: number, ca: string): Promise<X509Certificate> {
  const socket: TLSSocket = connect({ port, host: "127.0.0.1", servername: "localhost", ca });
  try {
    await once(socket, "secureConnect");
    const certificate = socket.getPeerX509Certificate();
    assert.ok(certificate);
    return certificate;
  } finally {
    socket.destroy();
  }
}

interface Person extends AsyncDisposable {
  readonly client: Client;
  /** Each thing but `online` that the connection was. */
  readonly interruptions: string[];
}

async function person(home: string, link: string, name: string): Promise<Person> {
  const client = await openNodeClient({ home });
  await client.join({ link, name });
  const connection = (): string => (client.state.phase === "joined" ? client.state.connection.is : "none");
  await eventually(`${name} is online`, () => connection() === "online");
  const interruptions: string[] = [];
  client.subscribe(() => {
    if (connection() !== "online") interruptions.push(connection());
  });
  return { client, interruptions, [Symbol.asyncDispose]: () => client.close() };
}

function accountOf({ client }: Person) {
  assert.ok(client.state.phase === "joined");
  return client.state.me.account;
}

async function overTls(server: BootedServer): Promise<string> {
  const link = String(await server.setupLink());
  const { addresses } = decodeInviteLink(link);
  assert.match(addresses[1] ?? "", /^https:/);
  return link;
}

test("O1: the leaf is renewed while the server runs: open connections live on, pinned clients see no error", async (t) => {
  await using folder = await temporaryFolder();
  await using server = await madeDaysAgo(t, 340, () => bootServer());
  const ca = await readFile(join(server.data, "tls", "authority.crt"), "utf8");
  await using alice = await person(folder.path("alice"), await overTls(server), "alice");
  // By an invite: those have https addresses only.
  const invite = await alice.client.invite({ uses: 1 });
  await using bob = await person(folder.path("bob"), invite, "bob");
  using open = keepOpen(server.port, ca);
  assert.equal(await open.status(), 200);

  const before = await spkiOf(server.port);
  const authority = await shownAuthority(server);
  await server.renewCertificate();
  const after = await shown(server.port, ca);
  assert.notEqual(await spkiOf(server.port), before);
  assert.ok(after.validToDate.getTime() > Date.now() + 390 * day);
  assert.equal(await shownAuthority(server), authority);

  assert.equal(await open.status(), 200);
  const arrived = new Promise<string>((resolve) => alice.client.onLetter(({ text }) => resolve(text)));
  await eventually(
    "bob knows alice",
    () => bob.client.state.phase === "joined" && bob.client.state.people.length === 2,
  );
  await bob.client.settled(await bob.client.send(accountOf(alice), "still here"));
  assert.equal(await arrived, "still here");
  assert.deepEqual([...alice.interruptions, ...bob.interruptions], []);

  // And a client that connects anew pins the same authority.
  await bob.client.close();
  const again = await openNodeClient({ home: folder.path("bob") });
  await eventually(
    "bob is back",
    () => again.state.phase === "joined" && again.state.connection.is === "online",
  );
  await again.close();
});

async function shownAuthority({ localUrl }: BootedServer): Promise<string> {
  return (await fetch(`${localUrl}/authority.crt`)).text();
}

test("O1: a new private address gets a new leaf, another machine name does not cost the authority", async () => {
  await using folder = await temporaryFolder();
  const found = [...names];
  const source = await ownCertificates(folder.path("."), () => found);
  assert.equal(await source.next(source.first, never), undefined);
  found.push("192.168.7.7");
  const moved = await source.next(source.first, never);
  assert.equal(new X509Certificate(moved?.cert ?? "").checkIP("192.168.7.7"), "192.168.7.7");
  assert.equal(moved?.fingerprint, source.first.fingerprint);
  found.push("renamed.example");
  assert.equal(await source.next(moved, never), undefined);
  // A start may: the operator reads the fingerprint there.
  assert.notEqual((await openOwnIdentity(folder.path("."), found)).fingerprint, moved.fingerprint);
});

test("O1: a crash between key and certificate leaves no pair that a start would stumble over", async () => {
  await using folder = await temporaryFolder();
  await using other = await temporaryFolder();
  const first = await openOwnIdentity(folder.path("."), names);
  await openOwnIdentity(other.path("."), names);
  await copyFile(other.path("server.key"), folder.path("server.key"));
  const mended = await openOwnIdentity(folder.path("."), names);
  assert.equal(mended.fingerprint, first.fingerprint);
  assert.notEqual(mended.spki, first.spki);
});

test("O2: given files are taken when both have changed and fit; a half-written or foreign pair is not, nor one that has ended", async (t) => {
  await using old = await temporaryFolder();
  await using next = await temporaryFolder();
  await using ended = await temporaryFolder();
  for (const folder of [old, next]) await openOwnIdentity(folder.path("."), names);
  await madeDaysAgo(t, 400, () => openOwnIdentity(ended.path("."), names));
  const files = { cert: old.path("server.crt"), key: old.path("server.key") };
  await using server = await bootServer(files);
  const [oldCa, newCa] = [
    await readFile(old.path("authority.crt"), "utf8"),
    await readFile(next.path("authority.crt"), "utf8"),
  ];
  using open = keepOpen(server.port, oldCa);
  assert.equal(await open.status(), 404);
  const whole = await readFile(next.path("server.crt"), "utf8");
  const broken: readonly (() => Promise<void>)[] = [
    () => writeFile(files.cert, whole.slice(0, whole.length / 2)),
    () => writeFile(files.cert, ""),
    () => rm(files.cert),
    () => copyFile(next.path("server.crt"), files.cert),
    () =>
      Promise.all([
        copyFile(ended.path("server.crt"), files.cert),
        copyFile(ended.path("server.key"), files.key),
      ]).then(() => undefined),
  ];
  const { spki } = server;
  for (const write of broken) {
    await write();
    await server.renewCertificate();
    assert.equal(await spkiOf(server.port), spki);
    await shown(server.port, oldCa);
  }
  await copyFile(next.path("server.crt"), files.cert);
  await copyFile(next.path("server.key"), files.key);
  await server.renewCertificate();
  await shown(server.port, newCa);
  assert.equal(await open.status(), 404);
  await assert.rejects(shown(server.port, oldCa));
});

test("O2: the reason why a pair is not taken names the file", async () => {
  await using folder = await temporaryFolder();
  await openOwnIdentity(folder.path("."), names);
  const files = { cert: folder.path("server.crt"), key: folder.path("server.key") };
  const source = await givenCertificates(files);
  await writeFile(files.key, "half");
  await assert.rejects(source.next(source.first, never), (cause: Error) => cause.message.includes(files.key));
});

test("O3: a source is asked once a minute, one time at once; a reason is told once until it changes", async ({
  mock,
}) => {
  mock.timers.enable({ apis: ["setInterval"] });
  const first = { cert: "first" } as Identity;
  const second = { cert: "second" } as Identity;
  const answers: (() => Promise<Identity | undefined>)[] = [
    async () => undefined,
    () => Promise.reject(new Error("half written")),
    () => Promise.reject(new Error("half written")),
    () => Promise.reject(new Error("gone")),
    async () => second,
  ];
  let asked = 0;
  const source: CertificateSource = {
    kind: "files",
    first,
    next: (current) => {
      assert.equal(current, first);
      const answer = answers[asked++];
      assert.ok(answer);
      return answer();
    },
  };
  const told: CertificateNews[] = [];
  await using certificates = new Certificates(source, (news) => told.push(news));
  for (let minute = 1; minute <= answers.length; minute++) {
    mock.timers.tick(59_999);
    assert.equal(asked, minute - 1);
    mock.timers.tick(1);
    // The one under way is joined, not doubled.
    await certificates.renew();
    assert.equal(asked, minute);
  }
  assert.deepEqual(told, [{ kept: "half written" }, { kept: "gone" }, { taken: second }]);
  assert.equal(certificates.current, second);
});
