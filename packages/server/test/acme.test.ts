import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { connect } from "node:tls";
import { decodeInviteLink } from "@snug/protocol";
import { eventually } from "../../../testing/browser.ts";
import { spkiOf } from "../../../testing/served.ts";
import { bootServer } from "../../../testing/server.ts";
import { ask } from "../src/tls/acme/http.ts";
import { type AcmeOptions, acmeCertificates } from "../src/tls/acme/source.ts";
import { openOwnIdentity } from "../src/tls/authority.ts";
import type { Identity } from "../src/tls/identity.ts";

const missing = spawnSync("pebble", ["-version"]).error ? "pebble (Debian) is not installed" : false;
const name = "home.snug.example";
const hour = 3_600_000;

/** A real ACME authority (pebble), which refuses a part of all good nonces, and the DNS that it believes. */
interface Authority extends AsyncDisposable {
  readonly folder: string;
  readonly acme: AcmeOptions;
  /** PEM of the root that its certificates lead to. */
  readonly root: string;
  /** What the hook was called with. */
  calls(): Promise<string[]>;
  /** From now on the hook says that it has done what it has not. */
  breakHook(broken: boolean): Promise<void>;
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, "127.0.0.1");
      await once(server, "listening");
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  for (const server of servers) await server[Symbol.asyncDispose]();
  return ports;
}

async function startAuthority(): Promise<Authority> {
  const folder = await mkdtemp(join(tmpdir(), "snug-acme-"));
  const file = (of: string): string => join(folder, of);
  const [acmePort, managementPort, dnsPort, dnsManagement] = await freePorts(4);
  await openOwnIdentity(folder, ["localhost", "127.0.0.1"]);
  const pebble = {
    listenAddress: `127.0.0.1:${acmePort}`,
    managementListenAddress: `127.0.0.1:${managementPort}`,
    certificate: file("server.crt"),
    privateKey: file("server.key"),
    httpPort: 1,
    tlsPort: 1,
    ocspResponderURL: "",
    externalAccountBindingRequired: false,
  };
  await writeFile(file("pebble.json"), JSON.stringify({ pebble }));
  const dns = `http://127.0.0.1:${dnsManagement}`;
  await writeFile(
    file("hook"),
    `#!${process.execPath}
const { appendFileSync, existsSync } = require("node:fs");
const [what, host, value] = process.argv.slice(2);
appendFileSync(${JSON.stringify(file("calls"))}, [what, host, value.length].join(" ") + "\\n");
if (!existsSync(${JSON.stringify(file("broken"))})) {
  const path = what === "present" ? "/set-txt" : "/clear-txt";
  fetch(${JSON.stringify(dns)} + path, { method: "POST", body: JSON.stringify({ host, value }) }).then((answer) => {
    if (!answer.ok) process.exit(1);
  });
}
`,
    { mode: 0o755 },
  );
  const none = ["-http01", "", "-https01", "", "-tlsalpn01", ""];
  const listening = ["-dns01", `127.0.0.1:${dnsPort}`, "-management", `127.0.0.1:${dnsManagement}`];
  const env = {
    PATH: process.env.PATH,
    PEBBLE_VA_NOSLEEP: "1",
    PEBBLE_WFE_NONCEREJECT: "30",
    PEBBLE_AUTHZREUSE: "0",
  };
  const children: ChildProcess[] = [
    spawn("pebble-challtestsrv", [...none, ...listening], { stdio: "ignore" }),
    spawn("pebble", ["-config", file("pebble.json"), "-dnsserver", `127.0.0.1:${dnsPort}`], {
      stdio: "ignore",
      env,
    }),
  ];
  const ca = await readFile(file("authority.crt"), "utf8");
  const never = new AbortController().signal;
  const root = `https://localhost:${managementPort}/roots/0`;
  const asked = { method: "GET", url: root, body: undefined, ca, stop: never } as const;
  const stop = async (): Promise<void> => {
    for (const child of children) {
      const ended = once(child, "exit");
      if (child.kill("SIGKILL")) await ended;
    }
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const answer = await eventually("the authority answers", () => ask(asked).catch(() => undefined));
    await eventually("its DNS answers", () =>
      fetch(`${dns}/dns-request-history`, { method: "POST", body: "{}" }).catch(() => undefined),
    );
    return {
      folder,
      root: answer.body.toString(),
      acme: {
        email: "anna@snug.example",
        hook: file("hook"),
        directory: `https://localhost:${acmePort}/dir`,
        ca: file("authority.crt"),
      },
      calls: async () => (await readFile(file("calls"), "utf8")).trim().split("\n"),
      breakHook: (broken) => (broken ? writeFile(file("broken"), "") : rm(file("broken"))),
      [Symbol.asyncDispose]: stop,
    };
  } catch (cause) {
    await stop();
    throw cause;
  }
}

async function at<T>({ mock }: TestContext, now: number, act: () => Promise<T>): Promise<T> {
  const clock = mock.method(Date, "now", () => now);
  try {
    return await act();
  } finally {
    clock.mock.restore();
  }
}

test("O50: a server gets the certificate of its name by DNS-01 while it serves, and shows it from then on, also after a restart", {
  skip: missing,
}, async () => {
  await using authority = await startAuthority();
  const { acme } = authority;
  await using server = await bootServer({ name, acme });
  const before = await spkiOf(server.port);
  // A link names no authority: a public one will vouch.
  assert.equal(decodeInviteLink(String(await server.setupLink())).authority, null);
  await server.renewCertificate();
  assert.notEqual(await spkiOf(server.port), before);
  const shown = connect({ port: server.port, host: "127.0.0.1", servername: name, ca: authority.root });
  await once(shown, "secureConnect");
  assert.deepEqual(shown.getPeerX509Certificate()?.checkHost(name), name);
  shown.destroy();
  // 43 characters: a SHA-256 in base64url.
  const record = `_acme-challenge.${name}. 43`;
  assert.deepEqual(await authority.calls(), [`present ${record}`, `cleanup ${record}`]);
  const spki = await spkiOf(server.port);
  await server.close();
  await using again = await bootServer({ ...server.options, host: "127.0.0.1", port: 0 });
  assert.equal(again.spki, spki);
  await again.renewCertificate();
  assert.equal(again.spki, spki);
  assert.equal((await authority.calls()).length, 2);
});

test("O51: it is renewed by the same account when a third of its life is left, and no sooner; a failure keeps it and is tried again later and later", {
  skip: missing,
}, async (t) => {
  await using authority = await startAuthority();
  const own = await openOwnIdentity(authority.folder, ["localhost"]);
  const source = await acmeCertificates({ ...authority.acme, folder: authority.folder, name, own });
  const never = new AbortController().signal;
  assert.equal(source.first, own);
  await authority.breakHook(true);
  const start = Date.now();
  const next = (current: Identity, now = Date.now()) => at(t, now, () => source.next(current, never));
  await assert.rejects(next(own, start), /refused: .*tried again from /);
  // 15 minutes, then 30.
  assert.equal(await next(own, start + hour / 4 - 60_000), undefined);
  await assert.rejects(next(own, start + hour / 4 + 1000), /tried again/);
  await authority.breakHook(false);
  assert.equal(await next(own, start + hour / 2), undefined);
  const got = await next(own, start + hour);
  assert.ok(got);
  const account = await readFile(join(authority.folder, "acme-account.key"), "utf8");
  const { validFromDate, validToDate } = new X509Certificate(got.cert);
  const third = (validToDate.getTime() - validFromDate.getTime()) / 3;
  assert.equal(await next(got, validToDate.getTime() - third - 60_000), undefined);
  await authority.breakHook(true);
  await assert.rejects(next(got, validToDate.getTime() - third + 60_000), /refused/);
  await authority.breakHook(false);
  const renewed = await next(got, validToDate.getTime() - third + hour);
  assert.ok(renewed);
  assert.notEqual(renewed.spki, got.spki);
  assert.equal(await readFile(join(authority.folder, "acme-account.key"), "utf8"), account);
});

test("O51: an authority that does not answer, a hook that fails and a URL without TLS are said as such; the server serves on", async () => {
  const folder = await mkdtemp(join(tmpdir(), "snug-acme-"));
  try {
    const own = await openOwnIdentity(folder, ["localhost"]);
    const reason = async (directory: string): Promise<string> => {
      const acme = { email: "anna@snug.example", hook: "/bin/false", directory };
      const source = await acmeCertificates({ ...acme, folder, name, own });
      return source.next(own, new AbortController().signal).then(
        () => "none",
        (cause: Error) => cause.message,
      );
    };
    assert.match(await reason("http://127.0.0.1:9/dir"), /by https only/);
    assert.match(await reason("https://127.0.0.1:9/dir"), /127\.0\.0\.1:9 gave no answer: .*ECONNREFUSED/);
    await using server = await bootServer({
      name,
      acme: { email: "anna@snug.example", hook: "/bin/false", directory: "https://127.0.0.1:9/dir" },
    });
    await server.renewCertificate();
    assert.equal((await fetch(`${server.localUrl}/healthz`)).status, 200);
    await assert.rejects(
      bootServer({ name: "192.0.2.7", acme: { email: "a@b.example", hook: "x", directory: "https://x" } }),
      /--name that DNS knows/,
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
