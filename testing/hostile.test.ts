import assert from "node:assert/strict";
import { copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { mendLink } from "@snug/protocol";
import type { Browser } from "playwright-core";
import { Person } from "../packages/client/test/people.ts";
import { eventually, launchBrowser, openPerson } from "./browser.ts";
import { ServedServer } from "./served.ts";
import { openTerminal } from "./tmux.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const markup = `<img src=x onerror=alert(1)>`;
const escapes = "\u202egnp.exe\u2066";
const cli = join(root, "packages/cli/bin/snug.mjs");

describe("hostile texts through the real server", () => {
  let folder: string;
  let served: ServedServer;
  let browser: Browser;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "snug-hostile-"));
    const videos = join(folder, "videos");
    await mkdir(videos);
    const sample = join(root, "videos/Test card_240p.mp4");
    for (const name of [markup, `Film${escapes}`, "{{7*7}} & more"]) {
      await copyFile(sample, join(videos, `${name}.mp4`));
    }
    served = await ServedServer.start({ videos });
    browser = await launchBrowser({ spki: "" });
  });

  after(async () => {
    await browser?.close();
    await served?.[Symbol.asyncDispose]();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  it("W15, C2: films and letters are text on the page and in the terminal", async () => {
    await using alice = await Person.join(served.listening.setupLink ?? "", "Alice");
    const { page, faults } = await openPerson(browser, { width: 360, height: 740 });
    page.on("dialog", (dialog) => {
      faults.push(`dialog ${dialog.message()}`);
      void dialog.dismiss();
    });
    const link = mendLink(await alice.client.invite({ uses: 2 }));
    await page.goto(`${served.listening.localUrl}/join${new URL(link).hash}`);
    await page.getByTestId("join-name").fill(markup);
    await page.getByTestId("join-button").click();
    await page
      .locator("#name-problem")
      .getByText(/A name has letters, digits/)
      .waitFor();
    await page.getByTestId("join-name").fill("Bob");
    await page.getByTestId("join-button").click();
    await page.getByTestId("recovery-done").click();
    await alice.until("Bob", (state) => state.phase === "joined" && state.people.length === 2);
    const bob = alice.state.people.find(({ name }) => name === "Bob")?.account;
    assert.ok(bob);
    await alice.client.send(bob, `${markup}\n${escapes} and ${"W".repeat(20_000)}`);
    await page.getByTestId("thread-Alice").click();
    const letter = page.getByTestId("letter-text");
    await letter.waitFor();
    assert.equal(await letter.textContent(), `${markup}\n${escapes} and ${"W".repeat(20_000)}`);
    await page.getByLabel("Back to the chats").click();
    await page.getByTestId("nav-watch").click();
    await page.getByTestId(`title-${markup}`).waitFor();
    const titles = await page.locator('[data-testid^="title-"] strong').allTextContents();
    assert.deepEqual(titles.toSorted(), [markup, "Film\ufffdgnp.exe\ufffd", "{{7*7}} & more"].toSorted());
    assert.equal(await page.locator("img[onerror]").count(), 0);
    assert.deepEqual(
      faults.filter((fault) => !fault.includes("400")),
      [],
    );
    await page.context().close();

    const home = join(folder, "carol");
    await mkdir(home);
    await using terminal = await openTerminal(home, { SNUG_HOME: home, TERM: "xterm-256color" });
    await terminal.type(`clear; '${process.execPath}' '${cli}' join '${link}' --name Carol && clear`);
    await terminal.press("Enter");
    const carol = await eventually("Carol", () =>
      alice.state.people.find((person) => person.name === "Carol"),
    );
    // The command reads what the server has by then.
    const sent = await alice.client.send(carol.account, `before${escapes}after ${"\u0301".repeat(30)}end`);
    await alice.client.settled(sent);
    await terminal.type(`clear; '${process.execPath}' '${cli}' read`);
    await terminal.press("Enter");
    const screen = await terminal.see(/after/);
    assert.match(screen, /before\ufffdgnp\.exe\ufffdafter/);
    assert.doesNotMatch(screen, /[\u202a-\u202e\u2066-\u2069]/);
  });
});
