import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { build } from "vite";
import { launchBrowser } from "../../../testing/browser.ts";
import { storeContract } from "./store-contract.ts";
import type { Suite } from "./store-in-browser.ts";

let browser: Browser;
let page: Page;
const server = createServer();

const call = (name: keyof Suite, argument: string): Promise<string> =>
  page.evaluate(
    ([name, argument]) => (globalThis as unknown as Suite)[name as keyof Suite](argument as string),
    [name, argument] as const,
  );

before(async () => {
  const script = await bundle(join(import.meta.dirname, "store-in-browser.ts"));
  server.on("request", (request, response) => {
    const isScript = request.url === "/suite.js";
    response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
    response.end(isScript ? script : '<!doctype html><script type="module" src="/suite.js"></script>');
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  browser = await launchBrowser({ spki: "" });
  page = await browser.newPage();
  await page.goto(`http://localhost:${(server.address() as AddressInfo).port}/`);
});

after(async () => {
  await browser?.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

async function bundle(entry: string): Promise<string> {
  const built = await build({
    configFile: false,
    logLevel: "error",
    build: { write: false, minify: false, target: "es2024", lib: { entry, formats: ["es"] } },
  });
  const [result] = [built].flat();
  if (!result || !("output" in result)) throw new Error("nothing was built");
  return result.output[0].code;
}

for (const { title } of storeContract) {
  test(`${title} (IndexedDB)`, async () => {
    assert.equal(await call("runCase", title), "ok");
  });
}

test("C26: what IndexedDB holds is sealed", async () => {
  const held = await call("dump", "dump");
  assert.ok(held.length > 20);
  assert.ok(!held.includes("secret"));
});

test("C26: two sealed records can't be exchanged", async () => {
  assert.match(await call("exchange", "exchange"), /a\/2 was changed outside of Snug/);
});
