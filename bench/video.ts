import { spawnSync } from "node:child_process";
import { createReadStream, mkdtempSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeIndex, encodeIndex, mediaSegment, planTitle, readIndex } from "@snug/media";
import { openFile } from "@snug/media/node";
import type { Page } from "playwright-core";
import { eventually, launchBrowser, openPerson } from "../testing/browser.ts";
import { ServedServer, spkiOf } from "../testing/served.ts";
import { median } from "./floors.ts";

const sample = join(import.meta.dirname, "../videos/Test card_1440p.mp4");
type Row = [what: string, ...figures: string[]];
const ms = (value: number) => `${value.toFixed(1)} ms`;

/** All figures of the library and the player, as printable rows. */
export async function videoFigures(): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "snug-bench-film-"));
  try {
    const film = join(folder, "long.mp4");
    spawnSync("ffmpeg", ["-v", "error", "-stream_loop", "112", "-i", sample, "-c", "copy", film]);
    return [...(await packaging(film)), ...(await playing())];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function cpuMs(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1000;
}

async function packaging(film: string): Promise<Row[]> {
  await using source = openFile(film);
  let since = process.cpuUsage();
  const index = await readIndex(source);
  const indexing = cpuMs(since);
  const kept = encodeIndex(index);
  since = process.cpuUsage();
  const plan = planTitle([{ fileId: "film", index: decodeIndex(kept) }]);
  const planning = cpuMs(since);
  const rendition = plan.renditions.find((one) => one.kind === "video");
  if (!rendition) throw new Error(`not playable: ${plan.rejected.map((one) => one.reason).join()}`);
  let bytes = 0;
  const begin = performance.now();
  since = process.cpuUsage();
  for (const { number } of rendition.segments) {
    for await (const chunk of mediaSegment(plan, rendition.id, number, source)) bytes += chunk.length;
  }
  const each = cpuMs(since) / rendition.segments.length;
  const seconds = (performance.now() - begin) / 1000;
  const peer = peerSegment(film);
  return [
    [
      "index of a 45-minute MP4, CPU, once | later",
      ms(indexing),
      ms(planning),
      `${(kept.length / 1024).toFixed(0)} KiB kept`,
    ],
    [
      "CPU per segment: Snug | ffmpeg -ss -c copy",
      ms(each),
      ms(peer),
      `${(bytes / rendition.segments.length / 1024).toFixed(0)} KiB each`,
    ],
    [
      "packaging, one after another",
      `${Math.round(rendition.segments.length / seconds)}/s`,
      `${(bytes / seconds / 1e6).toFixed(0)} MB/s`,
    ],
  ];
}

/** CPU of ffmpeg cutting one segment of two seconds by copy, median of seven, in ms. */
function peerSegment(film: string): number {
  const took: number[] = [];
  for (let n = 0; n < 7; n++) {
    const command = `TIMEFORMAT='%U %S'; time ffmpeg -v error -ss ${100 + 50 * n} -i '${film}' -t 2 -c copy -f mp4 -movflags +frag_keyframe+empty_moov -y /dev/null`;
    const { stderr } = spawnSync("bash", ["-c", command], { encoding: "utf8" });
    const [user = 0, system = 0] = stderr.trim().split(/\s+/).map(Number);
    took.push((user + system) * 1000);
  }
  return median(took);
}

/** Click → first picture and seek → picture, in one Chromium, beside a plain video element on the same file. */
async function playing(): Promise<Row[]> {
  await using server = await ServedServer.start();
  await using plain = await servePlain(sample);
  const browser = await launchBrowser({ spki: await spkiOf(server.port) });
  try {
    const { page } = await openPerson(browser);
    await page.goto(server.listening.setupLink ?? "");
    await page.getByTestId("join-name").fill("Bench");
    await page.getByTestId("join-button").click();
    await page.getByTestId("recovery-done").click({ timeout: 60_000 });
    await page.getByTestId("nav-watch").click();
    const other = (await openPerson(browser)).page;
    await other.goto(plain.url);
    const snug = { first: [] as number[], seek: [] as number[] };
    const peer = { first: [] as number[], seek: [] as number[] };
    for (let round = 0; round < 7; round++) {
      await page.getByTestId("title-Test card").waitFor();
      snug.first.push(await clickToPicture(page, "[data-testid='title-Test card']"));
      snug.seek.push(await seekToPicture(page, 3.3 + 2.7 * round));
      await page.goBack();
      await other.reload();
      peer.first.push(await clickToPicture(other, "button"));
      peer.seek.push(await seekToPicture(other, 3.3 + 2.7 * round));
    }
    return [
      ["click → first picture: Snug | <video src>", ms(median(snug.first)), ms(median(peer.first))],
      ["seek → picture: Snug | <video src>", ms(median(snug.seek)), ms(median(peer.seek))],
    ];
  } finally {
    await browser.close();
  }
}

/** From the click's own event to the first picture that the compositor shows. */
async function clickToPicture(page: Page, selector: string): Promise<number> {
  await page.evaluate(`(() => {
    globalThis.firstPicture = undefined;
    document.querySelector(${JSON.stringify(selector)}).addEventListener("click", () => {
      const start = performance.now();
      const look = () => {
        const video = document.querySelector("video");
        if (!video) return requestAnimationFrame(look);
        video.requestVideoFrameCallback((now) => { globalThis.firstPicture = now - start; });
      };
      look();
    }, { once: true, capture: true });
  })()`);
  await page.locator(selector).click();
  return eventually("a first picture", () => page.evaluate("globalThis.firstPicture") as Promise<number>);
}

async function seekToPicture(page: Page, seconds: number): Promise<number> {
  await page.evaluate(`(() => {
    const video = document.querySelector("video");
    globalThis.soughtPicture = undefined;
    const start = performance.now();
    const look = (now, frame) => {
      if (frame.mediaTime < ${seconds} - 0.1) return video.requestVideoFrameCallback(look);
      globalThis.soughtPicture = now - start;
    };
    video.requestVideoFrameCallback(look);
    video.currentTime = ${seconds};
  })()`);
  return eventually("the picture sought", () => page.evaluate("globalThis.soughtPicture") as Promise<number>);
}

/** The peer: one file over HTTP with ranges, and a page with a button that gives it to a video element. */
async function servePlain(file: string): Promise<AsyncDisposable & { readonly url: string }> {
  const size = statSync(file).size;
  const server = createServer((request, response) => {
    if (request.url !== "/film.mp4") {
      response.setHeader("content-type", "text/html");
      response.end(
        `<button onclick="const v=document.createElement('video');v.muted=true;v.src='/film.mp4';document.body.append(v);v.play()">play</button>`,
      );
      return;
    }
    const [, from = "0", to = ""] = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? "") ?? [];
    const end = to === "" ? size - 1 : Number(to);
    response.writeHead(request.headers.range ? 206 : 200, {
      "content-type": "video/mp4",
      "accept-ranges": "bytes",
      "content-length": end - Number(from) + 1,
      "cache-control": "no-store",
      ...(request.headers.range ? { "content-range": `bytes ${from}-${end}/${size}` } : {}),
    });
    createReadStream(file, { start: Number(from), end }).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
