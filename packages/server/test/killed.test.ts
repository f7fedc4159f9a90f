import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { RequestOf, ResponseOf, ServerId } from "@snug/protocol";
import { bootServer } from "../../../testing/server.ts";
import { joinRaw, letterTo, type Wire, type WireServer } from "../../../testing/wire.ts";
import type { ServerOptions } from "../src/index.ts";

interface Child extends WireServer, AsyncDisposable {
  readonly process: ChildProcess;
}

/** The server in a process of its own; killed when disposed. */
async function spawnServer(options: ServerOptions): Promise<Child> {
  const script = fileURLToPath(new URL("./serverProcess.ts", import.meta.url));
  const child = spawn(process.execPath, [script, JSON.stringify(options)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const [line] = (await once(createInterface(child.stdout), "line")) as [string];
  const { port, serverId } = JSON.parse(line) as { port: number; serverId: ServerId };
  return {
    process: child,
    serverId,
    localUrl: `http://localhost:${port}`,
    setupLink: async () => null,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

/** Sends letters without waiting; an answer is undefined when the connection broke before it came. */
function sendMany(
  wire: Wire,
  letters: readonly RequestOf<"submit">[],
): Promise<ResponseOf<"submit"> | undefined>[] {
  return letters.map((letter) => wire.request("submit", letter).catch(() => undefined));
}

test("D8: killed in the middle of submits, the server lost no acknowledged row and doubles none", async () => {
  await using first = await bootServer();
  const alice = await joinRaw(first, "alice");
  const { inbox, incarnation } = alice;
  await first.close();
  const letters: RequestOf<"submit">[] = [];
  const answers: (ResponseOf<"submit"> | undefined)[] = [];
  // A server that had answered all of them by the time the signal came was not killed in the middle.
  while (!answers.includes(undefined)) {
    await using child = await spawnServer(first.options);
    await using wire = await alice.connect(child);
    const next = Array.from({ length: 2000 }, (_, at) => letterTo(inbox, letters.length + at + 1));
    letters.push(...next);
    const sent = sendMany(wire, next);
    await sent[300];
    child.process.kill("SIGKILL");
    await wire.closed;
    answers.push(...(await Promise.all(sent)));
  }
  assert.ok(answers.filter((answer) => answer !== undefined).length > 300);

  await using child = await spawnServer(first.options);
  await using wire = await alice.connect(child);
  // Every outcome that was unclear is asked for again with the same bytes.
  const again = await Promise.all(letters.map((letter) => wire.request("submit", letter)));
  for (const [at, answer] of answers.entries()) if (answer) assert.deepEqual(again[at], answer);
  assert.deepEqual(
    again.map(({ seq }) => seq),
    letters.map(({ counter }) => counter),
  );
  const { head } = await wire.request("stream-read", { stream: inbox, incarnation, after: 0 });
  assert.equal(head, letters.length);
});

test("P27: SIGTERM to the server's own process ends it in order and by itself", async () => {
  await using first = await bootServer();
  await first.close();
  await using child = await spawnServer(first.options);
  const exited = once(child.process, "exit");
  child.process.kill("SIGTERM");
  assert.deepEqual(await exited, [0, null]);
});
