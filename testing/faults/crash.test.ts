import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { Person } from "../../packages/client/test/people.ts";
import { eventually, launchBrowser, tall } from "../browser.ts";
import { ServedServer, spkiOf } from "../served.ts";

/** All letters of the open thread as the page shows them, with their states. */
function shown(page: Page): Promise<{ text: string; state: string | null }[]> {
  return page.getByTestId("letter").evaluateAll((letters) =>
    letters.map((letter) => ({
      text: /round \d+, letter \d+\./.exec(letter.textContent ?? "")?.[0] ?? "",
      state: letter.getAttribute("data-state"),
    })),
  );
}

async function openThread(page: Page, name: string): Promise<void> {
  await page.getByTestId("nav-people").click();
  await page.getByTestId(`person-${name}`).click();
  await page.getByTestId("composer").waitFor();
}

/** Ends the tab's process, with its worker, as a fault in it would. */
async function crash(page: Page): Promise<void> {
  const crashed = new Promise((resolve) => page.once("crash", resolve));
  const session = await page.context().newCDPSession(page);
  // There is nobody left to answer.
  session.send("Page.crash").catch(() => undefined);
  await crashed;
  await page.close();
}

test("C8, C9, C25: a tab that crashes in the middle of sending has kept what it showed; each letter arrives once, in order", async (t) => {
  await using server = await ServedServer.start();
  await using alice = await Person.join(server.listening.setupLink ?? "", "Alice");
  const link = await alice.client.invite({ uses: 1 });
  const browser = await launchBrowser({ spki: await spkiOf(server.port) });
  try {
    const context = await browser.newContext({ viewport: tall });
    let page = await context.newPage();
    await page.goto(link);
    await page.getByTestId("join-name").fill("Bob");
    await page.getByTestId("join-button").click();
    await page.getByTestId("recovery-done").click();
    await openThread(page, "Alice");
    const kept: string[] = [];
    for (let round = 1; round <= 3; round++) {
      for (let number = 1; number <= 2 * round + 2; number++) {
        await page.getByTestId("composer").fill(`round ${round}, letter ${number}.`);
        await page.getByTestId("send").click();
      }
      const last = kept.at(-1);
      // At another step each time: as soon as the first letter of the round is shown, the second, the third.
      await page
        .getByTestId("letter")
        .filter({ hasText: `round ${round}, letter ${round}.` })
        .waitFor();
      const seen = await shown(page);
      const before = seen.map(({ text }) => text);
      assert.ok(last === undefined || before.includes(last));
      const underWay = seen.filter(({ state }) => state !== "delivered").length;
      t.diagnostic(`round ${round}: ${underWay} of ${seen.length} letters under way at the crash`);
      await crash(page);

      page = await context.newPage();
      await page.goto(new URL(link).origin);
      await openThread(page, "Alice");
      let after: string[] = [];
      // All of them: those nearest to the end are drawn first.
      await eventually("everything is delivered", async () => {
        const letters = await shown(page);
        after = letters.map(({ text }) => text);
        const all = after.includes("round 1, letter 1.") && after.length >= before.length;
        return all && letters.every(({ state }) => state === "delivered");
      });
      assert.deepEqual(after.slice(0, before.length), before, "what was shown is still there");
      kept.splice(0, kept.length, ...after);
      const bob = alice.state.people.find(({ name }) => name === "Bob")?.account;
      assert.ok(bob);
      assert.deepEqual(await alice.texts(bob), after);
      assert.equal(new Set(after).size, after.length);
    }
  } finally {
    await browser.close();
  }
});
