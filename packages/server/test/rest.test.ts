import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempDisposable, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { runInNewContext } from "node:vm";
import { heap, Rest, tidy } from "../src/rest.ts";

/** The program's own cache of compiled code: without it a process strips the types of every module. */
const cache = fileURLToPath(new URL("../../../node_modules/.cache/snug", import.meta.url));

test("O60 a heap is tidied at rest, once for what has come to it, and never while it would stand still for long", () => {
  const rest = new Rest();
  const started = { used: 30e6, held: 40e6 };
  assert.equal(rest.calls(0.5, started), false, "busy");
  assert.equal(rest.calls(0.001, started), true);
  rest.tidied({ used: 20e6, held: 22e6 });
  assert.equal(rest.calls(0, { used: 21e6, held: 23e6 }), false, "nothing has come");
  assert.equal(rest.calls(0, { used: 200e6, held: 300e6 }), false, "too much to go through");
  assert.equal(rest.calls(0, { used: 60e6, held: 90e6 }), true, "after a rush");
});

test("O60 tidying gives back what a rush left, and leaves the program's flags as they were", () => {
  const before = heap();
  rush();
  const after = heap();
  assert.ok(after.held > before.held + 30e6, `${after.held} held after a rush, ${before.held} before`);
  tidy();
  assert.ok(heap().held < before.held + 8e6, `${heap().held} still held, ${before.held} before`);
  assert.equal(runInNewContext("globalThis.gc"), undefined);
});

test("O61 a server loads no HTTP client and no compilers of schemas", async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), "snug-loaded-"));
  const script = join(folder.path, "loaded.mjs");
  await writeFile(
    script,
    `import { createRequire } from "node:module";
    import { startServer } from ${JSON.stringify(new URL("../src/index.ts", import.meta.url).href)};
    const [data, videos] = process.argv.slice(2);
    await using server = await startServer({ data, videos, host: "127.0.0.1", port: 0, log: "silent" });
    process.stdout.write([...process.moduleLoadList, ...Object.keys(createRequire(data).cache)].join("\\n"));`,
  );
  const loaded = execFileSync(process.execPath, [script, join(folder.path, "data"), folder.path], {
    encoding: "utf8",
    env: { ...process.env, NODE_COMPILE_CACHE: cache },
  });
  assert.match(loaded, /fastify\/lib/);
  assert.doesNotMatch(loaded, /deps\/undici|\/ajv\/|fast-json-stringify-compiler/);
});

/** Makes much that lives for a moment, so that the young generation grows. */
function rush(): void {
  let kept: object[] = [];
  for (let n = 0; n < 1_500_000; n++) kept.push({ n, text: `letter ${n}` });
  kept = [];
  assert.equal(kept.length, 0);
}
