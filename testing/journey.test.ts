import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { type BrowserPerson, eventually, launchBrowser, openPerson } from "./browser.ts";
import { SAMPLE } from "./counter.ts";
import { FaultProxy } from "./faultProxy.ts";
import { seenPictures, watchPictures } from "./film.ts";
import { ServedServer, spkiOf } from "./served.ts";
import { openTerminal } from "./tmux.ts";

const snug = fileURLToPath(new URL("../packages/cli/bin/snug.mjs", import.meta.url));

/** Opens a link and joins by the page, as a person would. */
async function joinByPage({ page }: BrowserPerson, link: string, name: string): Promise<void> {
  await page.goto(link);
  await page.getByTestId("join-name").fill(name);
  assert.ok(!page.url().includes("#"), "the secret has left the address bar");
  await page.getByTestId("join-button").click();
  const code = await page.getByTestId("recovery-code").textContent();
  assert.match((code ?? "").replaceAll(/[\s-]/g, ""), /^[0-9A-Z]{26,}$/);
  await page.getByTestId("recovery-done").click();
  await page.getByTestId("nav-chats").waitFor();
}

async function makeInvite({ page }: BrowserPerson): Promise<string> {
  await page.getByTestId("nav-people").click();
  await page.getByTestId("invite-make").click();
  await page.getByTestId("invite-one").click();
  const link = page.getByTestId("invite-link");
  await link.waitFor();
  const text = await link.evaluate((element) =>
    element instanceof HTMLInputElement || element instanceof HTMLTextAreaElement
      ? element.value
      : (element.textContent ?? ""),
  );
  await page.keyboard.press("Escape");
  return text.trim();
}

async function openThread(page: Page, name: string): Promise<void> {
  await page.getByTestId("nav-people").click();
  await page.getByTestId(`person-${name}`).click();
  const write = page.getByTestId("composer");
  await write.waitFor();
}

async function write(page: Page, text: string): Promise<void> {
  await page.getByTestId("composer").fill(text);
  await page.getByTestId("send").click();
}

/** Plays so many seconds before and after a moment, slowly. */
async function playAround(
  page: Page,
  seconds: number,
  { around, rate }: { readonly around: number; readonly rate: number },
): Promise<void> {
  const video = page.getByTestId("video");
  await video.evaluate(
    (element: HTMLVideoElement, of: { from: number; rate: number }) => {
      element.currentTime = of.from;
      element.playbackRate = of.rate;
      return element.play();
    },
    { from: Math.max(0, seconds - around), rate },
  );
  await eventually("it was played", () =>
    video.evaluate(
      (element: HTMLVideoElement, to: number) => element.ended || element.currentTime > to,
      seconds + around,
    ),
  );
  await video.evaluate((element: HTMLVideoElement) => {
    element.pause();
    element.playbackRate = 1;
  });
}

const letter = (page: Page, text: string) => page.getByTestId("letter").filter({ hasText: text });
const stateOf = (page: Page, text: string) => letter(page, text).last().getAttribute("data-state");

describe("the main job", () => {
  let server: ServedServer;
  let browser: Browser;
  let alice: BrowserPerson;
  let bob: BrowserPerson;
  let home: string;
  let line: FaultProxy;

  before(async () => {
    server = await ServedServer.start();
    line = await FaultProxy.to(server.port);
    browser = await launchBrowser({ spki: await spkiOf(server.port) });
    alice = await openPerson(browser);
    bob = await openPerson(browser);
    home = await mkdtemp(join(tmpdir(), "snug-carol-"));
  });

  after(async () => {
    await browser?.close();
    await line?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
    if (home) await rm(home, { recursive: true, force: true });
  });

  it("J1: the setup link makes an administrator, an invite brings a friend, both verified by the link", async () => {
    assert.ok(server.listening.setupLink);
    await joinByPage(alice, server.listening.setupLink, "Alice");
    const link = await makeInvite(alice);
    assert.match(link, /^https:\/\/[^/]+\/join#/);
    // Bob's way to the server is a line that can be cut.
    await joinByPage(bob, link.replace(`:${server.port}/`, `:${line.port}/`), "Bob");
    for (const [person, other] of [
      [alice, "Bob"],
      [bob, "Alice"],
    ] as const) {
      await person.page.getByTestId("nav-people").click();
      await eventually(`${other} is verified`, async () =>
        /(?<!not )verified/i.test((await person.page.getByTestId(`person-${other}`).textContent()) ?? ""),
      );
    }
  });

  it("J2: two browsers write both ways; the sender sees queued, accepted and delivered", async () => {
    await openThread(alice.page, "Bob");
    await openThread(bob.page, "Alice");
    await write(alice.page, "the first words here");
    await letter(bob.page, "the first words here").waitFor();
    await write(bob.page, "and the first answer");
    await letter(alice.page, "and the first answer").waitFor();
    await eventually(
      "delivered",
      async () => (await stateOf(alice.page, "the first words here")) === "delivered",
    );
  });

  it("J3: a letter to somebody without any connection waits, and arrives once on return", async () => {
    line.cut();
    await eventually("Alice sees Bob gone", async () => {
      await alice.page.getByTestId("nav-people").click();
      return /away/.test((await alice.page.getByTestId("person-Bob").textContent()) ?? "");
    });
    await openThread(alice.page, "Bob");
    await write(alice.page, "read this when you are back");
    await eventually(
      "accepted",
      async () => (await stateOf(alice.page, "read this when you are back")) === "accepted",
    );
    assert.equal(await letter(bob.page, "read this when you are back").count(), 0);
    line.mend();
    await letter(bob.page, "read this when you are back").waitFor();
    assert.equal(await letter(bob.page, "read this when you are back").count(), 1);
    await eventually(
      "delivered",
      async () => (await stateOf(alice.page, "read this when you are back")) === "delivered",
    );
  });

  it("J4: the server is killed in the middle of letters; nothing is lost, nothing comes twice", async () => {
    await openThread(alice.page, "Bob");
    await openThread(bob.page, "Alice");
    for (let n = 0; n < 6; n++) {
      await write(alice.page, `over the fall ${n}.`);
      if (n === 2) await server.restart("SIGKILL");
    }
    for (let n = 0; n < 6; n++) {
      await letter(bob.page, `over the fall ${n}.`).waitFor();
      assert.equal(await letter(bob.page, `over the fall ${n}.`).count(), 1);
    }
    await eventually(
      "all delivered",
      async () => (await stateOf(alice.page, "over the fall 5.")) === "delivered",
    );
  });

  it("J5: a third person joins in the terminal and writes with the browser", async () => {
    const link = await makeInvite(alice);
    await using terminal = await openTerminal(home, { SNUG_HOME: join(home, "carol") });
    const shell = `'${process.execPath}' '${snug}'`;
    await terminal.type(`clear; ${shell} join '${link}' --name Carol; echo joined=$?`);
    await terminal.press("Enter");
    await terminal.see(/joined=0/);
    await terminal.type(`clear; ${shell} send Alice 'from the terminal'; echo sent=$?`);
    await terminal.press("Enter");
    await terminal.see(/sent=0/);
    await openThread(alice.page, "Carol");
    await letter(alice.page, "from the terminal").waitFor();
    await terminal.type(`clear; ${shell}`);
    await terminal.press("Enter");
    await terminal.see(/People/);
    await terminal.see(/Videos/);
    await write(alice.page, "welcome, Carol");
    await eventually("delivered", async () => (await stateOf(alice.page, "welcome, Carol")) === "delivered");
    await terminal.see(/Quit/);
    await terminal.press("C-c");
    await terminal.see(/^\S*[#$] *$/m);
    await terminal.type(`clear; ${shell} read Alice`);
    await terminal.press("Enter");
    await terminal.see(/welcome, Carol/);
  });

  it("J6: the film starts at the lowest quality on a thin line and climbs to the highest, no picture lost or doubled", async () => {
    const { page } = bob;
    const tools = await bob.context.newCDPSession(page);
    await tools.send("Network.enable");
    const shape = (bytesPerSecond: number) =>
      tools.send("Network.emulateNetworkConditions", {
        offline: false,
        latency: 20,
        downloadThroughput: bytesPerSecond,
        uploadThroughput: -1,
      });
    await shape(20_000);
    await page.getByTestId("nav-watch").click();
    await watchPictures(page);
    await page.getByTestId("title-Test card").click();
    const first = await eventually("a first picture", async () => (await seenPictures(page))[0]);
    assert.equal(first.rendition, 0, "a thin line starts at 240p");
    await shape(-1);
    const seen = [first];
    await eventually("1440p on screen", async () => {
      seen.push(...(await seenPictures(page)));
      return seen.some((picture) => picture.rendition === 2);
    });
    const video = page.getByTestId("video");
    await video.evaluate((element: HTMLVideoElement) => element.pause());
    seen.push(...(await seenPictures(page)));
    const last = Math.max(...seen.map((picture) => picture.frame ?? 0));
    const missing = () => {
      const right = seen.filter(({ at, frame }) => frame === Math.round((at * SAMPLE.frameRate) / 1e6));
      const shown = new Set(right.map((picture) => picture.frame));
      return Array.from({ length: last + 1 }, (_, frame) => frame).filter((frame) => !shown.has(frame));
    };
    // A busy machine skips pictures, and the watcher may miss one, or look when the next is there already: what was not
    // seen at its own time is played again, slowly, from the same buffer. A picture that the switches lost, or in whose
    // place another stands, stays missing.
    for (let tries = 0; tries < 60 && missing().length > 0; tries++) {
      // Chromium plays no slower than a sixteenth.
      const how = tries < 20 ? { around: 0.3, rate: 0.25 } : { around: 0.1, rate: 0.0625 };
      await playAround(page, (missing()[0] ?? 0) / SAMPLE.frameRate, how);
      seen.push(...(await seenPictures(page)));
    }
    assert.deepEqual(missing(), [], "no picture lost, none doubled, none in another's place");
    const renditions = new Set(seen.map((picture) => picture.rendition));
    assert.ok(renditions.has(0));
    assert.ok(renditions.has(2));
  });

  it("J9: opened again, the film begins with what the line is known to carry", async () => {
    const { page } = bob;
    await page.goBack();
    await page.getByTestId("title-Test card").waitFor();
    await watchPictures(page);
    await page.getByTestId("title-Test card").click();
    const first = await eventually("a first picture", async () => (await seenPictures(page))[0]);
    assert.equal(first.rendition, 2);
  });

  it("J7: a seek lands on its picture, and the film goes on through a restart of the server", async () => {
    const { page } = bob;
    const video = page.getByTestId("video");
    await video.evaluate((element: HTMLVideoElement) => {
      element.pause();
      element.currentTime = 18.55;
    });
    const there = await eventually("the picture at 18.55 s", async () =>
      (await seenPictures(page)).find((picture) => (picture.frame ?? 0) >= 444),
    );
    assert.ok((there.frame ?? 0) < 470);
    await page.reload();
    await video.waitFor();
    await eventually("it plays by itself", () =>
      video.evaluate((element: HTMLVideoElement) => element.currentTime > 0.5),
    );
    await watchPictures(page);
    await server.restart("SIGTERM");
    await video.evaluate((element: HTMLVideoElement) => {
      element.currentTime = 12.1;
      return element.play();
    });
    await eventually("it goes on", async () =>
      (await seenPictures(page)).some((picture) => (picture.frame ?? 0) > 300),
    );
  });

  it("J8: no page had an error, and no policy was broken", () => {
    // A server that is being stopped answers 503 to what was under way, or ends the connection before, in or after the head.
    const ended = /ERR_(CONNECTION|INTERNET|NETWORK|EMPTY_RESPONSE|CONTENT_LENGTH|INCOMPLETE_CHUNKED|SOCKET)/;
    const unexpected = (fault: string) =>
      !ended.test(fault) && !/WebSocket connection|status of 503/.test(fault);
    assert.deepEqual(alice.faults.filter(unexpected), []);
    assert.deepEqual(bob.faults.filter(unexpected), []);
  });
});
