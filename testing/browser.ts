import { existsSync } from "node:fs";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { patience } from "./patience.ts";

const places = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** So high that every letter of a test's conversation is in the page, which holds only what is near the view. */
export const tall = { width: 1280, height: 4000 };

/**
 * A real Chromium of the system. It trusts exactly one certificate besides the public ones, by its key.
 * With `profile`, it is a person's own browser: one context whose files lie in that folder.
 */
export async function launchBrowser(of: { readonly spki: string }): Promise<Browser>;
export async function launchBrowser(of: {
  readonly spki: string;
  readonly profile: string;
}): Promise<BrowserContext>;
export async function launchBrowser(of: {
  readonly spki: string;
  readonly profile?: string;
}): Promise<Browser | BrowserContext> {
  const executablePath = places.find((place) => existsSync(place));
  if (!executablePath) throw new Error("no Chromium found: apt-get install chromium");
  const options = {
    executablePath,
    headless: true,
    timeout: patience,
    args: [
      `--ignore-certificate-errors-spki-list=${of.spki}`,
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--autoplay-policy=no-user-gesture-required",
    ],
  };
  if (of.profile !== undefined) {
    const context = await chromium.launchPersistentContext(of.profile, { ...options, viewport: tall });
    context.setDefaultTimeout(patience);
    return context;
  }
  const browser = await chromium.launch(options);
  return browser.on("context", (context) => context.setDefaultTimeout(patience));
}

/** A person at a browser of their own: a context with its own storage, and what went wrong in its page. */
export interface BrowserPerson {
  readonly context: BrowserContext;
  readonly page: Page;
  /** Uncaught errors and console errors, CSP violations among them. */
  readonly faults: string[];
}

export async function openPerson(
  browser: Browser,
  size?: { width: number; height: number },
): Promise<BrowserPerson> {
  const context = await browser.newContext({ viewport: size ?? { width: 1280, height: 800 } });
  const page = await context.newPage();
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(message.text());
  });
  return { context, page, faults };
}

/** Waits until nothing on the page moves: what is half faded in has half its contrast. What never ends is left alone. */
export async function standsStill(page: Page): Promise<void> {
  await eventually("the page stands still", () =>
    page.evaluate(
      () =>
        document.querySelector("[data-starting-style], [data-ending-style]") === null &&
        document
          .getAnimations()
          .every(({ effect }) => effect?.getComputedTiming().endTime === Number.POSITIVE_INFINITY),
    ),
  );
}

/** Asks until the answer is truthy; the page's policy forbids eval, so waiting is done from outside. */
export async function eventually<T>(what: string, ask: () => Promise<T> | T): Promise<NonNullable<T>> {
  const end = performance.now() + patience;
  let last: unknown;
  do {
    try {
      const answer = await ask();
      if (answer) return answer;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  } while (performance.now() < end);
  throw new Error(`${what}: not within ${patience} ms`, { cause: last });
}
