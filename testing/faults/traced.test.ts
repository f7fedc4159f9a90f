import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ServerId } from "@snug/protocol";
import { eventually } from "../browser.ts";
import { ServedServer } from "../served.ts";
import { joinRaw, letterTo } from "../wire.ts";
import { type Accepted, judgeTrace, tracing, untraceable } from "./trace.ts";

const skip = untraceable();
const letters = 300;

/** What a traced server did wrong with letters of which many are under way at once. */
async function judgeServer(environment: Readonly<Record<string, string>>): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), "snug-trace-"));
  try {
    const trace = join(folder, "trace");
    await using served = await ServedServer.start({ under: tracing(trace), environment });
    const { localUrl, serverId, setupLink } = served.listening;
    const room = { localUrl, serverId: ServerId.parse(serverId), setupLink: async () => setupLink };
    const alice = await joinRaw(room, "Alice");
    await using wire = await alice.connect();
    await wire.request("stream-read", { stream: alice.inbox, incarnation: alice.incarnation, after: 0 });
    const accepted: Accepted[] = [];
    const submit = async (counter: number): Promise<void> => {
      const letter = letterTo(alice.inbox, counter);
      const { rowHash, seq } = await wire.request("submit", letter);
      accepted.push({ sealed: letter.sealed, rowHash });
      // Cursors reach the disk in commits of their own, a little later: no answer leans on those.
      const { inbox: stream, incarnation } = alice;
      await wire.request("stream-cursor", { stream, incarnation, seq });
    };
    // One alone, then as many as like: batches of one and of many.
    for (let counter = 1; counter <= 20; counter++) await submit(counter);
    await Promise.all(Array.from({ length: letters - 20 }, (_, at) => submit(at + 21)));
    const { pid } = served;
    await served.stop();
    await eventually("the trace is whole", async () =>
      new RegExp(`^${pid} .*exited with`, "m").test((await readFile(trace, "latin1")).slice(-2000)),
    );
    return await judgeTrace(trace, accepted);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test("D7: traced, every answer to a submit leaves behind a completed fsync of the file that holds its row", {
  skip,
}, async () => {
  assert.deepEqual(await judgeServer({}), []);
});

test("D7: the same judge sees a server that does not sync", { skip }, async () => {
  const unsynced = new URL("./unsynced.ts", import.meta.url).href;
  const wrong = await judgeServer({ NODE_OPTIONS: `--import=${unsynced}` });
  assert.equal(wrong.length, letters);
  assert.match(wrong[0] ?? "", /answered before .*snug\.db-wal was synced$/);
});
