import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Client, createClient } from "@snug/client";
import { nodePlatform, openNodeClient, openNodeStore } from "@snug/client/node";
import type { AccountId } from "@snug/protocol";
import { eventually } from "../browser.ts";
import { compareTexts, sumOf, textOf } from "../killing/findings.ts";
import { ServedServer } from "../served.ts";

const entry = fileURLToPath(new URL("../../packages/cli/bin/snug.mjs", import.meta.url));
/** Letters of each writer that wait for the server's word. */
const window = 4;

/** A real client that writes to its partner as fast as it may, and what it was promised. */
class Writer implements AsyncDisposable {
  readonly kept: string[] = [];
  readonly announced: string[] = [];
  readonly faults: string[] = [];
  acknowledged = 0;
  readonly #client: Client;
  readonly #hints: Set<() => void>;
  #writing: Promise<void> = Promise.resolve();
  #wanted = true;

  private constructor(client: Client, hints: Set<() => void>) {
    this.#client = client;
    this.#hints = hints;
    client.onLetter(({ id }) => {
      if (this.announced.includes(id)) this.faults.push(`told of ${id} twice`);
      this.announced.push(id);
    });
    client.subscribe(() => {
      const { state } = client;
      if (state.phase === "joined" && state.connection.is === "stopped")
        this.faults.push(state.connection.why);
    });
  }

  static async join(folder: string, name: string, link: string): Promise<Writer> {
    const hints = new Set<() => void>();
    const platform = {
      ...nodePlatform(),
      onNetwork: (listener: () => void) => {
        hints.add(listener);
        return () => hints.delete(listener);
      },
    };
    const client = await createClient({ store: await openNodeStore(join(folder, name)), platform });
    await client.join({ link, name });
    return new Writer(client, hints);
  }

  get account(): AccountId {
    const { state } = this.#client;
    if (state.phase !== "joined") throw new Error(`the client is ${state.phase}`);
    return state.me.account;
  }

  get told(): string[] {
    const { state } = this.#client;
    return state.phase === "joined" ? state.notices.map(({ text }) => text) : [];
  }

  write(to: AccountId): void {
    const fault = (error: unknown): void => void this.faults.push(String(error));
    this.#writing = this.#write(to).catch(fault);
  }

  async #write(to: AccountId): Promise<void> {
    const waiting = new Set<Promise<void>>();
    for (let number = 0; this.#wanted; number++) {
      const text = textOf(1, number);
      const id = await this.#client.send(to, text);
      this.kept.push(text);
      const settled = this.#client
        .settled(id)
        .then(() => void this.acknowledged++)
        .finally(() => waiting.delete(settled));
      waiting.add(settled);
      if (waiting.size >= window) await Promise.race(waiting);
    }
    await Promise.all(waiting);
  }

  /** The server may be there again. */
  hint(): void {
    for (const hint of this.#hints) hint();
  }

  async rest(): Promise<void> {
    this.#wanted = false;
    await this.#writing;
  }

  async shown(from: AccountId): Promise<string[]> {
    const letters = await this.#client.letters({ thread: from, most: 1_000_000 });
    return letters.filter((letter) => letter.from === from).map(({ text }) => text);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#client.close();
  }
}

/** Acknowledged by all of them together. */
function sum(writers: readonly Writer[]): number {
  return writers.reduce((all, { acknowledged }) => all + acknowledged, 0);
}

function more(writers: readonly Writer[], count: number): Promise<unknown> {
  const wanted = sum(writers) + count;
  return eventually(`${count} more letters`, async () => sum(writers) >= wanted);
}

async function restore(file: string, data: string, key: string): Promise<void> {
  const child = spawn(process.execPath, [entry, "restore", file, "--data", data], {
    stdio: ["pipe", "ignore", "inherit"],
  });
  child.stdin.end(key);
  const [code] = (await once(child, "exit")) as [number | null];
  assert.equal(code, 0);
}

test("D24, D25, D21, D22, C29, C30: restored from a backup taken under load, the server loses nothing that it acknowledged, nothing is shown twice, and order is kept", async (t) => {
  await using started = new AsyncDisposableStack();
  const served = started.use(await ServedServer.start());
  const data = join(served.folder, "data");
  const admin = await openNodeClient({ home: join(served.folder, "Admin") });
  await admin.join({ link: served.listening.setupLink ?? "", name: "Admin" });
  const link = await admin.invite({ uses: 100 });
  await admin.close();
  const writers: Writer[] = [];
  for (const name of ["Ada", "Ben", "Cleo", "Dora"]) {
    writers.push(started.use(await Writer.join(served.folder, name, link)));
  }
  const [ada, ben, cleo, dora] = writers;
  assert.ok(ada && ben && cleo && dora);
  const pairs = [
    [ada, ben],
    [ben, ada],
    [cleo, dora],
    [dora, cleo],
  ] as const;
  for (const [writer, reader] of pairs) writer.write(reader.account);

  await more(writers, 60);
  const backup = (name: string): Promise<{ stdout: string }> =>
    promisify(execFile)(process.execPath, [entry, "backup", join(served.folder, name), "--data", data]);
  const { stdout: key } = await backup("one.age");
  await backup("two.age");
  const before = sum(writers);
  await more(writers, 120);
  const lostAtMost = sum(writers) - before;
  await served.stop("SIGKILL");
  // The disk is gone; what was written and not sent waits with its writers.
  await rename(data, join(served.folder, "gone"));
  await restore(join(served.folder, "two.age"), data, key);
  await served.restart("SIGKILL");
  for (const writer of writers) writer.hint();
  await more(writers, 60);
  for (const writer of writers) await writer.rest();

  const compare = () =>
    Promise.all(
      pairs.map(async ([writer, reader]) =>
        compareTexts({
          promised: writer.kept,
          acknowledged: writer.acknowledged,
          shown: await reader.shown(writer.account),
        }),
      ),
    );
  await eventually("all letters have arrived", async () =>
    (await compare()).every(({ lost }) => lost.length === 0),
  );
  const { lost, twice, outOfOrder } = sumOf(await compare());
  const faults = writers.flatMap((writer) => writer.faults);
  assert.deepEqual({ lost, twice, outOfOrder, faults }, { lost: [], twice: [], outOfOrder: [], faults: [] });
  for (const writer of writers) {
    assert.equal(writer.told.filter((text) => /^The server was restored from a backup/.test(text)).length, 1);
  }
  t.diagnostic(`${sum(writers)} acknowledged, ${lostAtMost} of them between the backup and the kill`);
  t.diagnostic(writers.flatMap(({ told }) => told).join("\n"));
});
