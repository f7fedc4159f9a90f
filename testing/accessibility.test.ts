import assert from "node:assert/strict";
import { describe, it } from "node:test";
import axe from "axe-core";
import type { Page } from "playwright-core";
import { launchBrowser, openPerson } from "./browser.ts";
import { ServedServer, spkiOf } from "./served.ts";

interface Violation {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
}

/** Serious and critical findings of axe on the page as it stands, in words. */
async function findings(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = (await page.evaluate("axe.run()")) as { violations: Violation[] };
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) =>
      nodes.map((node) => `${id}: ${node.html.slice(0, 120)} ${node.failureSummary}`),
    );
}

const looks = [
  { size: { width: 1280, height: 800 }, colorScheme: "light" },
  { size: { width: 1280, height: 800 }, colorScheme: "dark" },
  { size: { width: 390, height: 844 }, colorScheme: "light" },
  { size: { width: 390, height: 844 }, colorScheme: "dark" },
] as const;

describe("accessibility", () => {
  it("J10: no screen has a serious or critical finding, wide and phone, light and dark; a planted one is found", async () => {
    await using server = await ServedServer.start();
    const browser = await launchBrowser({ spki: await spkiOf(server.port) });
    try {
      const { page } = await openPerson(browser);
      const judge = async (screen: string) => {
        for (const { size, colorScheme } of looks) {
          await page.setViewportSize(size);
          await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
          assert.deepEqual(await findings(page), [], `${screen}, ${size.width} px, ${colorScheme}`);
        }
        await page.setViewportSize(looks[0].size);
      };
      await page.goto(server.listening.localUrl);
      await page.getByTestId("link-field").waitFor();
      await judge("without a link");
      await page.goto(server.listening.setupLink ?? "");
      await page.getByTestId("join-name").waitFor();
      await judge("join");
      await page.getByTestId("join-name").fill("Alice");
      await page.getByTestId("join-button").click();
      await page.getByTestId("recovery-code").waitFor({ timeout: 60_000 });
      await judge("recovery code");
      await page.getByTestId("recovery-done").click();
      for (const screen of ["chats", "watch", "people", "settings"]) {
        await page.getByTestId(`nav-${screen}`).click();
        if (screen === "watch") await page.getByTestId("title-Test card").waitFor();
        await judge(screen);
      }
      await page.getByTestId("nav-people").click();
      await page.getByTestId("invite-make").click();
      await page.getByTestId("invite-link").waitFor();
      await judge("invite");
      await page.keyboard.press("Escape");
      await page.getByTestId("nav-watch").click();
      await page.getByTestId("title-Test card").click();
      await page.getByTestId("video").waitFor();
      await judge("player");
      await page.evaluate(
        `document.body.append(Object.assign(document.createElement("button"), { id: "bare" }))`,
      );
      assert.ok((await findings(page)).some((finding) => finding.startsWith("button-name")));
    } finally {
      await browser.close();
    }
  });
});
