import type { Page } from "playwright-core";
import { type Counter, readCounter } from "./counter.ts";

/** A picture that was really on screen: the media time the browser names for it, and what its blocks say. */
export interface Seen extends Partial<Counter> {
  /** Microseconds on the title's timeline. */
  readonly at: number;
}

/** Begins to note every presented picture of the page's video, now or once there is one. Read them with {@link seenPictures}. */
export async function watchPictures(page: Page): Promise<void> {
  await page.evaluate(`(() => {
    const readCounter = ${readCounter.toString()};
    let video = null;
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const seen = [];
    globalThis.seenPictures = seen;
    const note = (_now, frame) => {
      canvas.height = 240;
      canvas.width = Math.round((240 * video.videoWidth) / video.videoHeight);
      context.drawImage(video, 0, 0, canvas.width, canvas.height);
      const picture = context.getImageData(0, 0, canvas.width, canvas.height).data;
      seen.push({ at: Math.round(frame.mediaTime * 1e6), ...readCounter(picture, canvas.width, canvas.height) });
      video.requestVideoFrameCallback(note);
    };
    const begin = () => {
      video = document.querySelector("[data-testid=video]");
      if (video) video.requestVideoFrameCallback(note);
      else requestAnimationFrame(begin);
    };
    begin();
  })()`);
}

/** What was presented since the last call. */
export async function seenPictures(page: Page): Promise<Seen[]> {
  return (await page.evaluate("globalThis.seenPictures.splice(0)")) as Seen[];
}
