import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { test } from "node:test";
import type { ServerId } from "@snug/protocol";
import { bootServer } from "../../../testing/server.ts";
import { joinRaw } from "../../../testing/wire.ts";

test("P26: the log names routes by their patterns, without grants, tokens, queries or ids", async () => {
  await using first = await bootServer();
  const alice = await joinRaw(first, "alice");
  await first.close();
  const script = new URL("./serverProcess.ts", import.meta.url).pathname;
  const options = JSON.stringify({ ...first.options, log: "info" });
  const child = spawn(process.execPath, [script, options], { stdio: ["ignore", "pipe", "pipe"] });
  const exited = once(child, "exit");
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    log += text;
  });
  const [line] = (await once(createInterface(child.stdout), "line")) as [string];
  const { port, serverId } = JSON.parse(line) as { port: number; serverId: ServerId };
  const localUrl = `http://localhost:${port}`;
  const wire = await alice.connect({ localUrl, serverId, setupLink: async () => null });
  const { token } = await wire.request("token-create", {});
  const secret = "SECRETSECRETSECRETSECA";
  const paths = [
    `/m/${secret}/AAAAAAAAAAAAAAAAAAAAAA/x/master.m3u8`,
    `/api/library?key=${secret}`,
    `/api/titles/${secret}`,
    `/${secret}`,
    `/%${secret}`,
  ];
  for (const path of paths)
    await fetch(`${localUrl}${path}`, { headers: { authorization: `Bearer ${token}` } });
  child.kill("SIGTERM");
  await exited;
  assert.ok(log.includes("GET /m/* 404"), log);
  assert.ok(log.includes("GET /api/library 200"), log);
  for (const kept of [secret, token, alice.account]) assert.ok(!log.includes(kept), log);
});
