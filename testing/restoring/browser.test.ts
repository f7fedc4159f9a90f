import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Client } from "@snug/client";
import { openNodeClient } from "@snug/client/node";
import type { AccountId } from "@snug/protocol";
import type { BrowserContext } from "playwright-core";
import { eventually, launchBrowser } from "../browser.ts";
import { released } from "../processes.ts";
import { BrowserSeat, shows } from "../seats.ts";
import { ServedServer, spkiOf } from "../served.ts";

const entry = fileURLToPath(new URL("../../packages/cli/bin/snug.mjs", import.meta.url));
const execute = promisify(execFile);

describe("a person's browser, its server's yesterday and its own", () => {
  let server: ServedServer;
  let data: string;
  let origin: string;
  let profile: string;
  let context: BrowserContext;
  let alice: BrowserSeat;
  let bob: Client;
  let carol: Client;

  before(async () => {
    server = await ServedServer.start();
    data = join(server.folder, "data");
    profile = join(server.folder, "profile");
    await openBrowser();
    const link = server.listening.setupLink ?? "";
    ({ origin } = new URL(link));
    await alice.join(link);
    bob = await openNodeClient({ home: join(server.folder, "bob") });
    await bob.join({ link: await alice.invite(), name: "Bob" });
    carol = await openNodeClient({ home: join(server.folder, "carol") });
    await carol.join({ link: await bob.invite({ uses: 1 }), name: "Carol" });
    await carol.close();
    await alice.open("Bob");
  });

  after(async () => {
    await bob?.close();
    await context?.close();
    await server?.[Symbol.asyncDispose]();
  });

  /** The browser on the person's own profile, as its files are now. */
  async function openBrowser(): Promise<void> {
    context = await launchBrowser({ spki: await spkiOf(server.port), profile });
    const page = await context.newPage();
    alice = new BrowserSeat("Alice", { context, page, faults: [] });
  }

  /** Its files are as they stay then: what Chromium has begun to write it may end after its end. */
  async function close(): Promise<void> {
    await context.close();
    await released(profile);
  }

  async function openAgain(before: () => Promise<void> = async () => undefined): Promise<void> {
    await openBrowser();
    await before();
    await alice.page.goto(origin);
    await alice.page.getByTestId("nav-chats").waitFor();
    await alice.open("Bob");
  }

  const person = (name: string): AccountId => {
    const found = bob.state.phase === "joined" && bob.state.people.find((one) => one.name === name);
    assert.ok(found, `Bob knows ${name}`);
    return found.account;
  };
  const bobHas = async (): Promise<string[]> =>
    (await bob.letters({ thread: person("Alice"), most: 1000 })).map(({ text }) => text);
  const bobReads = (text: string): Promise<unknown> =>
    eventually(`Bob has ${text}`, async () => (await bobHas()).includes(text));
  const bobWrites = async (text: string): Promise<void> => {
    await bob.settled(await bob.send(person("Alice"), text));
  };
  const reaches = (text: string, wanted: string): Promise<unknown> =>
    eventually(`${text} is ${wanted}`, async () => (await alice.progress(text)) === wanted);

  async function restore(file: string, key: string): Promise<void> {
    const child = spawn(process.execPath, [entry, "restore", file, "--data", data], {
      stdio: ["pipe", "ignore", "inherit"],
    });
    child.stdin.end(key);
    assert.deepEqual(await once(child, "exit"), [0, null]);
  }

  /** Ids of the rows in all inboxes of the server. */
  function rowIds(): string[] {
    const database = new DatabaseSync(join(data, "snug.db"), { readOnly: true });
    try {
      const rows = database.prepare("SELECT device || message || stream AS id FROM rows ORDER BY id").all();
      return rows.map(({ id }) => String(id));
    } finally {
      database.close();
    }
  }

  it("D18, D21, C28, C29, C30: a page that is open goes through a restore: its keys stay, what came after the backup comes back, nothing is there twice", async () => {
    await alice.write("before the backup");
    await bobReads("before the backup");
    const file = join(server.folder, "yesterday.age");
    const { stdout: key } = await execute(process.execPath, [entry, "backup", file, "--data", data]);
    await alice.write("written after it");
    await bobReads("written after it");
    await bobWrites("answered after it");
    const all = ["before the backup", "written after it", "answered after it"];
    await shows(alice, all);
    await reaches("written after it", "delivered");
    const lost = rowIds();
    await alice.page.evaluate(() => {
      document.documentElement.dataset.life = "the same";
    });

    await server.stop("SIGKILL");
    await rename(data, join(server.folder, "gone"));
    await restore(file, key);
    assert.ok(rowIds().length < lost.length);
    await server.restart("SIGKILL");

    await alice.alarm(/The server was restored from a backup of .* brought back from here/);
    await eventually(
      "Bob is back",
      () => bob.state.phase === "joined" && bob.state.connection.is === "online",
    );
    await eventually("all rows are back", () => lost.every((id) => rowIds().includes(id)));
    await shows(alice, all);
    assert.deepEqual(await bobHas(), all);
    await alice.write("and on we go");
    await bobReads("and on we go");
    await reaches("and on we go", "delivered");
    await shows(alice, [...all, "and on we go"]);
    assert.equal(await alice.page.evaluate(() => document.documentElement.dataset.life), "the same");
    assert.doesNotMatch(await alice.screen(), /stopped/i);
    // Carol's device may know rows of hers that the server lacks: nothing takes their place before the operator says so.
    await alice.open("Carol");
    await alice.write("are you there?");
    assert.equal(await alice.progress("are you there?"), "waiting");
    await execute(process.execPath, [entry, "restore", "--finish", "--data", data]);
    await alice.open("Bob");
  });

  it("C32: a browser that has no room says so and sends nothing; what comes meanwhile is kept for it, and shown once", async () => {
    await context.close();
    // Chromium asks how much room there is when it opens a database, and keeps the answer for a while.
    let giveRoom = async (): Promise<void> => undefined;
    await openAgain(async () => {
      const tools = await context.newCDPSession(alice.page);
      await tools.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 1 });
      giveRoom = async () => void (await tools.send("Storage.overrideQuotaForOrigin", { origin }));
    });
    // The letters come a moment after the composer.
    await shows(alice, ["before the backup", "written after it", "answered after it", "and on we go"]);
    const before = await alice.letters();
    await alice.write("no room for this");
    await eventually("she is told", async () =>
      /room|space|disk|full/i.test((await alice.page.locator("#composer-problem").textContent()) ?? ""),
    );
    assert.equal(await alice.page.getByTestId("composer").inputValue(), "no room for this");
    assert.deepEqual(await alice.letters(), before);
    const id = await bob.send(person("Alice"), "can you hear me?");
    await bob.settled(id);
    const ofBob = async (): Promise<string | undefined> =>
      (await bob.letters({ thread: person("Alice"), most: 10 })).find((one) => one.id === id)?.state.is;
    assert.equal(await ofBob(), "accepted");
    assert.ok(!(await bobHas()).includes("no room for this"));

    await giveRoom();
    await alice.page.getByTestId("send").click();
    await bobReads("no room for this");
    await eventually("it is delivered", async () => (await ofBob()) === "delivered");
    // It is delivered once it is kept, which the page shows a moment later.
    const texts = ["no room for this", "can you hear me?"];
    await eventually("both are shown", async () => {
      const now = await alice.letters();
      return texts.every((text) => now.includes(text));
    });
    const now = await alice.letters();
    for (const text of texts) assert.equal(now.filter((one) => one === text).length, 1, text);
  });

  it("C11, C13: a browser whose files of yesterday were put back says so, sends and shows nothing twice, gets back what it lacks, and goes on", async () => {
    await close();
    await cp(profile, `${profile} of yesterday`, { recursive: true });
    await openAgain();
    await alice.write("of today, from here");
    await bobReads("of today, from here");
    // Her copy lies in her inbox then, in front of what Bob writes: in this order both come again.
    await reaches("of today, from here", "delivered");
    await bobWrites("of today, from Bob");
    await shows(alice, ["of today, from here", "of today, from Bob"]);
    await close();
    await rm(profile, { recursive: true });
    await rename(`${profile} of yesterday`, profile);

    await openAgain();
    await alice.alarm(/put back to an older state/);
    await shows(alice, ["of today, from here", "of today, from Bob"]);
    await alice.write("after all of it");
    await bobReads("after all of it");
    await reaches("after all of it", "delivered");
    const all = await bobHas();
    assert.equal(new Set(all).size, all.length, "nothing twice at Bob's");
    assert.deepEqual((await alice.letters()).sort(), all.sort());
  });

  it("D19: `snug restore --finish` beside the running server has ended the waiting for a device that stays away", async () => {
    await alice.open("Carol");
    await reaches("are you there?", "kept");
  });
});
