import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { type ServerId, socketPath, subprotocol } from "@snug/protocol";
import { WebSocket } from "ws";
import { type BootedServer, bootServer } from "../../../testing/server.ts";
import { joinRaw, Wire } from "../../../testing/wire.ts";

type Line = Readonly<Record<string, unknown>>;

/** The same server again, in a process of its own that writes its log. */
async function startLogging(options: BootedServer["options"], log: string) {
  const script = fileURLToPath(new URL("./serverProcess.ts", import.meta.url));
  const child: ChildProcess = spawn(process.execPath, [script, JSON.stringify({ ...options, log })], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const closed = once(child, "close");
  assert.ok(child.stdout && child.stderr);
  let text = "";
  child.stderr.setEncoding("utf8").on("data", (piece: string) => {
    text += piece;
  });
  const [line] = (await once(createInterface(child.stdout), "line")) as [string];
  const { port, serverId } = JSON.parse(line) as { port: number; serverId: ServerId };
  const at = { localUrl: `http://localhost:${port}`, serverId, setupLink: async () => null };
  return {
    at,
    /** Ends it; all that it wrote. */
    async end(): Promise<string> {
      child.kill("SIGTERM");
      await closed;
      return text;
    },
  };
}

function linesOf(text: string): Line[] {
  const lines = text.split("\n");
  assert.equal(lines.pop(), "");
  return lines.map((line) => JSON.parse(line) as Line);
}

/** The table of O11: the fields of each event, and whether they may be missing. */
async function documented(): Promise<
  ReadonlyMap<string, { readonly level: string; readonly fields: string[] }>
> {
  const text = await readFile(new URL("../../../docs/spec/operating.md", import.meta.url), "utf8");
  const rows = text.matchAll(/^\| `([a-z-]+)` \| (info|warn|error) \| ([^|]*) \|/gm);
  return new Map(
    [...rows].map(([, event = "", level = "", fields = ""]) => [
      event,
      { level, fields: [...fields.matchAll(/`(\w+)`/g)].map(([, field = ""]) => field) },
    ]),
  );
}

test("P26, O10, O11: every line is a documented event with documented fields; routes are patterns; no grant, token, query, id or name", async () => {
  await using first = await bootServer();
  const alice = await joinRaw(first, "marigold");
  await first.close();
  const server = await startLogging(first.options, "info");
  const wire = await alice.connect(server.at);
  const { token } = await wire.request("token-create", {});
  const secret = "SECRETSECRETSECRETSECA";
  const paths = [
    `/m/${secret}/AAAAAAAAAAAAAAAAAAAAAA/x/master.m3u8`,
    `/api/library?key=${secret}`,
    `/api/titles/${secret}`,
    `/${secret}`,
    `/%${secret}`,
  ];
  for (const path of paths) {
    await fetch(`${server.at.localUrl}${path}`, { headers: { authorization: `Bearer ${token}` } });
  }
  await wire[Symbol.asyncDispose]();
  const log = await server.end();
  for (const kept of [secret, token, alice.account, "marigold"]) assert.ok(!log.includes(kept), log);
  const lines = linesOf(log);
  const events = await documented();
  assert.ok(events.size >= 10);
  for (const { time, level, event, msg, ...fields } of lines) {
    const known = events.get(String(event));
    assert.ok(known, String(event));
    assert.equal(level, known.level);
    assert.equal(new Date(String(time)).toISOString(), time);
    assert.equal(typeof msg, "string");
    for (const field of Object.keys(fields)) assert.ok(known.fields.includes(field), `${event}: ${field}`);
  }
  const answered = (route: string): unknown[] =>
    lines.filter((line) => line.route === route).map(({ status }) => status);
  assert.deepEqual(answered("/m/*"), [404]);
  assert.deepEqual(answered("/api/library"), [200]);
  assert.deepEqual(
    ["started", "opened", "closed", "stopping"].map(
      (event) => lines.filter((line) => line.event === event).length,
    ),
    [1, 1, 1, 1],
  );
});

test("O12: an address stands in the lines of those who were turned away, and in no other", async () => {
  await using first = await bootServer();
  const alice = await joinRaw(first, "alice");
  await first.close();
  const server = await startLogging(first.options, "info");
  const { localUrl } = server.at;
  await (await alice.connect(server.at))[Symbol.asyncDispose]();
  await fetch(`${localUrl}/authority.crt`);
  const welcome = (await fetch(`${localUrl}/api/library`)).status;
  assert.equal(welcome, 401);
  const rude = await Wire.open(server.at);
  rude.socket.send("text");
  assert.equal(await rude.closed, 4400);
  const foreign = new WebSocket(`${localUrl.replace("http", "ws")}${socketPath}`, subprotocol, {
    origin: "https://elsewhere.example",
  });
  await assert.rejects(once(foreign, "open"), /403/);
  const lines = linesOf(await server.end());
  const addressed = lines.filter(({ address }) => address !== undefined);
  // By name: of a connection's end the server may hear a moment later.
  assert.deepEqual(
    addressed.map(({ event, status, code, address }) => [event, status ?? code, address]).sort(),
    [
      ["closed", 4400, "127.0.0.1"],
      ["refused", 403, "127.0.0.1"],
      ["request", 401, "127.0.0.1"],
    ],
  );
  assert.equal(lines.filter(({ event }) => event === "closed" || event === "request").length, 4);
});

test("O11: a device that has more than the server is told of once, with what heals a database put back by hand", async () => {
  await using first = await bootServer();
  const alice = await joinRaw(first, "alice");
  await first.close();
  const server = await startLogging(first.options, "warn");
  await using wire = await alice.connect(server.at);
  const { inbox: stream, incarnation } = alice;
  for (let time = 1; time <= 2; time++) {
    const asked = wire.request("stream-read", { stream, incarnation, after: 1 });
    await assert.rejects(asked, { code: "rolled-back" });
  }
  const lines = linesOf(await server.end());
  assert.deepEqual(
    lines.map(({ level, event }) => [level, event]),
    [["warn", "behind"]],
  );
  assert.match(String(lines[0]?.msg), /end the server, then snug restore --adopt --data FOLDER$/);
});

test("O10: --log warn says nothing while all is well", async () => {
  await using first = await bootServer();
  await first.close();
  const server = await startLogging(first.options, "warn");
  assert.equal((await fetch(`${server.at.localUrl}/api/library`)).status, 401);
  assert.equal(await server.end(), "");
});

test("O62: of a log that is not read 1 MiB waits, whole lines in order, and nobody waits for it", async () => {
  const script = `
    import { Logger } from ${JSON.stringify(new URL("../src/logger.ts", import.meta.url).href)};
    const logger = new Logger("info");
    for (let connection = 0; connection < 20_000; connection++) logger.write("opened", { connection });
    process.stdout.write("done\\n");`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script]);
  const closed = once(child, "close");
  assert.deepEqual(await once(createInterface(child.stdout), "line"), ["done"]);
  let text = "";
  child.stderr.setEncoding("utf8").on("data", (piece: string) => {
    text += piece;
  });
  assert.deepEqual(await closed, [0, null]);
  const lines = linesOf(text);
  assert.ok(lines.every(({ connection }, at) => connection === at));
  assert.ok(text.length <= 1_048_576 && text.length > 1_048_576 - 1024, `${text.length} bytes`);
});
