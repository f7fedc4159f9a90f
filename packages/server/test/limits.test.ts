import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { connect as connectTls } from "node:tls";
import {
  admitOf,
  applyStatement,
  type Directory,
  emptyDirectory,
  generateLogKey,
  importLogKey,
  nextHead,
} from "@snug/crypto/identity";
import { signSignIn, signStatement } from "@snug/crypto/sealing";
import {
  closeCodes,
  DeviceId,
  decodeInviteLink,
  decodeStatement,
  type ErrorCode,
  fromBase64url,
  type Hash,
  type KeyId,
  limits,
  operations,
  pace,
  protocolVersion,
  randomId,
  SnugError,
  sha256,
  signInBytes,
  toBase64url,
} from "@snug/protocol";
import { eventually } from "../../../testing/browser.ts";
import { ended } from "../../../testing/ended.ts";
import { type BootedServer, bootServer } from "../../../testing/server.ts";
import {
  inviteRaw,
  joinRaw,
  letterTo,
  post,
  postJoin,
  type RawPerson,
  Wire,
  type WireServer,
} from "../../../testing/wire.ts";
import { createListeners, Port } from "../src/port.ts";
import { openOwnIdentity } from "../src/tls/authority.ts";
import { refused } from "./refused.ts";

/** The server as visitors of a proxy on this computer reach it, who come from some address. */
function from(server: BootedServer, address: string): { open(): Promise<Wire | number> } {
  const headers = { "x-forwarded-for": address, "x-forwarded-proto": "https" };
  return {
    open: () =>
      Wire.open(server, headers).catch((error: Error) => {
        const status = /Unexpected server response: (\d+)/.exec(error.message)?.[1];
        if (status === undefined) throw error;
        return Number(status);
      }),
  };
}

/** One of an account's devices, which can sign in. */
interface Device {
  readonly device: DeviceId;
  readonly key: CryptoKey;
}

/** Makes an account's statements, each behind the one before. */
class Chain {
  readonly #person: RawPerson;
  readonly #wire: Wire;
  #directory: Directory;

  private constructor(person: RawPerson, wire: Wire, directory: Directory) {
    this.#person = person;
    this.#wire = wire;
    this.#directory = directory;
  }

  static async of(server: WireServer, person: RawPerson, wire: Wire): Promise<Chain> {
    let directory = emptyDirectory(server.serverId);
    const { entries } = await wire.request("directory-read", { from: 0 });
    for (const { statement } of entries) ({ directory } = await applyStatement(directory, statement));
    return new Chain(person, wire, directory);
  }

  async add(): Promise<Device> {
    const { pkcs8, public: key } = await generateLogKey();
    const device = randomId(DeviceId);
    await this.#append("device-add", { device, key, rights: "full", ends: null });
    return { device, key: await importLogKey(pkcs8) };
  }

  async revoke(device: DeviceId): Promise<void> {
    await this.#append("device-revoke", { device });
  }

  async #append(...[kind, body]: Parameters<typeof this.sign>): Promise<void> {
    const statement = await this.sign(kind, body);
    await this.#wire.request("statement-append", { statement });
    ({ directory: this.#directory } = await applyStatement(this.#directory, statement));
  }

  async sign(kind: "device-add" | "device-revoke", body: object): Promise<Uint8Array<ArrayBuffer>> {
    const { account, created } = this.#person;
    const keyId = this.#directory.accounts.get(account)?.signingKeyId;
    assert.ok(keyId);
    const head = nextHead(this.#directory, account, Date.now());
    return signStatement({ key: created.keys.signing, keyId, head, kind, body: body as never });
  }
}

async function signIn(wire: Wire, person: RawPerson, { device, key }: Device): Promise<void> {
  const { server, incarnation, nonce } = await wire.next("hello");
  const signature = await signSignIn({ key, bytes: signInBytes({ server, incarnation, nonce, device }) });
  await wire.request("sign-in", { version: protocolVersion, account: person.account, device, signature });
}

/** A clock that stands still until it is moved. */
function stopClock({ mock }: TestContext): { move(ms: number): void } {
  let now = Date.now();
  mock.method(Date, "now", () => now);
  return {
    move: (ms) => {
      now += ms;
    },
  };
}

describe("limits of size and number", { concurrency: false }, () => {
  it("P4 depth: a frame nested deeper than the limit closes the connection; one at the limit is read", async () => {
    await using server = await bootServer();
    const alice = await joinRaw(server, "alice");
    await using wire = await alice.connect();
    // The frame, its body and so many arrays around the number that should stand there alone.
    const nested = (depth: number): unknown => {
      let from: unknown = 0;
      for (let level = 2; level < depth; level++) from = [from];
      return { from };
    };
    const ask = (depth: number): Promise<unknown> => wire.request("directory-read", nested(depth) as never);
    await refused({ code: "malformed" }, ask(limits.depth));
    assert.equal(wire.socket.readyState, wire.socket.OPEN);
    await refused({ code: "unavailable" }, ask(limits.depth + 1));
    assert.equal(await wire.closed, closeCodes.malformed);
  });

  it("P9 sealed, statement, invite, recoveryBlob: one more than the limit is not of its form; the limit itself is", async () => {
    await using server = await bootServer();
    const alice = await joinRaw(server, "alice");
    await using wire = await alice.connect();
    const sealed = (length: number) => letterTo(alice.inbox, 1, new Uint8Array(length));
    await refused({ code: "malformed" }, wire.request("submit", sealed(limits.sealed + 1)));
    assert.equal((await wire.request("submit", sealed(limits.sealed))).seq, 1);
    const append = (length: number) =>
      wire.request("statement-append", { statement: new Uint8Array(length).fill(0xff) });
    const long = 'statement-append: the request is not of its form, at "statement"';
    await refused({ code: "malformed", message: long }, append(limits.statement + 1));
    await assert.rejects(append(limits.statement), (error: Error) => error.message !== long);
    const invite = (lifetime: number) =>
      wire.request("invite-create", { hash: toBase64url(new Uint8Array(32)) as never, uses: 1, lifetime });
    await refused({ code: "malformed" }, invite(limits.invite + 1));
    assert.equal((await invite(limits.invite)).usesLeft, 1);
    const { secret } = await inviteRaw(wire, alice.account);
    const { genesis } = alice.created;
    const join = (length: number) => postJoin(server, secret, { genesis, recovery: new Uint8Array(length) });
    await refused({ code: "malformed" }, join(limits.recoveryBlob + 3));
    // The same genesis is answered as the join that it was: its form was taken.
    assert.equal((await join(limits.recoveryBlob)).account, alice.account);
  });

  it("P18 body: a body above the limit is too large, whatever it says of its length; one at the limit is read", async () => {
    await using server = await bootServer();
    const body = (length: number): string => `{"admit":"${"A".repeat(length - 12)}"}`;
    await refused({ code: "too-large" }, postText(server, body(limits.body + 1), {}));
    await refused({ code: "too-large" }, postText(server, body(limits.body + 1), { chunked: true }));
    await refused({ code: "malformed" }, postText(server, body(limits.body), {}));
  });

  it("P17: headers above 16 KiB are refused, and nothing of them is kept", async () => {
    await using server = await bootServer();
    const status = async (length: number): Promise<number | undefined> => {
      const headers = { host: "localhost", "x-long": "a".repeat(length) };
      const request = httpRequest({ port: server.port, host: "127.0.0.1", path: "/none", headers }).end();
      // What the server has not read when it ends the connection resets it, behind the answer.
      request.on("error", () => request.destroy());
      const [answer] = (await once(request, "response")) as [IncomingMessage];
      answer.resume();
      return answer.statusCode;
    };
    assert.equal(await status(20_000), 431);
    assert.equal(await status(12_000), 404);
  });

  it("D10 rowBatch: what waited comes in batches of at most the limit", async () => {
    await using server = await bootServer();
    const alice = await joinRaw(server, "alice");
    await using wire = await alice.connect();
    const count = 2 * limits.rowBatch + 2;
    const letters = Array.from({ length: count }, (_, at) => letterTo(alice.inbox, at + 1));
    await Promise.all(letters.map((letter) => wire.request("submit", letter)));
    await wire.request("stream-read", { stream: alice.inbox, incarnation: alice.incarnation, after: 0 });
    const sizes = [];
    for (let left = count; left > 0; left -= sizes.at(-1) ?? 0) {
      sizes.push((await wire.next("rows")).rows.length);
    }
    assert.deepEqual(sizes, [limits.rowBatch, limits.rowBatch, 2]);
  });

  it("I12 P14 devices, statements, directoryPage: an account has at most 16 devices, makes at most 256 statements, and they come in pages of 64", async (test) => {
    await using server = await bootServer();
    const alice = await joinRaw(server, "alice");
    await using wire = await alice.connect();
    const clock = stopClock(test);
    const chain = await Chain.of(server, alice, wire);
    const devices: Device[] = [];
    for (let count = 1; count < limits.devices; count++) devices.push(await chain.add());
    await refused({ code: "policy" }, chain.add());
    let made = limits.devices;
    for (; made < limits.statements - 1; made += 2) {
      // Not so fast that the rate refuses it.
      clock.move(2_000);
      await chain.revoke(devices.pop()?.device ?? alice.created.device);
      devices.push(await chain.add());
    }
    assert.equal(made, limits.statements);
    const most = `an account makes at most ${limits.statements} statements`;
    await refused(
      { code: "policy", message: most },
      chain.revoke(devices[0]?.device ?? alice.created.device),
    );
    for (let from = 0; from < made; from += limits.directoryPage) {
      const page = await wire.request("directory-read", { from });
      assert.deepEqual([page.entries.length, page.size], [limits.directoryPage, made]);
    }
    const { secret } = await inviteRaw(wire, alice.account);
    const admit = toBase64url(await admitOf(secret));
    const seen = operations["invite-look"].response.parse(
      await post(server, operations["invite-look"].transport.path, { admit }),
    );
    assert.equal(seen.inviter.length, limits.statements);
    assert.deepEqual(fromBase64url(seen.inviter[0] ?? ""), alice.created.genesis);
  });
});

it("I4 encryptionKeys: a statement with more of them than the limit is not of its form, whoever signed it", async () => {
  await using server = await bootServer();
  const alice = await joinRaw(server, "alice");
  await using wire = await alice.connect();
  const { content } = decodeStatement(alice.created.genesis);
  assert.ok(content.kind === "genesis");
  const [key] = content.body.encryption;
  assert.ok(key);
  const append = async (many: number): Promise<unknown> => {
    const body = { signing: content.body.signing, encryption: new Array(many).fill(key) };
    const by = { key: alice.created.keys.signing, keyId: "A".repeat(43) as KeyId };
    const previous = (await sha256(alice.created.genesis)) as Hash;
    const head = { server: server.serverId, account: alice.account, number: 1, previous, time: 1 };
    const statement = await signStatement({ ...by, head, kind: "rotate", body } as never);
    return wire.request("statement-append", { statement });
  };
  await refused(
    { code: "malformed", message: "a rotate statement with a wrong body" },
    append(limits.encryptionKeys + 1),
  );
  // So many are looked at, and refused for what the signature is.
  await assert.rejects(append(limits.encryptionKeys), (error: SnugError) => error.code !== "malformed");
});

describe("limits of time and of connections", () => {
  it("P17 request: a body that comes too slowly ends the connection, on both schemes; others are served meanwhile", async () => {
    await using server = await bootServer();
    const ca = await (await fetch(`${server.localUrl}/authority.crt`)).text();
    const sockets = [
      connect(server.port, "127.0.0.1"),
      connectTls({ host: "127.0.0.1", port: server.port, ca, servername: "localhost" }),
    ];
    const head = `POST ${operations.join.transport.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{`;
    const start = performance.now();
    const dripping = sockets.map((socket) => {
      socket.write(head);
      const drip = setInterval(() => socket.writable && socket.write(" "), 500);
      return ended(socket).finally(() => clearInterval(drip));
    });
    assert.equal((await fetch(`${server.localUrl}/authority.crt`)).status, 200);
    await Promise.all(dripping);
    const took = performance.now() - start;
    assert.ok(took > limits.request - 2000, `ended after ${took} ms, for another reason`);
    // Node's own patience with a body is five minutes.
    assert.ok(took < limits.request + 60_000, `ended after ${took} ms`);
  });

  it("P30 sockets: of one address no more connections stay open than the limit; one that ends makes room", async () => {
    const folder = await mkdtemp(join(tmpdir(), "snug-port-"));
    const identity = await openOwnIdentity(folder, ["localhost"]).finally(() =>
      rm(folder, { recursive: true }),
    );
    await using port = await Port.bind("127.0.0.1", 0, () => true);
    // Answers with the socket's own port, so that who gets an answer was let in.
    port.open(
      createListeners((request, response) => response.end(String(request.socket.remotePort)), identity),
    );
    const open: Socket[] = [];
    const isLetIn = (): Promise<boolean> => {
      const socket = connect(port.number, "127.0.0.1");
      socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
      return new Promise((resolve) => {
        socket.on("error", () => socket.destroy());
        socket.once("close", () => resolve(false));
        socket.once("data", () => {
          open.push(socket);
          resolve(true);
        });
      });
    };
    for (let count = 0; count < limits.sockets; count++) assert.equal(await isLetIn(), true);
    assert.equal(await isLetIn(), false);
    assert.ok(open.every(({ destroyed }) => !destroyed));
    open[0]?.destroy();
    await eventually("there is room again", isLetIn);
    assert.equal(await isLetIn(), false);
    for (const socket of open) socket.destroy();
  });

  it("P30 greetings, connections, devices: behind a trusted proxy each visitor is counted, signed in or not; an account has one connection for each device", async (t) => {
    await using server = await bootServer({ trustProxy: ["127.0.0.1"] });
    const people = await Promise.all(["alice"].map((name) => joinRaw(server, name)));
    for (const name of ["bob", "carol"]) people.push(await joinRaw(server, name));
    const devices: { person: RawPerson; device: Device }[] = [];
    for (const person of people) {
      await using wire = await person.connect();
      const chain = await Chain.of(server, person, wire);
      const { created } = person;
      devices.push({ person, device: { device: created.device, key: created.keys.device } });
      for (let count = 1; count < limits.devices; count++) {
        devices.push({ person, device: await chain.add() });
      }
    }
    // However long all this takes, nobody is too slow to sign in.
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const crowd = from(server, "192.0.2.1");
    const wires: Wire[] = [];
    const enter = async (): Promise<Wire> => {
      const wire = await crowd.open();
      assert.ok(wire instanceof Wire, `refused with ${String(wire)}`);
      wires.push(wire);
      return wire;
    };
    // Greetings: nobody has signed in yet.
    for (let count = 0; count < limits.greetings; count++) await enter();
    assert.equal(await crowd.open(), 429);
    const other = await from(server, "192.0.2.2").open();
    assert.ok(other instanceof Wire, "another visitor is not counted with them");
    await other[Symbol.asyncDispose]();
    // Connections: those who sign in make room for greetings, up to the limit of all.
    assert.equal(devices.length, 3 * limits.devices);
    for (const [at, { person, device }] of devices.entries()) {
      await signIn(wires[at] ?? (await enter()), person, device);
    }
    while (wires.length < limits.connections) await enter();
    assert.equal(await crowd.open(), 429);
    // An account: the same device again takes the older one's place, so that there are never more than its devices.
    const [first] = devices;
    assert.ok(first && wires[0]);
    const again = await from(server, "192.0.2.3").open();
    assert.ok(again instanceof Wire);
    await signIn(again, first.person, first.device);
    assert.equal(await wires[0].closed, closeCodes.replaced);
    await using watcher = await people[1]?.connect();
    assert.ok(watcher);
    for (const wire of [...wires, again]) await wire[Symbol.asyncDispose]();
  });

  it("P30: what a peer that is no proxy of ours says of its visitors is not believed", async (t) => {
    await using server = await bootServer({ trustProxy: ["192.0.2.99"] });
    // Over TLS, since plain HTTP with such a header is shown the way in and nothing else.
    const ca = await (await fetch(`${server.localUrl}/authority.crt`)).text();
    const over = { ...server, localUrl: `https://localhost:${server.port}`, ca };
    // However long the others take to come, none of them is too slow to sign in.
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const open: Wire[] = [];
    const enter = async (at: number): Promise<Wire | number> => {
      const headers = { "x-forwarded-for": `198.51.100.${at}` };
      return Wire.open(over, headers).catch(() => 429);
    };
    for (let at = 1; at <= limits.greetings; at++) {
      const wire = await enter(at);
      assert.ok(wire instanceof Wire);
      open.push(wire);
    }
    assert.equal(await enter(200), 429);
    for (const wire of open) await wire[Symbol.asyncDispose]();
  });

  it("P1: TLS before 1.2 is refused", async () => {
    await using server = await bootServer();
    const shake = async (version: "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3"): Promise<string> => {
      const socket = connectTls({
        ...{ host: "127.0.0.1", port: server.port, servername: "localhost", rejectUnauthorized: false },
        ...{ minVersion: version, maxVersion: version, ciphers: "DEFAULT@SECLEVEL=0" },
      });
      const said = await new Promise<string>((resolve) => {
        socket.once("secureConnect", () => resolve(String(socket.getProtocol())));
        socket.once("error", (error: NodeJS.ErrnoException) => resolve(String(error.code)));
      });
      socket.destroy();
      return said;
    };
    for (const version of ["TLSv1", "TLSv1.1"] as const) {
      assert.match(await shake(version), /ALERT_PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/, version);
    }
    assert.deepEqual([await shake("TLSv1.2"), await shake("TLSv1.3")], ["TLSv1.2", "TLSv1.3"]);
  });

  it("P5 R10: a signature that was good once is good for no other connection, nonce, server or device", async (t) => {
    await using server = await bootServer();
    const [alice, bob] = [await joinRaw(server, "alice"), await joinRaw(server, "bob")];
    // However long it is held back, it does not come too late.
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const { account, created } = alice;
    const { device } = created;
    await using first = await Wire.open(server);
    const { server: id, incarnation, nonce } = await first.next("hello");
    const bytes = signInBytes({ server: id, incarnation, nonce, device });
    const signature = await signSignIn({ key: created.keys.device, bytes });
    const body = { version: protocolVersion, account, device, signature };
    // Held back on its own connection until it was tried on others.
    const others = [body, { ...body, account: bob.account, device: bob.created.device }];
    for (const replayed of others) {
      await using wire = await Wire.open(server);
      assert.notDeepEqual((await wire.next("hello")).nonce, nonce);
      await refused({ code: "unauthenticated" }, wire.request("sign-in", replayed));
      assert.equal(await wire.closed, closeCodes.unauthenticated);
    }
    assert.equal((await first.request("sign-in", body)).role, "admin");
    await refused({ code: "malformed" }, first.request("sign-in", body));
  });
});

describe("limits of passes", () => {
  it("P20 P23 setupLink, token, session: each is good to its last second and no longer", async (test) => {
    await using server = await bootServer();
    const clock = stopClock(test);
    const look = async (): Promise<unknown> => {
      const admit = toBase64url(await admitOf(secret));
      return post(server, operations["invite-look"].transport.path, { admit });
    };
    let { secret } = decodeInviteLink((await server.setupLink()) ?? "");
    clock.move(limits.setupLink - 1);
    await look();
    clock.move(1);
    await refused({ code: "invite-invalid" }, look());
    ({ secret } = decodeInviteLink((await server.setupLink()) ?? ""));
    const alice = await joinRaw(server, "alice");
    await using wire = await alice.connect();
    const { token } = await wire.request("token-create", {});
    const made = await fetch(`${server.localUrl}${operations["session-create"].transport.path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
    });
    const [cookie = ""] = (made.headers.get("set-cookie") ?? "").split(";");
    const library = async (headers: Record<string, string>): Promise<number> =>
      (await fetch(`${server.localUrl}/api/library`, { headers })).status;
    clock.move(limits.token - 1);
    assert.equal(await library({ authorization: `Bearer ${token}` }), 200);
    clock.move(1);
    assert.equal(await library({ authorization: `Bearer ${token}` }), 401);
    clock.move(limits.session - limits.token - 1);
    assert.equal(await library({ cookie }), 200);
    clock.move(1);
    assert.equal(await library({ cookie }), 401);
  });
});

describe("rates", () => {
  it("P31: what costs much is refused above its rate, for that device only, whatever connections it has", async (test) => {
    await using server = await bootServer();
    const [alice, bob] = [await joinRaw(server, "alice"), await joinRaw(server, "bob")];
    await using fromAlice = await alice.connect();
    await using fromBob = await bob.connect();
    const clock = stopClock(test);
    const { inbox: stream, incarnation } = bob;
    const hash = toBase64url(new Uint8Array(32)) as never;
    const asked = {
      "directory-read": { from: 99 },
      "stream-read": { stream, incarnation, after: 0 },
      "delivery-read": { ids: [] },
      "statement-append": { statement: new Uint8Array(9) },
      "invite-create": { hash, uses: 1, lifetime: 60_000 },
      "invite-list": {},
      "invite-revoke": { hash: toBase64url(new Uint8Array(32).fill(9)) as never },
      "block-set": { account: bob.account, blocked: false },
      "block-list": {},
      "token-create": {},
      "grant-create": { title: "AAAAAAAAAAAAAAAAAAAAAA" as never },
    } as const;
    const rated = Object.entries(operations).filter(
      ([, { transport, ...operation }]) => transport === "socket" && "rate" in operation,
    );
    assert.deepEqual(rated.map(([name]) => name).sort(), Object.keys(asked).sort());
    for (const name of Object.keys(asked) as (keyof typeof asked)[]) {
      const ask = (wire: Wire): Promise<string> =>
        wire.request(name, asked[name] as never).then(
          () => "answered",
          ({ code }: { code: string }) => (code === "too-many" ? code : "answered"),
        );
      const { burst, perSecond } = operations[name].rate;
      const answers = await Promise.all(Array.from({ length: burst }, () => ask(fromBob)));
      assert.deepEqual(new Set(answers), new Set(["answered"]), name);
      assert.equal(await ask(fromBob), "too-many", name);
      assert.equal(await ask(fromAlice), "answered", name);
      clock.move(1000);
      for (let count = 0; count < perSecond; count++) assert.equal(await ask(fromBob), "answered");
      assert.equal(await ask(fromBob), "too-many", name);
    }
    // Connecting anew fills nothing; a clock that is put back neither.
    await using again = await bob.connect();
    clock.move(-3_600_000);
    await refused({ code: "too-many" }, again.request("token-create", {}));
    assert.equal((await again.request("submit", letterTo(bob.inbox, 1))).seq, 1);
  });

  it("P31: joining, looking at invites and sessions are refused above their rate, by address", async (test) => {
    await using server = await bootServer({ trustProxy: ["127.0.0.1"] });
    stopClock(test);
    for (const name of ["invite-look", "join", "session-create"] as const) {
      const { transport, rate } = operations[name];
      const ask = async (address: string): Promise<number> => {
        const answer = await fetch(`${server.localUrl}${transport.path}`, {
          method: "POST",
          headers: {
            ...{ "content-type": "application/json", authorization: "Bearer none" },
            ...{ "x-forwarded-for": address, "x-forwarded-proto": "https" },
          },
          body: JSON.stringify({ admit: "AAAA", genesis: "AAAA", recovery: "AAAA" }),
        });
        await answer.arrayBuffer();
        return answer.status;
      };
      const usual = await ask("2001:db8:0:1::1");
      assert.notEqual(usual, 429);
      // All of a /64 is one visitor.
      for (let count = 1; count < rate.burst; count++) {
        assert.equal(await ask(`2001:db8:0:1::${count.toString(16)}`), usual);
      }
      assert.equal(await ask("2001:db8:0:1:ffff::1"), 429, name);
      assert.equal(await ask("2001:db8:0:2::1"), usual, name);
    }
  });

  it("P32: who sends faster than the pace is read more slowly, and nothing of it is refused", async (test) => {
    await using server = await bootServer();
    const alice = await joinRaw(server, "alice");
    await using wire = await alice.connect();
    const clock = stopClock(test);
    // Doubles of one letter, each of which counts as 25: nothing has to be written.
    const letter = letterTo(alice.inbox, 1, new Uint8Array(200_000));
    await wire.request("submit", letter);
    const free = Math.floor(pace.burst / 25) - 1;
    for (let count = 0; count < free; count++) await wire.request("submit", letter);
    const start = performance.now();
    // With a clock that stands, each more waits for all that is owed by then: 25, 50, 75 … of 4,000 a second.
    const more = await Promise.all(Array.from({ length: 17 }, () => wire.request("submit", letter)));
    const owed = (25 / pace.perSecond) * ((17 * 18) / 2) * 1000;
    assert.ok(performance.now() - start > owed * 0.8, `${performance.now() - start} of ${owed} ms`);
    assert.deepEqual(new Set(more.map(({ seq }) => seq)), new Set([1]));
    clock.move(60_000);
    assert.equal((await wire.request("submit", letterTo(alice.inbox, 2))).seq, 2);
  });
});

/** POSTs a text as JSON to invite-look. */
async function postText(
  server: BootedServer,
  text: string,
  { chunked }: { readonly chunked?: boolean },
): Promise<void> {
  const request = httpRequest({
    ...{ host: "127.0.0.1", port: server.port, path: operations["invite-look"].transport.path },
    method: "POST",
    headers: { host: "localhost", "content-type": "application/json" },
  });
  if (chunked) request.flushHeaders();
  request.on("error", () => request.destroy());
  request.end(text);
  const [answer] = (await once(request, "response")) as [IncomingMessage];
  let body = "";
  for await (const chunk of answer.setEncoding("utf8")) body += chunk;
  const { code, message } = JSON.parse(body) as { code: ErrorCode; message: string };
  throw new SnugError(code, message);
}
