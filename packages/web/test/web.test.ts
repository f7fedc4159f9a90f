import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { limits } from "@snug/protocol";
import type { Browser, BrowserContext, Locator, Page } from "playwright-core";
import { eventually, launchBrowser, standsStill } from "../../../testing/browser.ts";
import type { Scenario } from "./fakeClient.ts";
import { buildRoom, type Room, serveRoom } from "./serveRoom.ts";

const axeFile = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const testCard = "VGVzdCBjYXJkLS0tLS0tLA";
const lena = "TGVuYS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0";

interface Violation {
  readonly id: string;
  readonly impact: string;
  readonly where: readonly string[];
}

describe("the web client under the server's policy", () => {
  let folder: string;
  let room: Room;
  let browser: Browser;
  let axe: string;
  const contexts: BrowserContext[] = [];
  const faults: string[] = [];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "snug-web-"));
    await buildRoom(folder);
    room = await serveRoom(folder);
    browser = await launchBrowser({ spki: "" });
    axe = await readFile(axeFile, "utf8");
  });

  afterEach(async () => {
    for (const context of contexts.splice(0)) await context.close();
  });

  after(async () => {
    await browser?.close();
    await room?.[Symbol.asyncDispose]();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  async function open(of: {
    readonly scenario: Scenario["room"];
    readonly path: string;
    readonly phone?: boolean;
    readonly dark?: boolean;
    readonly before?: (context: BrowserContext) => Promise<unknown>;
  }): Promise<Page> {
    const context = await browser.newContext({
      viewport: of.phone ? { width: 390, height: 844 } : { width: 1280, height: 800 },
      colorScheme: of.dark ? "dark" : "light",
      locale: "en-US",
    });
    contexts.push(context);
    await context.addCookies([{ name: "room", value: of.scenario, url: room.origin }]);
    await of.before?.(context);
    const page = await context.newPage();
    watch(page);
    await page.goto(room.origin + of.path);
    return page;
  }

  function watch(page: Page): void {
    page.on("pageerror", (error) => faults.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error") faults.push(message.text());
    });
  }

  /** What axe calls serious or critical; run through the debugger, since the page itself may not evaluate text. */
  async function seriousFaults(page: Page): Promise<readonly Violation[]> {
    await standsStill(page);
    const debug = await page.context().newCDPSession(page);
    const { result } = await debug.send("Runtime.evaluate", {
      expression: `(async () => { ${axe}
        const { violations } = await axe.run();
        return JSON.stringify(violations.map(({ id, impact, nodes }) =>
          ({ id, impact, where: nodes.map(({ target }) => target.join(" ")) }))); })()`,
      awaitPromise: true,
      returnByValue: true,
      allowUnsafeEvalBlockedByCSP: true,
    });
    const violations = JSON.parse(String(result.value)) as Violation[];
    return violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  }

  it("W1: the invite leaves the address bar and the history before anything is shown", async () => {
    const page = await open({ scenario: "new", path: "/join#secret" });
    await page.getByTestId("join-name").waitFor();
    assert.equal(page.url(), `${room.origin}/join`);
    assert.equal(await page.evaluate(() => history.length), 2);
  });

  it("W2: joining shows the recovery code until it is written down, then the rooms", async () => {
    const page = await open({ scenario: "new", path: "/join#link" });
    await page.getByTestId("join-name").fill("Lena");
    await page.getByTestId("join-button").click();
    await page.getByText("This name is taken here, choose another.").waitFor();
    await page.getByTestId("join-name").fill("Tomasz");
    await page.getByTestId("join-button").click();
    assert.match(
      (await page.getByTestId("recovery-code").textContent()) ?? "",
      /^([A-Z0-9]{4}-){6}[A-Z0-9]{4}$/,
    );
    await page.getByTestId("recovery-done").click();
    await page.getByText("You are the first here").waitFor();
    assert.equal(page.url(), `${room.origin}/chats`);
    assert.equal(await page.getByTestId("recovery-code").count(), 0);
  });

  it("W3: a letter goes out by Enter, keeps its lines by Shift+Enter, and says how far it has come", async () => {
    const page = await open({ scenario: "full", path: `/chats/${lena}` });
    const composer = page.getByTestId("composer");
    await composer.pressSequentially("two");
    await composer.press("Shift+Enter");
    await composer.pressSequentially("lines");
    await composer.press("Enter");
    const letter = page.getByTestId("letter").filter({ hasText: "lines" });
    await letter.waitFor();
    assert.equal(await letter.getByTestId("letter-text").textContent(), "two\nlines");
    await eventually("delivered", async () => (await letter.getAttribute("data-state")) === "delivered");
    assert.match((await letter.textContent()) ?? "", /delivered$/);
    assert.equal(await composer.inputValue(), "");
  });

  it("W4: 64 KiB are a letter, one byte more is refused with both sizes", async () => {
    const page = await open({ scenario: "full", path: `/chats/${lena}` });
    await page.getByTestId("composer").fill("ä".repeat(32_768));
    assert.equal(await page.getByTestId("send").isEnabled(), true);
    await page.getByTestId("composer").fill(`${"ä".repeat(32_768)}.`);
    assert.equal(await page.getByTestId("send").isEnabled(), false);
    await page.getByText("This is 64.0 KiB; a letter holds 64 KiB.").waitFor();
  });

  it("W5: a letter that arrives is announced, and the view stays at its end", async () => {
    const page = await open({ scenario: "full", path: `/chats/${lena}` });
    await page.getByTestId("composer").fill("echo");
    await page.getByTestId("send").click();
    await page.getByTestId("letter").filter({ hasText: "an echo" }).waitFor();
    await eventually("announced", () =>
      page.locator("[aria-live=polite]", { hasText: "Letter from Lena: an echo" }).count(),
    );
    assert.equal(
      await page.getByText("Letter number 1", { exact: true }).count(),
      0,
      "what is far above is not in the page",
    );
  });

  it("W5: letters that come all at once leave the view at its end, and where it is for whoever reads above", async () => {
    const page = await open({ scenario: "full", path: `/chats/${lena}` });
    const arrive = async (count: number): Promise<void> => {
      const [worker] = page.workers();
      await worker?.evaluate(
        (of) => (globalThis as unknown as { arrive(of: number): Promise<void> }).arrive(of),
        count,
      );
    };
    const view = page.getByLabel("Letters with Lena");
    const newest = (count: number) => page.getByTestId("letter-text").getByText(`Of many the ${count}.`);
    const fromEnd = () => view.evaluate((of) => of.scrollHeight - of.scrollTop - of.clientHeight);
    await page.getByTestId("letter").last().waitFor();
    await arrive(70);
    await newest(70).waitFor();
    await eventually("at the end", async () => (await fromEnd()) < 2);
    await view.hover();
    await page.mouse.wheel(0, -1500);
    await eventually("above", async () => (await fromEnd()) > 1000);
    /** What is read, and where it stands once it has been drawn. */
    const read = () =>
      view.evaluate(async (of) => {
        for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
        const { top } = of.getBoundingClientRect();
        const letters = [...of.querySelectorAll("[data-testid=letter]")];
        const places = letters.map(
          (one) => [one.textContent, one.getBoundingClientRect().top - top] as const,
        );
        return places.find(([, place]) => place > 0);
      });
    let before = await read();
    await eventually("it stands still", async () => {
      const [earlier, now] = [before, await read()];
      before = now;
      return JSON.stringify(now) === JSON.stringify(earlier);
    });
    const far = await fromEnd();
    await arrive(80);
    await eventually("they are below", async () => (await fromEnd()) > far + 2000);
    assert.deepEqual(await read(), before);
  });

  it("W6: one tab owns keys and store; another says so, and takes over when asked", async () => {
    const first = await open({ scenario: "full", path: "/people" });
    await first.getByTestId("person-Lena").waitFor();
    const second = await first.context().newPage();
    watch(second);
    await second.goto(`${room.origin}/people`);
    await second.getByTestId("use-here").click();
    await second.getByTestId("person-Lena").waitFor();
    await first.getByText("Snug is open in another tab").waitFor();
    await second.close();
    await first.getByTestId("use-here").click();
    await first.getByTestId("person-Lena").waitFor();
  });

  it("W6: a lock that nobody speaks for, as of a page that was just left, is waited for", async () => {
    const before = async (context: BrowserContext): Promise<void> => {
      const left = await context.newPage();
      await left.goto(`${room.origin}/fixture.json`);
      await left.evaluate(async () => {
        const held = Promise.withResolvers<void>();
        const asked = navigator.locks.request("snug-owner", () => {
          held.resolve();
          return new Promise((resolve) => setTimeout(resolve, 1000));
        });
        await Promise.race([held.promise, asked]);
      });
    };
    const page = await open({ scenario: "full", path: "/people", before });
    await page.getByTestId("person-Lena").or(page.getByTestId("use-here")).waitFor();
    assert.equal(await page.getByTestId("use-here").count(), 0);
  });

  it("W7: without storage or signatures the page says what is missing instead of starting", async () => {
    const without = (script: string) => (context: BrowserContext) => context.addInitScript(script);
    const bare = await open({
      scenario: "full",
      path: "/",
      before: without("Object.defineProperty(globalThis, 'indexedDB', { value: undefined })"),
    });
    await bare.getByText("This browser keeps nothing").waitFor();
    const old = await open({
      scenario: "full",
      path: "/",
      before: without("SubtleCrypto.prototype.generateKey = () => Promise.reject(new DOMException('no'))"),
    });
    await old.getByText("Ed25519 signatures").waitFor();
  });

  it("W8 C40: changed keys are loud, hold letters back, and are settled by a person; a letter of a device that was ended is marked", async () => {
    const page = await open({ scenario: "changed", path: `/chats/${lena}` });
    const banner = page.getByTestId("key-changed");
    await banner.waitFor();
    await page.getByText("Not sent: Lena’s keys changed").waitFor();
    const marked = page.getByTestId("letter").filter({ has: page.getByTestId("sender-end") });
    assert.match((await marked.textContent()) ?? "", /المكان.*Written on a device that was ended since/);
    await banner.getByRole("button", { name: "Compare the safety number" }).click();
    // The place of the number is there before the number.
    await page.getByTestId("safety-number").getByText("13579").waitFor();
    await page.getByTestId("mark-verified").click();
    await page.keyboard.press("Escape");
    await eventually("gone", async () => (await banner.count()) === 0);
  });

  it("W9: a server that is gone is said once, and letters wait", async () => {
    const page = await open({ scenario: "offline", path: `/chats/${lena}` });
    await page.getByTestId("server-gone").waitFor();
    await page.getByTestId("composer").fill("later");
    await page.getByTestId("send").click();
    const letter = page.getByTestId("letter").filter({ hasText: "later" });
    assert.match((await letter.textContent()) ?? "", /waiting$/);
  });

  it("W9: a browser that can keep nothing more says that, and not that the server is gone", async () => {
    const page = await open({ scenario: "diskless", path: "/people" });
    const banner = page.getByTestId("disk-full");
    await banner.waitFor();
    assert.match(
      (await banner.textContent()) ?? "",
      /^This device's disk takes nothing more \(quota\): make room/,
    );
    assert.equal(await page.getByTestId("server-gone").count(), 0);
  });

  it("W10: leaving asks for the name; signing out says what is erased", async () => {
    const page = await open({ scenario: "full", path: "/settings" });
    await page.getByTestId("leave").click();
    await page.getByTestId("leave-name").fill("tomasz");
    assert.equal(await page.getByTestId("leave-confirm").isEnabled(), false);
    await page.getByTestId("leave-name").fill("Tomasz");
    await page.getByTestId("leave-confirm").click();
    await page.getByText("Your account is removed.").waitFor();
  });

  it("W22: blocking asks first and says what it means; a blocked person is shown as such, until unblocked", async () => {
    for (const phone of [false, true]) {
      const page = await open({ scenario: "full", path: `/chats/${lena}`, phone, dark: phone });
      await page.getByTestId("person-details").click();
      await page.getByTestId("block").click();
      await page.getByText("The server will refuse letters from Lena").waitFor();
      assert.deepEqual(await seriousFaults(page), []);
      await page.getByTestId("block-confirm").click();
      await page.getByTestId("unblock").waitFor();
      await page.keyboard.press("Escape");
      await page.getByText("You have blocked Lena.").waitFor();
      assert.equal(await page.getByTestId("composer").count(), 0);
      await page.getByTestId("person-details").click();
      await page.getByTestId("unblock").click();
      await page.getByTestId("block").waitFor();
      await page.keyboard.press("Escape");
      await page.getByTestId("composer").waitFor();
    }
  });

  it("W23: links that still let somebody in are listed with uses left and end, each can be ended and, where it was made, shown again", async () => {
    for (const phone of [false, true]) {
      const page = await open({ scenario: "full", path: "/people", phone, dark: phone });
      await page.getByTestId("invite-make").click();
      const links = page.getByTestId("open-invite");
      await links.first().waitFor();
      const said = await links.allTextContents();
      assert.match(said[0] ?? "", /^10 peoplemade .+, on another device, good until .+[AP]M$/);
      assert.match(said[1] ?? "", /^one personmade .+[AP]M, good until .+Show$/);
      assert.deepEqual(await seriousFaults(page), []);
      await page.getByTestId("show-invite").click();
      await page.getByText("This link lets one person in, until").waitFor();
      assert.match((await page.getByTestId("invite-link").textContent()) ?? "", /\/join#o2/);
      assert.deepEqual(await seriousFaults(page), []);
      await page.getByTestId("invite-others").click();
      await page.getByTestId("revoke-invite").first().click();
      await eventually("it is gone", async () => (await links.count()) === 1);
      assert.match((await links.textContent()) ?? "", /^one person/);
    }
  });

  it("W24: looking at the links makes none; a press makes one, and at the bound it is said why not", async () => {
    const page = await open({ scenario: "full", path: "/people" });
    const links = page.getByTestId("open-invite");
    for (let look = 0; look < 3; look++) {
      await page.getByTestId("invite-make").click();
      await links.first().waitFor();
      assert.equal(await links.count(), 2);
      await page.keyboard.press("Escape");
      await links.first().waitFor({ state: "hidden" });
    }
    await page.getByTestId("invite-make").click();
    for (let made = 2; made < limits.invites; made++) {
      await page.getByTestId(made % 2 ? "invite-one" : "invite-several").click();
      await page.getByTestId("invite-others").click();
      await eventually("listed", async () => (await links.count()) === made + 1);
    }
    await page.getByTestId("invite-one").click();
    await page.getByText("You have too many open invites.").waitFor();
    assert.equal(await page.getByTestId("invite-link").count(), 0);
  });

  it("W25: in front of a film stand loud notices and the stop, in full screen too, and nothing quiet", async () => {
    for (const phone of [false, true]) {
      const changed = await open({ scenario: "changed", path: `/watch/${testCard}`, phone, dark: phone });
      await changed.getByTestId("player").waitFor();
      const notice = changed.getByTestId("notice");
      await notice.first().waitFor();
      assert.deepEqual(await notice.allTextContents(), [
        "A letter from Marek could not be verified and was not opened.",
      ]);
      assert.deepEqual(await seriousFaults(changed), []);
      await changed.keyboard.press("f");
      await eventually("full screen", () => changed.locator(":fullscreen").getByTestId("notice").isVisible());
      // The window takes its new size a moment after that.
      await eventually("it covers nothing", async () => {
        const above = await notice.boundingBox();
        const picture = await changed.getByTestId("player").boundingBox();
        return above && picture && above.y + above.height <= picture.y + 1;
      });
      await notice.getByRole("button", { name: "Dismiss" }).click();
      await eventually("gone", async () => (await notice.count()) === 0);
      const stopped = await open({ scenario: "stopped", path: `/watch/${testCard}`, phone, dark: phone });
      await stopped.getByText("Films can’t be opened while").waitFor();
      assert.match(
        (await stopped.getByTestId("server-stopped").textContent()) ?? "",
        /Ask whoever runs the server/,
      );
      assert.deepEqual(await seriousFaults(stopped), []);
    }
  });

  it("W26: on a phone of 360 px every control of a film is on screen", async () => {
    const page = await open({ scenario: "full", path: `/watch/${testCard}`, phone: true });
    await page.setViewportSize({ width: 360, height: 640 });
    const full = page.getByRole("button", { name: "Full screen" });
    await full.waitFor();
    await eventually("it is on screen", async () => {
      const box = await full.boundingBox();
      return box && box.x + box.width <= 360;
    });
    // As long as a film's time can be.
    const time = page.getByTestId("player-time");
    await time.evaluate((element) => element.firstChild?.replaceWith("10:48:07"));
    const after = await full.boundingBox();
    assert.ok(after && after.x + after.width <= 360, JSON.stringify(after));
  });

  for (const [phone, dark] of [
    [false, false],
    [true, true],
  ] as const) {
    it(`W11: axe finds nothing serious, ${phone ? "phone" : "wide"} and ${dark ? "dark" : "light"}`, async () => {
      const screens: readonly [Scenario["room"], string, string][] = [
        ["new", "/join#link", "join-name"],
        ["empty", "/chats", "nav-chats"],
        ["changed", `/chats/${lena}`, "key-changed"],
        ["full", "/people", "person-Lena"],
        ["full", "/watch", "title-Test card"],
        ["full", "/settings", "leave"],
      ];
      for (const [scenario, path, sign] of screens) {
        const page = await open({ scenario, path, phone, dark });
        await page.getByTestId(sign).waitFor();
        assert.deepEqual(await seriousFaults(page), [], `${scenario} ${path}`);
      }
      const page = await open({ scenario: "full", path: "/people", phone, dark });
      await page.getByTestId("safety-Marek").click();
      await page.getByTestId("mark-verified").waitFor();
      assert.deepEqual(await seriousFaults(page), [], "the safety number");
    });
  }

  it("W12: on a phone one pane stands at a time, with the composer on screen", async () => {
    const page = await open({ scenario: "full", path: "/chats", phone: true });
    await page.getByTestId("thread-Lena").click();
    await page.getByTestId("composer").waitFor();
    assert.equal(await page.getByTestId("thread-Lena").isVisible(), false);
    const box = await page.getByTestId("composer").boundingBox();
    assert.ok(box && box.y + box.height <= 844);
    await page.getByLabel("Back to the chats").click();
    await page.getByTestId("thread-Lena").waitFor();
  });

  /** A dialog takes the focus, or gets it back, a moment after it is drawn: a key pressed before would be another place's. */
  const hasFocus = (dialog: Locator): Promise<unknown> =>
    eventually("it has the focus", () => dialog.evaluate((of) => of.contains(document.activeElement)));

  it("W14: an administrator gives a role, ends a device and removes somebody, by keyboard, each asked about first", async () => {
    const page = await open({ scenario: "full", path: "/people" });
    await page.getByTestId("safety-Marek").click();
    const sheet = page.getByRole("dialog", { name: "Marek", exact: true });
    await hasFocus(sheet);
    const manage = page.getByRole("region", { name: "Manage" });
    await manage.getByTestId("change-role").press("Enter");
    await manage.getByText("Make a member again").waitFor();
    await manage.getByTestId("end-device-1").press("Enter");
    const confirm = page.getByRole("dialog", { name: "End a device of Marek?" });
    await confirm.getByText("stays on this server with their other devices").waitFor();
    await hasFocus(confirm);
    await confirm.getByRole("button", { name: "Keep" }).press("Enter");
    await confirm.waitFor({ state: "hidden" });
    await manage.getByTestId("end-device-1").click();
    await hasFocus(confirm);
    await confirm.getByTestId("manage-confirm").press("Enter");
    await confirm.waitFor({ state: "hidden" });
    await eventually("ended", async () => (await manage.getByTestId("end-device-1").count()) === 0);
    await manage.getByTestId("end-device-2").click();
    await confirm.getByText("It is the only one").waitFor();
    await hasFocus(confirm);
    await confirm.getByRole("button", { name: "Keep" }).press("Enter");
    await confirm.waitFor({ state: "hidden" });
    await hasFocus(sheet);
    await manage.getByTestId("remove-person").press("Enter");
    const farewell = page.getByRole("dialog", { name: "Remove Marek?" });
    assert.deepEqual(await seriousFaults(page), [], "the question");
    await hasFocus(farewell);
    await farewell.getByTestId("manage-confirm").press("Enter");
    await farewell.waitFor({ state: "hidden" });
    await eventually("not managed any more", async () => (await manage.count()) === 0);
    await page.getByText("Removed from this server").waitFor();
  });

  it("W13: nothing above broke the policy or failed unseen", () => {
    assert.deepEqual(faults, []);
  });
});
