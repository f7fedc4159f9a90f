import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Person } from "../packages/client/test/people.ts";
import { findings, findingsOfAll } from "./axe.ts";
import { launchBrowser, openPerson } from "./browser.ts";
import { ServedServer, spkiOf } from "./served.ts";

describe("accessibility", () => {
  it("J10: no screen has a serious or critical finding, wide and phone, light and dark; a planted one is found", async () => {
    await using server = await ServedServer.start();
    const browser = await launchBrowser({ spki: await spkiOf(server.port) });
    try {
      const { page } = await openPerson(browser);
      const judge = async (screen: string) => {
        assert.deepEqual(await findingsOfAll(page), [], screen);
      };
      await page.goto(server.listening.localUrl);
      await page.getByTestId("link-field").waitFor();
      await judge("without a link");
      await page.goto(server.listening.setupLink ?? "");
      await page.getByTestId("join-name").waitFor();
      await judge("join");
      await page.getByTestId("join-name").fill("Alice");
      await page.getByTestId("join-button").click();
      await page.getByTestId("recovery-code").waitFor();
      await judge("recovery code");
      await page.getByTestId("recovery-done").click();
      for (const screen of ["chats", "watch", "people", "settings"]) {
        await page.getByTestId(`nav-${screen}`).click();
        if (screen === "watch") await page.getByTestId("title-Test card").waitFor();
        await judge(screen);
      }
      await page.getByTestId("nav-people").click();
      await page.getByTestId("invite-make").click();
      await page.getByTestId("invite-one").waitFor();
      await judge("invites, none open");
      await page.getByTestId("invite-one").click();
      await page.getByTestId("invite-link").waitFor();
      await judge("invite");
      const link = (await page.getByTestId("invite-link").textContent()) ?? "";
      await page.getByTestId("invite-others").click();
      await page.getByTestId("open-invite").waitFor();
      await judge("invites, one open");
      await page.keyboard.press("Escape");
      await using bela = await Person.join(link, "Bela");
      await page.getByTestId(`safety-${bela.state.me.name}`).click();
      await page.getByTestId("remove-person").waitFor();
      await judge("a person whom an administrator looks after");
      await page.getByTestId("remove-person").click();
      await page.getByTestId("manage-confirm").waitFor();
      await judge("the question before a removal");
      await page.keyboard.press("Escape");
      // Of two Escapes at once the second could still be the question's.
      await page.getByTestId("manage-confirm").waitFor({ state: "hidden" });
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
