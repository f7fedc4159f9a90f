import { realpathSync } from "node:fs";
import { join } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { INDEX_VERSION } from "@snug/media";
import { tidyAtRest } from "../rest.ts";
import { createAnnouncing } from "./announcing.ts";
import { Catalog, settleTime } from "./catalog.ts";
import { openInside } from "./folder.ts";
import type { Answer, Ask, Seen, WorkerOptions } from "./messages.ts";
import { Packager } from "./packager.ts";
import { Plans } from "./plans.ts";
import { openRecords } from "./records.ts";
import { createSending } from "./sending.ts";
import { Stills } from "./stills.ts";
import { signatureOf, walkFolder } from "./walk.ts";
import { watchFolder } from "./watching.ts";

/** The folder is walked this often even when nothing seems to happen, ms. */
const sweepTime = 60_000;
/** In a folder that holds more, looking after it is for this thread alone. */
const mostAtRest = { files: 2000, folders: 200 };
/** What is in use is marked in the records this often, ms. */
const sweepRecordsTime = 3_600_000;

const port = parentPort;
if (port === null) throw new Error("this is a worker");
const options = workerData as WorkerOptions;
// A folder that is itself a link is the operator's choice; links below it are not followed.
const folder = realpathSync(options.folder);
const post = (answer: Answer, moved: ArrayBuffer[] = []): void => port.postMessage(answer, moved);
const log = (line: string): void => post({ type: "log", line });

using stack = new DisposableStack();
const records = stack.use(
  openRecords(join(options.data, "library.db"), { format: INDEX_VERSION, now: Date.now }),
);
const open = openInside(folder);
const plans = stack.use(new Plans(records.media, open));
const announcing = stack.use(
  createAnnouncing((titles, removed) => post({ type: "changed", titles, removed })),
);
let seen: Seen | null = null;
const catalog = new Catalog({
  walk: async () => {
    const walk = await walkFolder(folder);
    const { files, folders } = walk;
    const few = files.length <= mostAtRest.files && folders.length <= mostAtRest.folders;
    seen = few ? { root: folder, folders, signature: signatureOf(walk) } : null;
    return walk;
  },
  open,
  records,
  now: Date.now,
  log,
  onChanged: (titles, removed) => {
    plans.retain(new Set(Array.from(catalog.titles(), ({ view }) => view.version)));
    if (ready) announcing.add(titles, removed);
  },
});
const packager = new Packager({ catalog, plans, records });
const sending = createSending(post);
// Before the first walk: what happens from now on is not missed.
const watching = stack.use(watchFolder(folder, log));
stack.use(tidyAtRest());
const stills = stack.use(new Stills({ folder, catalog, records }));
let closing = false;
let ready = false;

function answer(ask: Ask): void {
  switch (ask.type) {
    case "detail":
      post({ type: "detail", number: ask.number, detail: packager.detail(ask.title) });
      break;
    case "open": {
      const packaged = packager.open(ask.request);
      post({ type: "opened", number: ask.number, found: packaged?.head ?? null });
      if (packaged !== undefined) sending.start(ask.number, packaged.body);
      break;
    }
    case "more":
      sending.more(ask.number);
      break;
    case "cancel":
      sending.cancel(ask.number);
      break;
    case "close":
      closing = true;
      watching[Symbol.dispose]();
      break;
  }
}

function tellSettled(): void {
  if (closing) return;
  const settled = !busy && !stills.isWorking && catalog.isSettled && !watching.isPending && !folderFailed;
  post({ type: "settled", seen: settled ? seen : null });
}

port.on("message", (ask: Ask) => {
  try {
    answer(ask);
  } catch (error) {
    log(`a request for a video failed: ${error instanceof Error ? error.message : String(error)}`);
    if ("number" in ask) post({ type: "failed", number: ask.number, message: "the video could not be cut" });
  }
});

await catalog.walk();
ready = true;
post({ type: "ready", titles: Array.from(catalog.titles(), ({ view }) => view) });
let folderFailed = false;
let swept = 0;
let busy = true;
while (!closing) {
  const again = await catalog.read(() => watching.isPending || closing);
  busy = false;
  void stills.wake().then(tellSettled, (error) => log(`the pictures of titles failed: ${String(error)}`));
  if (Date.now() - swept > sweepRecordsTime) {
    catalog.sweep();
    swept = Date.now();
  }
  await watching.next(again ? settleTime : sweepTime);
  if (closing) break;
  busy = true;
  tellSettled();
  try {
    await catalog.walk();
    folderFailed = false;
  } catch (error) {
    if (!folderFailed) log(`the folder of videos can't be read: ${String(error)}`);
    folderFailed = true;
  }
}
port.close();
