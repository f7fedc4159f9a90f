import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { LibraryView, mendLink, socketPath, subprotocol } from "@snug/protocol";
import type { Browser, Page } from "playwright-core";
import { Person } from "../packages/client/test/people.ts";
import { eventually, launchBrowser, openPerson } from "./browser.ts";
import { attemptsOn, ForeignSite, type Treasure, tryAll } from "./foreignSite.ts";
import { patience } from "./patience.ts";
import { ServedServer, spkiOf } from "./served.ts";

/** What the person's own page has by its cookie. */
async function treasureOf(page: Page): Promise<Treasure> {
  const got = async (path: string): Promise<string> => {
    const answer = await page.evaluate(async (of) => {
      const came = await fetch(of);
      return { status: came.status, text: await came.text() };
    }, path);
    assert.equal(answer.status, 200, `${path}: ${answer.status}`);
    return answer.text;
  };
  const { titles } = LibraryView.parse(JSON.parse(await got("/api/library")));
  const title = titles.find(({ state, still }) => state === "playable" && still);
  assert.ok(title, "a film that can be played, with its still");
  const base = `/m/me/${title.id}/${title.version}`;
  const [rendition] = title.renditions;
  const paths = (selector: string, attribute: string): Promise<string[]> =>
    page.$$eval(selector, (found, of) => found.map((one) => one.getAttribute(of) ?? ""), attribute);
  const treasure: Treasure = {
    pages: ["/", "/join", "/api/library", `/api/titles/${title.id}`, `${base}/master.m3u8`],
    pictures: [`${base}/still.jpg`],
    scripts: await paths("script[src]", "src"),
    styles: await paths("link[rel=stylesheet]", "href"),
    films: [`${base}/${rendition?.id}/init.mp4`, `${base}/${rendition?.id}/0.m4s`],
    posts: ["/api/session", "/api/join", "/api/invite"],
  };
  const { posts, ...readable } = treasure;
  for (const path of Object.values(readable).flat()) await got(path);
  assert.ok(treasure.scripts.length > 0 && treasure.styles.length > 0);
  return treasure;
}

describe("another site in the same browser", () => {
  let served: ServedServer;
  let site: ForeignSite;
  let browser: Browser;

  before(async () => {
    served = await ServedServer.start();
    site = await ForeignSite.open();
    browser = await launchBrowser({ spki: await spkiOf(served.port) });
  });
  after(async () => {
    await browser?.close();
    await site?.[Symbol.asyncDispose]();
    await served?.[Symbol.asyncDispose]();
  });

  /** Whole lines of the log since a place in it: of the last one only the beginning may have come. */
  const linesSince = (from: number): Record<string, unknown>[] =>
    served.log
      .slice(from)
      .split("\n")
      .slice(0, -1)
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  it("P3 W20: it gets nothing of ours and changes nothing while a person is signed in: by fetch, frame, picture, script, style, film, form or socket", async () => {
    await using alice = await Person.join(served.listening.setupLink ?? "", "Alice");
    const link = mendLink(await alice.client.invite({ uses: 2 }));
    const { page, context, faults } = await openPerson(browser);
    await page.goto(`${served.listening.localUrl}/join${new URL(link).hash}`);
    await page.getByTestId("join-name").fill("Bob");
    await page.getByTestId("join-button").click();
    await page.getByTestId("recovery-done").click();
    await page.getByTestId("nav-watch").click();
    const still = page.locator('[data-testid="title-Test card"] img');
    const isShown = (): Promise<boolean> =>
      still.evaluate((image) => (image as HTMLImageElement).naturalWidth > 0);
    await eventually("the film and its picture are there", isShown);
    const treasure = await treasureOf(page);
    // Until the cookie was there, some of it was refused.
    faults.length = 0;
    const invites = await alice.client.invites();
    const socket = { path: socketPath, name: subprotocol };
    // Cookies know no ports: the first page is of the same site, the second is of another.
    for (const host of ["localhost", "other.localhost"]) {
      for (const origin of [served.listening.localUrl, served.listening.url]) {
        const other = await context.newPage();
        await other.goto(`http://${host}:${site.port}/`);
        const attempts = attemptsOn(origin, treasure, socket);
        const before = served.log.length;
        const got = await other.evaluate(tryAll, {
          attempts,
          patience,
        });
        const something = attempts.flatMap((attempt, at) =>
          got[at] === "nothing" ? [] : [{ ...attempt, got: got[at] }],
        );
        assert.deepEqual(something, [], `${host} to ${origin}`);
        // The browser's own words in the place of each page that no other may frame.
        const refused = (): boolean =>
          other
            .frames()
            .every((frame) => frame.parentFrame() === null || frame.url().startsWith("chrome-error:"));
        await eventually("no frame has ours", refused);
        const posts = await eventually("the log has them", () => {
          const all = linesSince(before).filter(({ method }) => method === "POST" || method === "DELETE");
          return all.length > 0 ? all : undefined;
        });
        assert.ok(
          posts.every(({ status }) => status === 403),
          JSON.stringify(posts),
        );
        assert.ok(linesSince(before).every(({ event }) => event !== "opened"));
        await other.close();
      }
    }
    assert.deepEqual(await alice.client.invites(), invites);
    assert.equal(alice.state.people.length, 2);
    // The person goes on as before.
    await treasureOf(page);
    const account = alice.state.people.find(({ name }) => name === "Bob")?.account;
    assert.ok(account);
    await alice.client.send(account, "still here");
    await page.getByTestId("nav-chats").click();
    await page.getByTestId("thread-Alice").click();
    await page.getByTestId("letter-text").getByText("still here").waitFor();
    assert.deepEqual(faults, []);
  });

  it("P26 W20: a page that opens ours in a window has no hold on it", async () => {
    const context = await browser.newContext();
    const other = await context.newPage();
    await other.goto(`http://localhost:${site.port}/`);
    const coming = other.waitForEvent("popup");
    const opened = await other.evaluateHandle((to) => window.open(to), `${served.listening.localUrl}/`);
    const ours = await coming;
    await ours.waitForLoadState();
    assert.equal(await ours.evaluate(() => window.opener === null), true);
    assert.equal(await opened.evaluate((window) => window?.closed), true);
    await context.close();
  });
});
